"""Limit the sizes of cases for an implementation whose memory grows with the square of an axis.

An interpolation by a matrix needs 8 GB for an axis of 32,769 pixels.
"""

import tracemalloc

import numpy as np

from parity.cases.case import Case, Lane
from parity.cases.restrict import fits, narrowed
from parity.lanes.reference import expect
from parity.rows.row import Row
from parity.subjects import Declined, Implementation, ImplementationError

LONG = 1024  # pixels of the long axis: a matrix of its square has 8 MB
SHARE = 128  # bytes per byte of the arrays: im2col with a 3×3 kernel in float64 needs less than half
NUMBERS = 1000  # the limit for such an implementation


def grows_with_the_square(row: Row, made: Implementation, lane: Lane, case: Case) -> bool:
    """Whether a call for one long axis needs more memory than its arrays, by a large factor."""
    shape = case.arrays[0].shape or ()
    if len(shape) != 4:
        return False
    channels = 1 if len(case.arrays) == 1 else shape[1]
    case = narrowed(case, {"batch": 1, "input": (channels, shape[2], LONG)})
    if (case.arrays[0].shape or ())[-1:] != (LONG,) or not fits(case, {}) or not row.valid(case):
        return False
    expected = expect(row, case, lane)
    arrays = [a for a in (*expected.inputs.arrays, expected.dy) if a is not None]
    given = expected.inputs.private()
    tracemalloc.start()
    try:
        y, pullback = made(*given.arrays, **given.options)
        if pullback is not None and np.shape(y) == expected.dy.shape:
            pullback(expected.dy.copy())
        peak = tracemalloc.get_traced_memory()[1]
    except (Declined, ImplementationError):
        return False
    finally:
        tracemalloc.stop()
    return peak > SHARE * sum(array.nbytes for array in arrays)
