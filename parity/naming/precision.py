"""Precision lost on the way, seen by the numbers that come back: all are float16's, or float32's."""

import numpy as np

from parity.cases.torch_op import Array
from parity.naming.explanation import Explanation

_NARROW = (("float16", np.float16), ("float32", np.float32))


def lost(results: list[tuple[Array, Array]]) -> Explanation | None:
    """The precision that all results (ours, torch's) have in common, where torch's have more.

    Besides, each must be as near to torch's as that precision lets it be: half of its digits agree.
    """
    for name, narrow in _NARROW:
        allowed = float(np.sqrt(np.finfo(narrow).eps))
        if all(_is(ours, narrow) and _near(ours, theirs, allowed) for ours, theirs in results) and not any(
            _is(theirs, narrow) for _, theirs in results
        ):
            sentence = f"precision is lost: every number that comes back is a {name}"
            return Explanation(f"{name}-inside", sentence)
    return None


def _is(array: Array, narrow: type[np.floating]) -> bool:
    """Whether every number of the array, which has more precision, is one of so little."""
    if array.dtype.kind != "f" or np.finfo(array.dtype).eps >= np.finfo(narrow).eps:
        return False
    with np.errstate(over="ignore"):
        return bool(np.array_equal(array.astype(narrow).astype(array.dtype), array, equal_nan=True))


def _near(ours: Array, theirs: Array, allowed: float) -> bool:
    if ours.shape != theirs.shape:
        return False
    largest = float(np.abs(theirs).max(initial=0.0))
    return bool(np.all(np.abs(ours - theirs) <= allowed * largest))
