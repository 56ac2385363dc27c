"""Forms of frameworks: a context, tuples of arrays, models, and makers of pairs."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.subjects import names
from parity.subjects.arguments import arguments_of, parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.errors import Declined
from parity.subjects.implementation import Implementation
from parity.subjects.layer import backward_name
from parity.subjects.names import plain
from parity.subjects.pair import of_function, of_pair
from parity.subjects.signatures import inner_codes, required, with_places

CONTEXTS = frozenset({"ctx", "context"})
MADE = (("forward", "backward"), ("fwd", "bwd"), ("fprop", "bprop"))
TUPLES = "its arrays are in a tuple, and its results too"
MODEL = "it takes a model with get_param and inc_grad"


# ---- static forward(ctx, x, …) and backward(ctx, dy)


class Context:
    """Stores the arrays and options of a forward for its backward."""

    def __init__(self) -> None:
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *arrays: Any) -> None:
        """Store arrays."""
        self.saved_tensors += arrays

    @property
    def saved_values(self) -> Any:
        """The stored arrays; one alone is not in a tuple."""
        return self.saved_tensors[0] if len(self.saved_tensors) == 1 else self.saved_tensors


def takes_context(kind: type) -> bool:
    """Whether the static methods forward and backward of a class take a context first."""
    for name in ("forward", "backward"):
        method = getattr(kind, name, None)
        places = [plain(p.name) for p in parameters_of(method) or ()] if callable(method) else []
        if not isinstance(inspect.getattr_static(kind, name, None), staticmethod) or not CONTEXTS & {*places[:1]}:
            return False
    return True


def of_context(kind: Any) -> Implementation:
    """Adapt `y = C.forward(ctx, x, …)` and `gradients = C.backward(ctx, dy)`."""
    signature = inspect.signature(kind.forward)

    def forward(*arrays: Any, **options: Any) -> Any:
        ctx = Context()
        return kind.forward(ctx, *arrays, **options), ctx

    def backward(dy: Array, ctx: Any) -> Any:
        return kind.backward(ctx, dy)

    forward.__signature__ = signature.replace(parameters=[*signature.parameters.values()][1:])  # type: ignore[attr-defined]  # read by inspect.signature
    made = of_pair(forward, backward)
    return replace(made, forward_place=place_of(kind.forward), backward_place=place_of(kind.backward))


# ---- forward(inputs) → (y,) and backward(inputs, grad_outputs)


def of_tuples(kind: Any) -> Implementation | None:
    """Adapt a class whose methods take and return tuples; None if they have other parameters."""
    if not inspect.isclass(kind) or backward_name(kind) != "backward" or not hasattr(kind, "forward"):
        return None
    layer_class: Any = kind
    counts = [len(required(getattr(layer_class, name))) - 1 for name in ("forward", "backward")]
    if counts != [1, 2] or len(required(kind)):
        return None
    by_indexes = plain(required(layer_class.backward)[1].name).endswith("indexes")

    def forward(*arrays: Array | None) -> Any:
        layer, given = layer_class(), tuple(a for a in arrays if a is not None)
        (y,) = layer.apply(given) if by_indexes and hasattr(layer, "apply") else layer.forward(given)
        return y, (layer, given)

    def backward(dy: Array, cache: Any) -> Any:
        layer, given = cache
        return layer.backward(tuple(range(len(given))) if by_indexes else given, (dy,))

    return with_places(of_pair(forward, backward), layer_class, TUPLES)


# ---- forward(model, X, is_train) → (Y, backprop)


class Model:
    """The parameters of a layer and their gradients, under thinc's names."""

    def __init__(self, parameters: dict[str, Array]) -> None:
        self.parameters, self.gradients = parameters, dict[str, Array]()

    def has_param(self, name: str) -> bool:
        """Whether there is a parameter of this name."""
        return name in self.parameters

    def get_param(self, name: str) -> Array:
        """The array of a parameter."""
        return self.parameters[name]

    def inc_grad(self, name: str, value: Array) -> None:
        """Add to the gradient of a parameter."""
        self.gradients[name] = self.gradients[name] + value if name in self.gradients else value

    def get_dim(self, name: str) -> int:
        """The number of inputs (nI) or outputs (nO)."""
        return len(self.parameters["W"].T if name == "nI" else self.parameters["W"])


def takes_model(function: Any) -> bool:
    """Whether a function is `forward(model, X, is_train)`."""
    return [plain(p.name) for p in required(function)][::2] == ["model", "istrain"]


def of_model(function: Callable[..., Any]) -> Implementation:
    """Adapt `Y, backprop = forward(model, X, is_train)`, which reads and increments parameters of the model."""

    def op(x: Array, *arrays: Array | None, **options: Any) -> Any:
        arguments_of((x, *arrays), options).decline_unread()
        model = Model({name: np.array(a) for name, a in zip("Wb", arrays, strict=False) if a is not None})
        if len(model.parameters) < len(arrays) and "b" in getattr(function, "__code__", op.__code__).co_consts:
            raise Declined("it always has a bias", {"bias": True})
        y, backprop = function(model, x, True)

        def pullback(dy: Array) -> Any:
            model.gradients.clear()
            dx = backprop(dy)
            return dx, *(model.gradients.get(name) for name, _ in zip("Wb", arrays, strict=False))

        return y, pullback

    made = replace(of_function(op), op=op, forward_place=place_of(function), lenient=True)
    return made.with_note(MODEL)


# ---- forward, backward = make(W, b)


def makes_a_pair(function: Any) -> bool:
    """Whether a function of weights or of options defines a forward and a backward and returns them."""
    places = [p.name for p in required(function)]
    inner = {code.co_name for code in inner_codes(getattr(function, "__code__", None))}
    if not any({*pair} <= inner for pair in MADE) or not places:
        return False
    return {*map(plain, places)} <= names.WEIGHTS | names.BIASES or all(map(names.is_option, places))


def of_maker(make: Callable[..., Any]) -> Implementation:
    """Adapt `forward, backward = make(W, b)` and `forward, backward = make(kernel_size, stride)`."""

    def op(x: Array, *parameters: Array | None, **options: Any) -> Any:
        arguments = arguments_of((x, *parameters), options)
        keywords = arguments.bind(make, len(parameters))
        arguments.decline_unread()
        forward, backward = make(*parameters, **keywords)[:2]
        return forward(x), backward

    return replace(of_function(op), forward_place=place_of(make), lenient=True)
