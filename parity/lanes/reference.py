"""What the oracle expects of a case, computed once and passed on to the lane, to trust and to the report."""

from typing import NamedTuple

from parity.cases.case import Case, Lane
from parity.cases.inputs import Inputs, inputs_of
from parity.cases.torch_op import Array, Op, oracle
from parity.lanes.comparison import Quantities
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
        RuntimeError, ValueError: torch rejects the case.
    """
    inputs = inputs_of(case, lane, integer=lane != "bound")
    like = oracle(row.like)
    y, pullback = like(*inputs.arrays, **inputs.options)
    dy = inputs.cotangent(y)
    theirs: Quantities = {"output": y}
    for name, gradient in zip(inputs.names, pullback(dy), strict=True):
        if gradient is not None:
            theirs[f"grad_{name}"] = gradient
    return Expected(case, inputs, like, dy, theirs)
