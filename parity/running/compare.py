"""Compare the implementation with the oracle on one case in one lane."""

from dataclasses import replace
from types import ModuleType

import numpy as np

from parity.cases.case import Case, Lane
from parity.cases.op import Op
from parity.lanes import bound, exact, special, structure
from parity.lanes.errors import error_fact
from parity.lanes.facts import Difference, EmptyRefused, WrongShape
from parity.lanes.reference import Expected, expect
from parity.rows.row import Row
from parity.subjects import Implementation, ImplementationError

COMPARISONS: dict[Lane, ModuleType] = {"exact": exact, "bound": bound, "structure": structure, "special": special}


def differences_of(row: Row, op: Op, lane: Lane, case: Case) -> tuple[dict[str, float], list[Difference]]:
    """Return the errors as fractions of their bounds, and the differences, for one case.

    Raises:
        Declined: the implementation does not support this case.
    """
    return compare(row, op, lane, expect(row, case, lane))


def compare(row: Row, op: Op, lane: Lane, expected: Expected) -> tuple[dict[str, float], list[Difference]]:
    """The same with the oracle's results already computed."""
    case = expected.case
    empty = lane == "structure" and any(spec.shape is not None and 0 in spec.shape for spec in case.arrays)
    try:
        fractions, differences = COMPARISONS[lane].compare(row, op, expected)
    except ImplementationError as error:
        if lane == "special" and error.aspect == "raised" and _only_on_special(row, op, expected):
            first = "output" if not error.in_pullback else f"grad_{case.arrays[0].name}"
            return {}, [Difference(first, error_fact(error), only="special")]
        if empty and error.aspect == "raised":
            first = "output" if not error.in_pullback else f"grad_{case.arrays[0].name}"
            return {}, [Difference(first, EmptyRefused(error_fact(error)))]
        if error.in_pullback and error.aspect != "time":
            first = next(spec.name for spec in case.arrays)
            fractions, differences = COMPARISONS[lane].compare(row, _without_pullback(op), expected)
            return fractions, [*differences, Difference(f"grad_{first}", error_fact(error))]
        return {}, [Difference("output", error_fact(error))]
    if empty:
        differences = [_of_empty(difference) for difference in differences]
    return fractions, [_graded(expected, difference) for difference in differences]


def _of_empty(difference: Difference) -> Difference:
    """The difference, graded as that of an empty array if both results are empty: `np.array([])` has no axes."""
    fact = difference.fact
    if isinstance(fact, WrongShape) and 0 in fact.got and 0 in fact.expected:
        return replace(difference, fact=EmptyRefused(fact))
    return difference


def _graded(expected: Expected, difference: Difference) -> Difference:
    """The difference as one of special values, if torch's result is NaN: a mean over no targets is undefined."""
    y = expected.theirs["output"]
    undefined = difference.aspect == "values" and y.size > 0 and bool(np.isnan(y).all())
    return replace(difference, only="special", wrong_side="undecided") if undefined else difference


def _only_on_special(row: Row, op: Op, expected: Expected) -> bool:
    """Whether the arrays contain NaN, ±inf or −0, and the same case on ordinary numbers does not raise."""
    if not special.has_special(expected.inputs, expected.dy):
        return False
    lane: Lane = "exact" if "exact" in row.lanes else "bound"
    try:
        COMPARISONS[lane].compare(row, op, expect(row, expected.case, lane))
    except (ImplementationError, RuntimeError, ValueError, AssertionError):  # or the numbers are not exact
        return False
    return True


def _without_pullback(op: Op) -> Implementation:
    return Implementation(lambda *arrays, **options: (op(*arrays, **options)[0], None), forward_only=True)
