"""Roundoff beyond the bound, recognized by its randomness.

The error of a wrong formula is a smooth function of the input: if the input changes by a few units in the last
place, the error changes by as little. Roundoff is random and is replaced by other roundoff, also where digits
cancel, as in E[x²] − E[x]². Intermediate results in a lower precision do not pass: for inputs so close to each
other, their roundoff is the same.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np

from parity.cases.case import Case, Dtype
from parity.cases.inputs import Inputs
from parity.cases.op import Array, Op
from parity.lanes import bound
from parity.lanes.comparison import Quantities, quantities
from parity.lanes.facts import Explained
from parity.lanes.reference import expect
from parity.naming.sentences import SENTENCES
from parity.rows.row import Row
from parity.subjects import Declined, ImplementationError

LEAST, MOST, TRIED = 20, 60, 200  # cases with a result, and cases in total
LARGEST: dict[Dtype, float] = {"float32": 2.0**-6, "float64": 2.0**-20}  # error, of the largest number
ROUNDINGS = 64  # of the largest number: a smaller error shows nothing
MOVED = 16  # units in the last place by which the numbers change
MOVES = 8  # changes, since one may give a similar error by chance
CHANGES = 1 / 8  # of its size, by which roundoff changes at least


def of_precision(row: Row, op: Op, cases: Iterable[Case], quantity: str) -> Explained | None:
    """The explanation that all errors of a quantity are due to its precision, or None.

    Args:
        row: what is compared.
        op: the implementation, as an op.
        cases: the reported case, and others of the bound lane; each is computed in both precisions.
        quantity: a result that is outside its bound on the first case.
    """
    tried = [*islice(cases, TRIED)]
    if not tried or not _differs(row, op, quantity, tried[0]):
        return None  # the result depends on earlier calls
    for name, holds in (("digits-lost", _random), ("single-accuracy", _single)):
        count = _count(tried, partial(holds, row, op, quantity))
        if count >= LEAST:
            # To lose digits is a choice of formula, which fails unless accepted; float32's accuracy is a note.
            choice = name == "digits-lost"
            return Explained(name, SENTENCES[name], choice, count, 0, exactly=False, roundoff=True)
    return None


def _differs(row: Row, op: Op, quantity: str, case: Case) -> bool:
    try:
        return any(d.quantity == quantity for d in bound.compare(row, op, expect(row, case, "bound"))[1])
    except (ImplementationError, Declined, RuntimeError, ValueError, IndexError):
        return False


def _count(cases: list[Case], holds: Callable[[Case], bool | None]) -> int:
    """The number of cases for which it holds in both precisions; 0 if it does not for the first or any other."""
    count = 0
    for case in cases:
        try:
            found = [holds(replace(case, dtype=dtype)) for dtype in LARGEST]
        except (ImplementationError, Declined, RuntimeError, ValueError, IndexError):
            found = [None]
        if False in found or (None in found and count == 0):
            return 0
        count += None not in found
        if count >= MOST:
            break
    return count


def _single(row: Row, op: Op, quantity: str, case: Case) -> bool | None:
    """Whether an elementwise function satisfies the bound of float32, as a rational approximation may."""
    if not row.elementwise or "exact" in row.lanes:
        return False
    expected = expect(row, case, "bound")
    ours = quantities(op, expected.inputs.private(), expected.dy.copy())
    if quantity not in ours or np.shape(ours[quantity]) != expected.theirs[quantity].shape:
        return None
    narrow = {name: array.astype(np.float32) for name, array in expected.theirs.items()}
    correct, allowed = bound.referee_and_bounds(row, expected.inputs, expected.dy, narrow)
    return bool((np.abs(ours[quantity] - correct[quantity]) <= allowed[quantity]).all())


def _random(row: Row, op: Op, quantity: str, case: Case) -> bool | None:
    """Whether the error is negligible or random; None if the result is missing or not finite."""
    expected = expect(row, case, "bound")
    generator, eps = np.random.default_rng(case.seed), float(np.finfo(case.dtype).eps)

    def moved(array: Array | None) -> Array | None:
        if array is None or array.dtype.kind != "f":
            return array
        by = generator.uniform(-MOVED, MOVED, array.shape) * eps
        return np.asarray((array * (1 + by)).astype(array.dtype))

    def error(inputs: Inputs, dy: Array) -> tuple[Array, Array] | None:
        """The error and the correct result."""
        ours = quantities(op, inputs.private(), dy.copy()).get(quantity)
        truth = _correct(expected.like, inputs, dy).get(quantity)
        if ours is None or truth is None or np.shape(ours) != truth.shape or not np.isfinite(truth).all():
            return None
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(
                np.asarray(ours, np.float64) - truth, nan=np.inf, posinf=np.inf, neginf=-np.inf
            ), truth

    first, again = error(expected.inputs, expected.dy), error(expected.inputs, expected.dy)
    if first is None or again is None or not first[1].size:
        return None
    numbers = (*expected.inputs.arrays, expected.dy, first[1])
    scale = max(_largest(array) for array in numbers if array is not None)
    largest = _largest(first[0])
    if largest <= ROUNDINGS * eps * scale:
        return True
    if not np.array_equal(first[0], again[0]) or largest > LARGEST[case.dtype] * scale:
        return False
    for _ in range(MOVES):
        arrays = tuple(map(moved, expected.inputs.arrays))
        dy = moved(expected.dy)
        other = None if dy is None else error(expected.inputs._replace(arrays=arrays), dy)
        if other is not None and _largest(other[0] - first[0]) >= CHANGES * largest:
            return True
    return False


def _correct(like: Op, inputs: Inputs, dy: Array) -> Quantities:
    arrays, options = inputs.in_float64()
    return quantities(like, inputs._replace(arrays=arrays, options=options).private(), dy.astype(np.float64))


def _largest(array: Array) -> float:
    return float(np.abs(array).max(initial=0.0)) if array.dtype.kind == "f" else 0.0
