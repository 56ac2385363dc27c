"""An implementation as its author wrote it, brought into the form of the op law."""

import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from parity.oracle import Array, Op


class ImplementationError(Exception):
    """The implementation raised, or gave back something that is no result; the message names its file and line."""


def adapt(implementation: Any) -> Op:
    """Recognise an op, a (forward, backward) pair or a layer class.

    - an op: `y, pullback = f(*arrays, **options)`
    - a pair: `y, cache = forward(*arrays, **options)` and `gradients = backward(dy, cache)`, one gradient an array
    - a class: `layer = C(*parameters, **options)`, `y = layer.forward(x)`, `gradients = layer.backward(dy)`

    Raises:
        TypeError: it is none of these.
    """
    if inspect.isclass(implementation):
        return _guarded(_of_class(implementation))
    if (
        isinstance(implementation, (tuple, list))
        and len(implementation) == 2
        and all(map(callable, implementation))
    ):
        return _guarded(_of_pair(*implementation))
    if callable(implementation):
        return _guarded(implementation)
    raise TypeError(
        "an implementation is a function that returns (y, pullback), a pair (forward, backward), or a class with "
        f"forward and backward; got {type(implementation).__name__}"
    )


def _of_pair(forward: Callable[..., Any], backward: Callable[..., Any]) -> Op:
    def op(*arrays: Array | None, **options: Any) -> tuple[Any, Callable[[Array], Any]]:
        y, cache = forward(*arrays, **options)
        return y, lambda dy: backward(dy, cache)

    return op


def _of_class(kind: Callable[..., Any]) -> Op:
    def op(x: Array, *parameters: Array | None, **options: Any) -> tuple[Any, Callable[[Array], Any]]:
        layer = kind(*parameters, **options)
        return layer.forward(x), layer.backward

    return op


def _guarded(op: Op) -> Op:
    """The op, with whatever it raises told as its own mistake, and one gradient for each array."""

    def called(*arrays: Array | None, **options: Any) -> tuple[Any, Callable[[Array], Any] | None]:
        with _Blamed("forward"):
            returned = op(*arrays, **options)
        if (
            not isinstance(returned, tuple)
            or len(returned) != 2
            or not (returned[1] is None or callable(returned[1]))
        ):
            raise ImplementationError(f"returned {_kind(returned)}, expected (y, pullback)")
        y, pullback = returned
        if not isinstance(y, (np.ndarray, np.generic)):
            raise ImplementationError(f"returned {_kind(y)} as the output, expected a NumPy array")
        if pullback is None:
            return y, None

        def guarded_pullback(dy: Array) -> tuple[Array | None, ...]:
            with _Blamed("pullback"):
                gradients = pullback(dy)
            if not isinstance(gradients, (tuple, list)):
                gradients = (gradients,)
            if len(gradients) < len(arrays) and all(array is None for array in arrays[len(gradients) :]):
                gradients = (*gradients, *[None] * (len(arrays) - len(gradients)))
            if len(gradients) != len(arrays):
                raise ImplementationError(
                    f"the pullback returned {len(gradients)} gradients for {len(arrays)} arrays"
                )
            for gradient in gradients:
                if not (gradient is None or isinstance(gradient, (np.ndarray, np.generic))):
                    raise ImplementationError(f"the pullback returned {_kind(gradient)} as a gradient")
            return tuple(gradients)

        return y, guarded_pullback

    return called


class _Blamed:
    """A context in which every exception is the implementation's."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (Exception, SystemExit)):
            frame = traceback.extract_tb(trace)[-1]
            place = f"{Path(frame.filename).name}:{frame.lineno}"
            told = " ".join(str(error).split()) or "no message"
            raise ImplementationError(
                f"the {self.what} raised {type(error).__name__}: {told} ({place})"
            ) from error


def _kind(value: Any) -> str:
    return f"a tuple of {len(value)}" if isinstance(value, tuple) else f"a {type(value).__name__}"
