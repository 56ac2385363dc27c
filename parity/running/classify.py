"""What kind of disagreement it is: a bug, a rule for ties alone, or a convention; and its name if it has one."""

from dataclasses import replace

import numpy as np

from parity.cases.case import Case
from parity.cases.restrict import Supports
from parity.cases.torch_op import Op
from parity.lanes import exact
from parity.lanes.comparison import Difference, Mismatch
from parity.lanes.reference import expect
from parity.naming import explain
from parity.rows.row import Row
from parity.subjects import Declined, ImplementationError

DRAWS = 6


def classified(row: Row, op: Op, found: Mismatch, supports: Supports | None) -> Mismatch:
    """The mismatch with what is known of the kind of each difference."""
    return Mismatch(found.lane, found.case, [_classified(row, op, found, d, supports) for d in found.differences])


def _classified(
    row: Row, op: Op, found: Mismatch, difference: Difference, supports: Supports | None
) -> Difference:
    if difference.aspect not in ("values", "special", "form", "raised") or difference.wrong_side == "oracle":
        return difference
    # Real numbers do not tie, so a failure of the bound lane is none of a rule for ties.
    integers = difference.aspect == "values" and found.lane in ("exact", "structure")
    if integers and only_ties(row, op, found.case, difference.quantity):
        difference = replace(difference, aspect="ties")
    explained = explain(row, op, found.lane, difference.quantity, supports)
    if explained is None:
        return difference
    named = replace(difference, explanation=explained.name, sentence=str(explained))
    return replace(named, verdict="convention") if explained.convention else named


def told(difference: Difference) -> str:
    """The difference in words, its kind included."""
    message = difference.message
    if difference.aspect == "ties":
        message += (
            "; only where values tie or stand at a kink: this geometry agrees on distinct values other than 0"
        )
    return message if difference.sentence is None else f"{difference.sentence}; {message}"


def only_ties(row: Row, op: Op, case: Case, quantity: str) -> bool:
    """Whether the quantity agrees, in the geometry of this case, wherever no two values are equal and none is 0.

    Six draws: of both signs, all negative, all positive, so that a mistake of the kind "padding with 0" is seen;
    half of them with numbers larger than the case's, so that one of low precision is.
    """
    if "exact" not in row.lanes:
        return False
    for draw in range(DRAWS):
        try:
            _, differences = exact.compare(row, op, expect(row, _without_ties(case, draw), "exact"))
        except (ImplementationError, Declined, AssertionError, RuntimeError, ValueError, IndexError):
            return False  # it fails there too, or torch or the guard of exactness refuses the numbers
        if any(d.quantity == quantity and d.aspect in ("values", "form") for d in differences):
            return False
    return True


def _without_ties(case: Case, draw: int) -> Case:
    """The same geometry on distinct integers other than 0."""
    generator = np.random.default_rng([case.seed, draw])
    values = {}
    for spec in case.arrays:
        if spec.kind != "real" or spec.shape is None:
            continue
        size = int(np.prod(spec.shape))
        numbers = generator.permutation(size) + 1 + (case.magnitude if draw >= DRAWS // 2 else 0)
        signs = (generator.choice([-1, 1], size), -1, 1)[draw % 3]
        values[spec.name] = (numbers * signs).reshape(spec.shape).astype(float)
    return replace(case, values=values)
