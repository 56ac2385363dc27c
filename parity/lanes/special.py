"""Ties, signed zeros, NaN and ±inf: they must occur in the same places as in torch's results."""

from dataclasses import replace

import numpy as np

from parity.cases.inputs import Inputs
from parity.cases.op import Array, Op
from parity.lanes.comparison import Quantities, comparable, quantities, required, same_form, same_values
from parity.lanes.facts import Difference
from parity.lanes.reference import Expected, graded
from parity.lanes.rounding import rounded
from parity.rows.row import Row


def compare(row: Row, op: Op, expected: Expected) -> tuple[dict[str, float], list[Difference]]:
    """Return the compared quantities and the differences; this lane never decides which side is wrong.

    Ops that only copy and select must agree bit for bit, including the sign of zero. For ops that compute, the
    integers around the special values keep the results exact; for a row without an exact lane, only the positions
    of NaN, +inf, −inf and finite entries are compared.
    """
    inputs, dy, theirs = expected.inputs, expected.dy, expected.theirs
    ours = quantities(op, inputs.private(), dy.copy())
    theirs = required(op, ours, theirs)
    seen = dict.fromkeys(theirs, 0.0)
    form = same_form(ours, theirs)
    theirs = comparable(theirs, form)
    if "exact" not in row.lanes:
        ours, theirs = _kinds(ours), _kinds(theirs)
        if same_values(ours, theirs):
            theirs = _of_either_precision(expected, ours, theirs)
    special = has_special(inputs, dy)  # otherwise it is an ordinary difference of finite numbers
    found = [
        replace(difference, only="special")
        if special or not np.isfinite(theirs[difference.quantity]).all()
        else rounded(row, expected, ours, [graded(row, expected, ours, difference)])[0]
        for difference in same_values(ours, theirs)
    ]
    # The sign of a zero matters only in the output of selecting ops: a gradient may be a sum of zeros.
    if row.selects and "output" in theirs and not any(d.quantity == "output" for d in found):
        signed = same_values(ours, {"output": theirs["output"]}, signed_zeros=True)
        found += [replace(difference, only="special") for difference in signed]
    return seen, form + found


def has_special(inputs: Inputs, dy: Array) -> bool:
    """Whether NaN, ±inf or −0 is among the numbers."""
    numbers = [a for a in (*inputs.arrays, dy) if a is not None and a.dtype.kind == "f"]
    return any(not np.isfinite(a).all() or np.signbit(a[a == 0]).any() for a in numbers)


def _kinds(found: Quantities) -> Quantities:
    """Replace every finite number by 0, and keep NaN and ±inf."""
    return {name: np.where(np.isfinite(array), 0.0, array) for name, array in found.items()}


def _of_either_precision(expected: Expected, ours: Quantities, theirs: Quantities) -> Quantities:
    """Replace torch's kinds of numbers by those that it computes in double precision, where ours equal them.

    A slope that is 0 in float32, but only because it underflows, makes 0·∞ = NaN of an infinite dy.
    """
    arrays, options = expected.inputs.in_precision(np.dtype(np.float64))
    inputs = expected.inputs._replace(arrays=arrays, options=options)
    double = _kinds(quantities(expected.like, inputs, expected.dy.astype(np.float64)))
    return {
        name: np.where(_equal(ours[name], double[name]), double[name], array).astype(array.dtype)
        for name, array in theirs.items()
    }


def _equal(a: Array, b: Array) -> Array:
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)))
