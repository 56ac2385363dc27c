"""The forms in which optimizers take parameters and gradients: dicts, lists, a layer, a model, objects."""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from parity.cases.op import Array
from parity.subjects import names
from parity.subjects.names import gradient_names, plain

Given = Literal["dicts", "lists", "arrays", "numbered", "objects", "pairs", "layer", "tensors"]
# What the report says of each; a dict needs no remark.
NOTES: dict[Given, str] = {
    "lists": "its parameters are in a list",
    "pairs": "its parameters are pairs (value, gradient)",
    "arrays": "it updates one array at a time",
    "numbered": "its parameters are W1, b1, …, and its gradients dW1, db1, …",
    "objects": "its parameters are objects with .data and .grad",
    "layer": "it updates a layer with weights, biases and their gradients",
}


class Parameter:
    """An array and its gradient."""

    def __init__(self, data: Array) -> None:
        self.data, self.grad, self.requires_grad = data, np.zeros_like(data), True

    def zero_grad(self) -> None:
        """Clear the gradient."""
        self.grad = np.zeros_like(self.data)


class Layer:
    """Weights, biases and their gradients, under every name that authors give to them."""

    def __init__(self, weights: Array, biases: Array) -> None:
        object.__setattr__(self, "_arrays", {"w": weights, "b": biases})

    @property
    def params(self) -> "Entries":
        """The parameters by name; called, the pairs (value, gradient)."""
        return Entries(self, ("W", "b"))

    parameters = params

    @property
    def grads(self) -> "Entries":
        """The gradients by the names of their parameters."""
        return Entries(self, ("dW", "db"))

    gradients = grads

    @staticmethod
    def _key(name: str) -> str | None:
        short = plain(name)
        for key, stems in (("w", names.WEIGHTS), ("b", names.BIASES)):
            if short in stems:
                return key
            if short in gradient_names(stems):
                return f"d{key}"
        return None

    def __getattr__(self, name: str) -> Any:
        arrays, key = object.__getattribute__(self, "_arrays"), self._key(name)
        if name.startswith("__") or key not in arrays:
            raise AttributeError(name)
        return arrays[key]

    def __setattr__(self, name: str, value: Any) -> None:
        key = self._key(name)
        if key is None:
            object.__setattr__(self, name, value)
        else:
            self._arrays[key] = value


class Entries(MutableMapping[str, Array]):
    """Attributes of a layer as a dict with the keys W and b."""

    def __init__(self, layer: Layer, attributes: tuple[str, str]) -> None:
        self.layer, self.attributes = layer, dict(zip("Wb", attributes, strict=True))

    def __getitem__(self, key: str) -> Array:
        return getattr(self.layer, self.attributes[key])  # type: ignore[no-any-return]  # an array

    def __setitem__(self, key: str, value: Array) -> None:
        setattr(self.layer, self.attributes[key], value)

    def __delitem__(self, key: str) -> None:
        raise TypeError("a layer keeps its parameters")

    def __iter__(self) -> Iterator[str]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)

    def __call__(self) -> list[tuple[Array, Array]]:
        return [(self.layer.W, self.layer.dW), (self.layer.b, self.layer.db)]


class Model:
    """One layer."""

    def __init__(self, layer: Layer) -> None:
        self.layers = [layer]


@dataclass
class Arrays:
    """The parameter w, with a neighbour in front of it, as an optimizer takes them."""

    given: Given
    own: Any

    @classmethod
    def of(cls, given: Given, w: Array, neighbour: Array) -> "Arrays":
        """The arrays in one of the forms."""
        own: Any = w
        if given == "dicts":
            own = {"neighbour": neighbour, "w": w}
        elif given == "lists":
            own = [neighbour, w]
        elif given == "numbered":
            own = {"W1": w, "b1": neighbour}
        elif given == "objects":
            own = [Parameter(neighbour), Parameter(w)]
        elif given == "pairs":
            own = [(neighbour, np.zeros_like(neighbour)), (w, np.zeros_like(w))]
        elif given == "layer":
            own = Layer(w, neighbour)
        elif given == "tensors":
            own = [torch.nn.Parameter(torch.from_numpy(array)) for array in (neighbour, w)]
        return cls(given, own)

    @property
    def model(self) -> Model:
        """The layer within a model."""
        return Model(self.own)

    def gradients(self, gradient: Array | None, neighbour: Array) -> Any:
        """The gradients in the same form; parameters that hold their own are given them."""
        if self.given == "objects":
            self.own[0].grad, self.own[1].grad = neighbour, gradient
        elif self.given == "tensors":
            self.own[0].grad = torch.from_numpy(neighbour)
            self.own[1].grad = None if gradient is None else torch.from_numpy(gradient)
        elif self.given == "pairs":
            for place, array in enumerate((neighbour, gradient)):
                if array is None:
                    self.own[place] = self.own[place][0], None
                else:
                    self.own[place][1][...] = array
        elif self.given == "layer":
            self.own.dW, self.own.db = gradient, neighbour
        forms: dict[Given, Any] = {
            "dicts": {"neighbour": neighbour, "w": gradient},
            "lists": [neighbour, gradient],
            "numbered": {"dW1": gradient, "db1": neighbour},
            "arrays": gradient,
        }
        return forms.get(self.given)

    def zipped(self, grads: Any, gradients_first: bool) -> Any:
        """What `zip(grads, params)` yields, or `zip(params, grads)`."""
        owns, gradients = (
            [*given.values()] if isinstance(given, dict) else given if isinstance(given, list) else [given]
            for given in (self.own, grads)
        )
        return zip(*((gradients, owns) if gradients_first else (owns, gradients)), strict=True)

    def take(self, returned: Any) -> None:
        """Take the parameters from an optimizer that returns them instead of writing to them."""
        if self.given not in ("objects", "pairs", "layer", "tensors") and type(returned) is type(self.own):
            self.own = returned

    @property
    def value(self) -> Array:
        """The parameter as it is now."""
        places = {"dicts": "w", "lists": 1, "numbered": "W1", "objects": 1, "pairs": 1, "tensors": 1}
        found = self.own[places[self.given]] if self.given in places else self.own
        if self.given == "pairs":
            found = found[0]
        found = found.data if self.given in ("objects", "tensors") else found.W if self.given == "layer" else found
        return np.array(found)
