"""The oracle's results for a case, computed once and used by the lane, by `trust` and by the report."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from parity.cases.case import Case, Lane
from parity.cases.inputs import Inputs, inputs_of
from parity.cases.journal import Journal
from parity.cases.op import Array, Op
from parity.cases.state import collected
from parity.cases.torch_op import oracle
from parity.lanes.comparison import Quantities, quantities
from parity.lanes.facts import Difference, Side
from parity.lanes.normwise import allowances
from parity.rows.row import Row


class Expected(NamedTuple):
    """The arrays of a case, the cotangent, and the oracle's results for them."""

    case: Case
    inputs: Inputs
    like: Op
    dy: Array
    theirs: Quantities


def expect(row: Row, case: Case, lane: Lane) -> Expected:
    """Draw the case's arrays (reals in the bound lane, integers elsewhere) and run the oracle on them.

    Raises:
        RuntimeError, ValueError: torch rejects the case, or its result is not defined.
    """
    Journal.expected = case, lane
    if not row.sound(case):
        raise ValueError(f"torch's result is not defined: {case}")
    inputs = inputs_of(case, lane, integer=lane != "bound")
    like = oracle(row.like)
    with collected() as kept:
        y, pullback = like(*inputs.arrays, **inputs.options)
    # In sums of products, 0·∞ depends on whether a library skips zeros; a selection has no products.
    dy = inputs.cotangent(y, special=lane == "special" and (row.selects or row.elementwise))
    theirs: Quantities = {"output": y}
    if row.state_bound is not None and lane != "special":  # finite statistics, each with a bound
        theirs |= kept
    for name, gradient in zip(inputs.names, pullback(dy), strict=True):
        if gradient is not None:
            theirs[f"grad_{name}"] = gradient
    return Expected(case, inputs, like, dy, theirs)


def decide(row: Row, expected: Expected, ours: Quantities, differences: list[Difference]) -> list[Difference]:
    """The differences of exact integers, with the side that is wrong.

    The referee is the oracle in the other precision. In float32 it is the more precise one. In float64 its kernels
    differ: if both results are equal, no operation rounded, and the oracle's result is exact; otherwise (numbers
    that float32 cannot represent) the wrong side stays undecided.
    """
    if not differences:
        return differences
    differences = [graded(row, expected, ours, difference) for difference in differences]
    in_double = expected.theirs["output"].dtype == np.float64
    other = np.dtype(np.float32 if in_double else np.float64)
    arrays, options = expected.inputs.in_precision(other)
    inputs = expected.inputs._replace(arrays=arrays, options=options)
    referee = quantities(expected.like, inputs, expected.dy.astype(other))
    sides = [_side(d, expected.theirs, ours, referee) for d in differences]
    if in_double:
        sides = [side if side == "implementation" else "undecided" for side in sides]
    decided = zip(differences, sides, strict=True)
    return [d if d.only else replace(d, wrong_side=side) for d, side in decided]


def graded(row: Row, expected: Expected, ours: Quantities, difference: Difference) -> Difference:
    """The difference, marked as normwise if rounding to the nearest integers gives the correct result."""
    name = difference.quantity
    got, truth = ours[name], expected.theirs[name]
    u = float(np.finfo(truth.dtype).eps) / 2
    with np.errstate(invalid="ignore"):
        error = np.abs(got - truth)
        if not (error < 0.5).all():
            return difference
    allowed = allowances(row, expected.inputs, expected.dy, u).get(name)
    if allowed is None or not (error <= allowed).all():
        return difference
    return replace(difference, only="normwise", wrong_side="undecided")


def _side(difference: Difference, theirs: Quantities, ours: Quantities, referee: Quantities) -> Side:
    truth = referee[difference.quantity]
    if np.array_equal(theirs[difference.quantity], truth):
        return "implementation"
    return "oracle" if np.array_equal(ours[difference.quantity], truth) else "both"
