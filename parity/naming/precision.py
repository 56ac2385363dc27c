"""Precision lost in a computation: all results are float16 numbers, or all are float32 numbers."""

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import Explanation, mistake

_NARROW = (("float16", np.float16), ("float32", np.float32))


def lost(results: list[tuple[Array, Array]]) -> Explanation | None:
    """The low precision of all results (ours, torch's), if torch's are more precise.

    All must also agree with torch's results in half of that precision's digits.
    """
    for name, narrow in _NARROW:
        allowed = float(np.sqrt(np.finfo(narrow).eps))
        if all(_is(ours, narrow) and _near(ours, theirs, allowed) for ours, theirs in results) and not any(
            _is(theirs, narrow) for _, theirs in results
        ):
            return mistake(f"{name}-inside")
    return None


def _is(array: Array, narrow: type[np.floating]) -> bool:
    """Whether every number of a more precise array is representable in the narrow type."""
    if array.dtype.kind != "f" or np.finfo(array.dtype).eps >= np.finfo(narrow).eps:
        return False
    with np.errstate(over="ignore"):
        return bool(np.array_equal(array.astype(narrow).astype(array.dtype), array, equal_nan=True))


def _near(ours: Array, theirs: Array, allowed: float) -> bool:
    if ours.shape != theirs.shape:
        return False
    largest = float(np.abs(theirs).max(initial=0.0))
    return bool(np.all(np.abs(ours - theirs) <= allowed * largest))
