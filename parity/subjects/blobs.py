"""Layers over lists of blobs, which have an array and its gradient: Caffe's, nnabla's."""

import inspect
from dataclasses import replace
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.subjects.arguments import parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.implementation import Implementation
from parity.subjects.names import plain
from parity.subjects.pair import of_pair
from parity.subjects.signatures import with_places

BLOBS = "its arrays are blobs with .data and .diff"
VARIABLES = "it takes lists of variables with .data and .grad"


# ---- forward(bottom, top), backward(top, propagate_down, bottom)


class Blob:
    """An array and its gradient."""

    def __init__(self, data: Array) -> None:
        self.data, self.diff = data, np.zeros_like(data)

    def reshape(self, *shape: int) -> None:
        """Make room for another shape."""
        self.data, self.diff = np.zeros(shape, self.data.dtype), np.zeros(shape, self.data.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.data.shape

    @property
    def num(self) -> int:
        """The size of the batch."""
        return len(self.data)

    @property
    def count(self) -> int:
        """The number of entries."""
        return self.data.size


def takes_blobs(kind: type) -> bool:
    """Whether a class has `forward(bottom, top)`."""
    forward = getattr(kind, "forward", None)
    return forward is not None and [p.name for p in parameters_of(forward) or ()][1:] == ["bottom", "top"]


def of_blobs(kind: Any) -> Implementation:
    """Adapt a class with setup, reshape, `forward(bottom, top)` and `backward(top, propagate_down, bottom)`."""

    def forward(*arrays: Array | None) -> Any:
        layer, bottom = kind(), [Blob(np.array(a)) for a in arrays if a is not None]
        top = [Blob(np.zeros((), bottom[0].data.dtype))]
        for name in ("setup", "reshape", "forward"):
            if hasattr(layer, name):
                getattr(layer, name)(bottom, top)
        y = top[0].data
        return (y.reshape(()) if y.shape == (1,) and len(bottom) == 2 else y), (layer, bottom, top)

    def backward(dy: Array, cache: Any) -> Any:
        layer, bottom, top = cache
        top[0].diff[...] = dy
        layer.backward(top, [True] * len(bottom), bottom)
        return tuple(blob.diff.copy() for blob in bottom)

    return with_places(of_pair(forward, backward), kind, BLOBS)


# ---- forward_impl(inputs, outputs), backward_impl(inputs, outputs, propagate_down, accum)


class Variable(Blob):
    """A blob under nnabla's names."""

    def __getattr__(self, name: str) -> Array:
        alias = {"grad": "diff", "g": "diff", "d": "data"}.get(name)
        if alias is None:
            raise AttributeError(name)
        return np.asarray(self.__dict__[alias])

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__({"grad": "diff", "g": "diff", "d": "data"}.get(name, name), value)

    def reset_shape(self, shape: tuple[int, ...], force: bool = False) -> None:  # noqa: ARG002  # nnabla's signature
        """Make room for another shape."""
        self.reshape(*shape)


def takes_variables(kind: type) -> bool:
    """Whether a class has `forward_impl` and `backward_impl`."""
    return hasattr(kind, "forward_impl") and hasattr(kind, "backward_impl")


def of_variables(kind: Any) -> Implementation:
    """Adapt a class with setup_impl, forward_impl and backward_impl over lists of variables."""

    def forward(*arrays: Array | None, **options: Any) -> Any:
        function, inputs = kind(**options), [Variable(np.array(a)) for a in arrays if a is not None]
        outputs = [Variable(np.zeros_like(inputs[0].data))]
        function.setup_impl(inputs, outputs)
        outputs[0].data = outputs[0].data.astype(inputs[0].data.dtype)
        function.forward_impl(inputs, outputs)
        return outputs[0].data, (function, inputs, outputs)

    def backward(dy: Array, cache: Any) -> Any:
        function, inputs, outputs = cache
        outputs[0].diff = np.array(dy)
        flags = [True] * len(inputs), [False] * len(inputs)
        function.backward_impl(inputs, outputs, *flags)
        return tuple(variable.diff.copy() for variable in inputs)

    inputs = [inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    options = [p.replace(kind=p.KEYWORD_ONLY) for p in parameters_of(kind) or () if plain(p.name) != "ctx"]
    forward.__signature__ = inspect.Signature([*inputs, *options])  # type: ignore[attr-defined]  # read by inspect.signature
    made = replace(of_pair(forward, backward), forward_place=place_of(kind.forward_impl))
    return replace(made, backward_place=place_of(kind.backward_impl)).with_note(VARIABLES)
