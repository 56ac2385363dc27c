"""A correct formula that loses digits, recognized by computing the same cases in float32 and in float64.

Roundoff depends on the precision, a mistake does not: the error of a correct formula is 2²⁹ times smaller in
float64, even if digits cancel, as in E[x²] − E[x]².
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from parity.cases.case import Case
from parity.cases.torch_op import Array, Op
from parity.lanes.comparison import Quantities, quantities
from parity.lanes.facts import Explained
from parity.lanes.reference import expect
from parity.naming.sentences import SENTENCES
from parity.rows.row import Row
from parity.subjects import Declined, ImplementationError

LEAST, MOST = 20, 60  # cases
FALLS = 2.0**-20  # at least by this factor; a factor of 2⁻⁹ allows for the randomness of a few roundings
LARGEST = 2.0**-6  # of the largest number: a larger error in float32 is not roundoff
ROUNDINGS = 64  # in float64


def loses_digits(row: Row, op: Op, cases: Iterable[Case], quantity: str) -> Explained | None:
    """The explanation that a quantity is correct up to roundoff, or None.

    Args:
        row: what is compared.
        op: the implementation, as an op.
        cases: the reported case, and others of the bound lane.
        quantity: a result that is outside its bound on the first case.
    """
    count = 0
    for case in cases:
        try:
            errors = _errors(row, op, replace(case, dtype="float32"), quantity)
        except (ImplementationError, Declined, RuntimeError, ValueError, IndexError):
            errors = None
        if errors is None and count == 0:
            return None
        if errors is None:
            continue
        single, double, scale = errors
        floor = ROUNDINGS * float(np.finfo(np.float64).eps) * scale
        if not (single <= LARGEST * scale and double <= max(FALLS * single, floor)):
            return None
        count += 1
        if count >= MOST:
            break
    if count < LEAST:
        return None
    return Explained("digits-lost", SENTENCES["digits-lost"], False, count, 0, exactly=False, in_double=True)


def _errors(row: Row, op: Op, case: Case, quantity: str) -> tuple[float, float, float] | None:
    """The largest error in float32 and in float64, and the largest number; None if a result is missing."""
    expected = expect(row, case, "bound")
    arrays, options = expected.inputs.in_float64()
    wide, dy = expected.inputs._replace(arrays=arrays, options=options), expected.dy.astype(np.float64)
    truth = quantities(expected.like, wide.private(), dy)
    single = quantities(op, expected.inputs.private(), expected.dy.copy())
    double = quantities(op, wide.private(), dy.copy())
    if not all(quantity in found for found in (truth, single, double)):
        return None
    exact = truth[quantity]
    shapes = {np.shape(found[quantity]) for found in (truth, single, double)}
    if len(shapes) != 1 or not exact.size or not np.isfinite(exact).all():
        return None
    scale = max(_largest(array) for array in (*(a for a in arrays if a is not None), dy, exact))
    return _error(single, exact, quantity), _error(double, exact, quantity), scale


def _error(found: Quantities, exact: Array, quantity: str) -> float:
    with np.errstate(invalid="ignore"):
        error = np.abs(np.asarray(found[quantity], np.float64) - exact)
    return float(np.where(np.isnan(error), np.inf, error).max(initial=0.0))


def _largest(array: Array) -> float:
    return float(np.abs(array, dtype=np.float64).max(initial=0.0)) if array.dtype.kind == "f" else 0.0
