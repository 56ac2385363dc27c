"""Ties, zeros of both signs, NaN and ±inf: to be where torch has them, and nowhere else."""

from dataclasses import replace

import numpy as np

from parity.cases.torch_op import Op
from parity.lanes.comparison import Difference, Quantities, asked, comparable, quantities, same_form, same_values
from parity.lanes.reference import Expected
from parity.rows.row import Row


def compare(row: Row, op: Op, expected: Expected) -> tuple[dict[str, float], list[Difference]]:
    """The quantities seen, and the differences.

    Ops that only copy and select agree to the bit, the sign of zero included. Where something is computed, the
    integers around the special values keep it exact; a row without an exact lane is compared by which entries
    are NaN, +inf, −inf or finite.
    """
    inputs, dy, theirs = expected.inputs, expected.dy, expected.theirs
    ours = quantities(op, inputs.private(), dy.copy())
    theirs = asked(op, ours, theirs)
    seen = dict.fromkeys(theirs, 0.0)
    form = same_form(ours, theirs)
    theirs = comparable(theirs, form)
    if "exact" not in row.lanes:
        ours, theirs = _kinds(ours), _kinds(theirs)
    found = []
    for name, truth in theirs.items():
        # The sign of a zero says something of the output alone: a gradient may be added up from zeros.
        signed = row.selects and name == "output"
        found += same_values({name: ours[name]}, {name: truth}, signed_zeros=signed)
    return seen, form + [replace(difference, aspect="special") for difference in found]


def _kinds(found: Quantities) -> Quantities:
    """NaN and ±inf as they are, 0 for every finite number."""
    return {name: np.where(np.isfinite(array), 0.0, array) for name, array in found.items()}
