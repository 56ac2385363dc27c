"""Checks of the ops' arguments, whose messages contain the offending values."""

import contextlib
import operator
from collections.abc import Callable
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Pullback: TypeAlias = Callable[..., tuple[Any, ...]]

IntPair: TypeAlias = int | tuple[int, int]

ARRAYS = np.ndarray, np.generic
COMMON_DTYPES = {np.dtype(np.float32), np.dtype(np.float64)}  # a set lookup is faster than reading kind and size


def pair(op: str, name: str, value: IntPair, *, at_least: int, single: bool = True) -> tuple[int, int]:
    """Read `value` as (height, width); an int is used for both.

    single: whether (a,) is accepted as (a, a), as by most functions of torch.

    Raises:
        ValueError: it is neither an int nor a pair of ints, or one of them is below `at_least`.
    """
    if type(value) is int and value >= at_least:  # the common case
        return value, value
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) == 1 and single:
        both *= 2
    try:
        height, width = (integer(op, name, v) for v in both)
    except ValueError:
        raise ValueError(f"{op}: {name} must be an int or a pair of ints (height, width), got {value!r}") from None
    if min(height, width) < at_least:
        raise ValueError(f"{op}: {name} must be at least {at_least}, got {value!r}")
    return height, width


def integer(op: str, name: str, value: int) -> int:
    """Read `value` as a Python int.

    Raises:
        ValueError: it is not an integer, or it is a bool: in Python that is an int, but stride=True is a mistake.
    """
    if type(value) is int:  # the common case
        return value
    if not isinstance(value, bool):
        with contextlib.suppress(TypeError):
            return operator.index(value)
    raise ValueError(f"{op}: {name} must be an int, got {value!r}")


def flag(op: str, name: str, value: bool) -> bool:
    """Read `value` as a Python bool.

    Raises:
        ValueError: it is not a bool; torch rejects 0 and 1 as well.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{op}: {name} must be True or False, got {value!r}")
    return bool(value)


def check_floats(op: str, required: tuple[str, ...] = ("input", "target"), /, **arrays: Array | None) -> None:
    """Raise ValueError unless all arrays are NumPy arrays of one floating dtype, in any byte order.

    Those that are not `required` may be None.
    """
    dtypes = set()
    for name, array in arrays.items():
        if array is None and name not in required:
            continue
        if not isinstance(array, ARRAYS):
            raise ValueError(f"{op}: {name} must be a NumPy array, got {type(array).__name__}")
        dtypes.add(array.dtype)
    if len(dtypes) > 1:
        dtypes = {dtype.newbyteorder("=") for dtype in dtypes}
    if len(dtypes) > 1 or not (dtypes <= COMMON_DTYPES or all(d.kind == "f" and d.itemsize <= 8 for d in dtypes)):
        given = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items() if array is not None)
        raise ValueError(f"{op}: all arrays must share one floating dtype of at most 64 bits, got {given}")


def real(op: str, name: str, value: float) -> float:
    """Read `value` as a Python float; as in torch, True is 1.

    Raises:
        ValueError: it is not a real number.
    """
    if not isinstance(value, (Real, np.bool_)):
        raise ValueError(f"{op}: {name} must be a number, got {value!r}")
    return float(value)


def axis(op: str, name: str, value: int, ndim: int) -> int:
    """Read `value` as an axis of an array of `ndim` axes; negative ones count from the end."""
    value = integer(op, name, value)
    rank = max(ndim, 1)  # as in torch, an array without axes counts as one-dimensional
    if not -rank <= value < rank:
        raise ValueError(f"{op}: {name} must be in [{-rank}, {rank - 1}] for {ndim} axes, got {value}")
    return value % rank


def cotangent(op: str, dy: Any, y: Array) -> Array:
    """`dy` as an array of y's dtype. Raises ValueError unless it has y's shape."""
    dy_array: Array = np.asarray(dy, dtype=y.dtype)
    if dy_array.shape != y.shape:
        raise ValueError(f"{op}: dy must have the shape of the output {y.shape}, got {dy_array.shape}")
    return dy_array
