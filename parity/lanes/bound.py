"""Real numbers: each side within its derived bound of a float64 run, which is the referee."""

from collections.abc import Collection

import numpy as np

from parity.bounds.derived import BoundInputs
from parity.cases.inputs import Inputs
from parity.cases.op import Array, Op
from parity.cases.torch_op import oracle
from parity.lanes.comparison import (
    Quantities,
    comparable,
    quantities,
    required,
    same_form,
    summarize_mismatch,
)
from parity.lanes.facts import Difference, OutsideBound, Side
from parity.lanes.normwise import allowances
from parity.lanes.precise import Precise, PreciseResults, precise_results
from parity.lanes.reference import Expected
from parity.rows.row import Row


def compare(row: Row, op: Op, expected: Expected) -> tuple[dict[str, float], list[Difference]]:
    """Return the implementation's worst error in each quantity as a fraction of its bound, and the differences."""
    inputs, dy, theirs = expected.inputs, expected.dy, expected.theirs
    ours = quantities(op, inputs.private(), dy.copy())
    form = same_form(ours, required(op, ours, theirs))
    names = comparable(required(op, ours, theirs), form).keys()
    fractions, differences = judge(row, inputs, dy, ours, theirs, names)
    return fractions, form + differences


def judge(
    row: Row,
    inputs: Inputs,
    dy: Array,
    ours: Quantities,
    theirs: Quantities,
    names: Collection[str] | None = None,
    limits: tuple[Quantities, Quantities] | None = None,
) -> tuple[dict[str, float], list[Difference]]:
    """Compare both sides with the bound around the referee's result.

    In float64 the oracle's own result is the reference, and the bounds of both sides are added. Then
    `parity.lanes.precise` decides which side is wrong, if it has a more precise result. A result in a lower
    precision than the case's is not judged here: its dtype is the mistake.

    Args:
        row: what is compared.
        inputs: the arrays and options.
        dy: the cotangent.
        ours: the implementation's result.
        theirs: the oracle's.
        names: the quantities to judge; all of the oracle's if omitted.
        limits: the result of `referee_and_bounds` for these arguments, if known.
    """
    referee, allowed = limits or referee_and_bounds(row, inputs, dy, theirs)
    kind = np.finfo(theirs["output"].dtype)
    in_double = kind.dtype == np.float64
    fractions, differences = {}, list[Difference]()
    precise: PreciseResults | None = None
    for name, truth in referee.items():
        if name not in allowed or (names is not None and name not in names):
            continue
        bound = allowed[name]
        got = np.asarray(ours[name])
        if got.dtype.kind == "f" and np.finfo(got.dtype).eps > np.finfo(theirs[name].dtype).eps:
            continue
        fractions[name], outside = _fraction(got, truth, bound)
        oracles, oracle_outside = _fraction(theirs[name], truth, bound)
        if max(fractions[name], oracles) > 1:
            side: Side = "undecided"
            if not in_double:
                side = _who(fractions[name], oracles)
            else:
                if precise is None:
                    precise = precise_results(row, oracle(row.like), inputs, dy) or {}
                if name in precise:
                    side = _who_precisely(precise[name], got, theirs[name], bound / 2)
            of_fast = (
                {} if fractions[name] <= 1 or oracles > 1 else allowances(row, inputs, dy, float(kind.eps) / 2)
            )
            fast = name in of_fast and bool((np.abs(got - truth) <= bound + of_fast[name]).all())
            values = (
                summarize_mismatch(got, truth, outside)
                if fractions[name] > 1
                else summarize_mismatch(theirs[name], truth, oracle_outside)
            )
            fact = OutsideBound(values, fractions[name], oracles)
            differences.append(
                Difference(name, fact, "undecided", "normwise") if fast else Difference(name, fact, side)
            )
    return fractions, differences


def referee_and_bounds(row: Row, inputs: Inputs, dy: Array, theirs: Quantities) -> tuple[Quantities, Quantities]:
    """The referee's result and the error allowed around it, for each quantity: arrays in double precision.

    For a case in float64 the oracle's own result is the reference, and the bounds of both sides are added up.
    """
    like = oracle(row.like)
    arrays, options = inputs.in_float64()
    wide_dy = dy.astype(np.float64)
    kind = np.finfo(theirs["output"].dtype)
    in_double = kind.dtype == np.float64
    referee = theirs if in_double else quantities(like, inputs._replace(arrays=arrays, options=options), wide_dy)
    of_inputs = BoundInputs(row.like, like, arrays, options, wide_dy, float(kind.eps) / 2, float(kind.tiny))
    allowed_y, allowed_gradients = row.bound(of_inputs)
    allowed = {"output": allowed_y}
    if row.state_bound is not None:
        allowed |= row.state_bound(of_inputs)
    for name, gradient in zip(inputs.names, allowed_gradients, strict=False):
        if gradient is not None:
            allowed[f"grad_{name}"] = gradient
    allowed = {name: bound for name, bound in allowed.items() if name in theirs}
    return referee, {name: bound * (2 if in_double else 1) for name, bound in allowed.items()}


def _who(ours: float, oracles: float) -> Side:
    if ours > 1 and oracles > 1:
        return "both"
    return "implementation" if ours > 1 else "oracle"


def _who_precisely(precise: Precise, ours: Array, theirs: Array, bound: Array) -> Side:
    """The side outside its bound, if it is certain for both sides whether they are."""
    sides = precise.within(ours, bound), precise.within(theirs, bound)
    decided: dict[tuple[bool | None, bool | None], Side] = {
        (False, True): "implementation",
        (True, False): "oracle",
        (False, False): "both",
    }
    return decided.get(sides, "undecided")


def _fraction(got: Array, truth: Array, bound: Array) -> tuple[float, Array]:
    """The largest error as a fraction of its bound (∞ if no error is allowed), and a mask of errors above 1."""
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(got.astype(np.float64) - truth)
        fraction = np.where(error == 0, 0.0, error / bound)
        both_nan = np.isnan(got) & np.isnan(truth)
    fraction = np.where(both_nan | (bound == np.inf), 0.0, np.where(np.isnan(fraction), np.inf, fraction))
    return float(fraction.max(initial=0.0)), fraction > 1
