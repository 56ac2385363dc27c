"""The exact lane: bitwise equality on small integers."""

import numpy as np

from parity.cases.inputs import Inputs
from parity.cases.op import Array, Op
from parity.lanes.comparison import comparable, quantities, required, same_form, same_values
from parity.lanes.facts import Difference
from parity.lanes.reference import Expected, decide
from parity.lanes.rounding import rounded
from parity.rows.row import Row


def compare(row: Row, op: Op, expected: Expected) -> tuple[dict[str, float], list[Difference]]:
    """Return the largest difference of each quantity (0 if equal), and the differences."""
    inputs, dy, theirs = expected.inputs, expected.dy, expected.theirs
    guard(row, inputs)
    ours = quantities(op, inputs.private(), dy.copy())
    theirs = required(op, ours, theirs)
    form = same_form(ours, theirs)
    found = same_values(ours, comparable(theirs, form))
    return dict.fromkeys(theirs, 0.0), form + rounded(row, expected, ours, decide(row, expected, ours, found))


def guard(row: Row, inputs: Inputs) -> None:
    """Reject a case whose sums might not be exact: Σ|x||w| must stay below 2^24 in float32, 2^53 in float64.

    Each sum has at most as many terms as the largest array has elements, and each term has two factors: numbers of
    the arrays if the op is bilinear, otherwise sums of two of them, as in a squared difference. The strategies of
    rows that multiply more often keep their own sums exact, and run in float64.
    """
    given: list[Array] = [a for a in inputs.arrays if a is not None]
    digits = np.finfo(next(a.dtype for a in given if np.issubdtype(a.dtype, np.floating))).nmant + 1
    terms = 1 + max(a.size for a in given)
    factor = inputs.magnitude if row.bilinear else 2 * inputs.magnitude
    if terms * factor**2 >= 2**digits:
        raise AssertionError(f"{row.name}: {terms} terms of magnitude {inputs.magnitude} are too many to be exact")
