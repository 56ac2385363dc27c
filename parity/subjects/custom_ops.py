"""Custom operators of MXNet: `forward(is_train, req, in_data, out_data, aux)`, with lists of arrays."""

from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.subjects.arguments import parameters_of
from parity.subjects.implementation import Implementation
from parity.subjects.names import plain
from parity.subjects.pair import of_pair
from parity.subjects.signatures import with_places

REQUESTS = "it takes lists of arrays with a request for each, and assigns its results"
_FORWARD = ["istrain", "req", "indata", "outdata", "aux"]


class NDArray(np.ndarray):
    """An array under MXNet's names."""

    def asnumpy(self) -> Array:
        """A copy as a NumPy array."""
        return np.array(self)

    asscalar = np.ndarray.item


class Slot:
    """A result that is not computed yet: it takes the shape of what is assigned to it."""

    def __init__(self) -> None:
        self.value = np.zeros(())

    def __setitem__(self, place: Any, value: Any) -> None:
        self.value = np.array(value)

    def __getitem__(self, place: Any) -> Array:
        return np.asarray(self.value[place]).view(NDArray)

    def asnumpy(self) -> Array:
        """A copy as a NumPy array."""
        return np.array(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.value, dtype=dtype)


def _assign(self: Any, dst: Any, req: str, src: Any) -> None:  # noqa: ARG001  # MXNet's signature
    if req != "null":
        dst[:] = src


def takes_requests(kind: type) -> bool:
    """Whether a class has `forward(is_train, req, in_data, out_data, aux)`."""
    forward = getattr(kind, "forward", None)
    return forward is not None and [plain(p.name) for p in parameters_of(forward) or ()][1:] == _FORWARD


def of_requests(kind: Any) -> Implementation:
    """Adapt a class with `backward(req, out_grad, in_data, out_data, in_grad, aux)`; it may have no `assign`."""

    def forward(*arrays: Array | None) -> Any:
        made = kind if hasattr(kind, "assign") else type(kind.__name__, (kind,), {"assign": _assign})
        layer, given, out = made(), [np.array(a).view(NDArray) for a in arrays if a is not None], Slot()
        layer.forward(True, ["write"], given, [out], [])
        return out.asnumpy(), (layer, given, out)

    def backward(dy: Array, cache: Any) -> Any:
        layer, given, out = cache
        y, slots = out.asnumpy().view(NDArray), [Slot() for _ in given]
        layer.backward(["write"] * len(given), [np.array(dy).view(NDArray)], given, [y], slots, [])
        return tuple(slot.asnumpy() for slot in slots)

    return with_places(of_pair(forward, backward), kind, REQUESTS)
