"""A rough comparison that decides how an implementation is called; the lanes compare its numbers."""

from typing import Any

import numpy as np

from parity.cases.op import Array

# Of the largest entry: far above rounding in float32, far below the effect of another reduction, mode or p.
ROUGH = 2.0**-10


def roughly_equal(mine: Any, theirs: Array) -> bool:
    """Whether a result has torch's shape, and no entry is off by more than ROUGH of the largest one."""
    if mine is None or np.shape(mine) != theirs.shape:
        return False
    error = np.abs(np.asarray(mine, np.float64) - theirs).max(initial=0.0)
    return bool(error <= ROUGH * np.abs(theirs).max(initial=0.0))  # False if an entry is NaN
