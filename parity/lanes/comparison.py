"""Compare two results, quantity by quantity."""

import numpy as np

from parity.cases.case import Case, Lane
from parity.cases.inputs import Inputs
from parity.cases.op import Array, Op
from parity.cases.state import BUFFERS, collected
from parity.lanes.facts import (
    Difference,
    DtypeChanged,
    Missing,
    NotNumbers,
    Side,
    Unexpected,
    ValuesDiffer,
    WrongShape,
)

Quantities = dict[str, Array]


class Mismatch(AssertionError):  # noqa: N818  # a finding about the implementation
    """The implementation and the oracle differ on a case."""

    def __init__(self, lane: Lane, case: Case, differences: list[Difference]) -> None:
        super().__init__(f"{case}: " + "; ".join(f"{d.quantity}: {d.fact}" for d in differences))
        self.lane, self.case, self.differences = lane, case, differences


def quantities(op: Op, inputs: Inputs, dy: Array | None = None) -> Quantities:
    """Call an op and its pullback: {"output": y, "grad_input": dx, "grad_weight": dw, …}.

    A gradient that is None adds no entry. The pullback is called only if there is one, a cotangent is given, and
    the output has its shape. Running statistics that the op keeps, or updates in place, are
    returned as {"running_mean": …, "running_var": …}.
    """
    given = {n: a for n, a in zip(inputs.names, inputs.arrays, strict=True) if n in BUFFERS and a is not None}
    before = {name: array.copy() for name, array in given.items()}
    with collected() as kept:
        y, pullback = op(*inputs.arrays, **inputs.options)
    found: Quantities = {"output": y if pullback is None else np.array(y)}  # before the pullback may write to it
    for name, array in given.items():
        after = kept.get(name)
        if after is not None:  # in the layer's shape and precision
            after = after.reshape(array.shape) if after.size == array.size else after
            found[name] = after.astype(array.dtype) if after.dtype.kind in "fiu" else after
        elif not np.array_equal(array, before[name], equal_nan=True):
            found[name] = array.copy()
    if pullback is not None and dy is not None and np.shape(y) == dy.shape:
        for name, gradient in zip(inputs.names, pullback(dy), strict=True):
            if gradient is not None:
                found[f"grad_{name}"] = gradient
    return found


def required(op: Op, ours: Quantities, theirs: Quantities) -> Quantities:
    """Return the quantities of the oracle that the implementation must return.

    A layer without a backward must return only the output; a loss in the style of courses need not return the
    gradient of its targets. Running statistics are compared if the implementation has them.
    """
    theirs = {name: value for name, value in theirs.items() if name not in BUFFERS or name in ours}
    theirs = {name: value for name, value in theirs.items() if name not in getattr(op, "lacks", ())}
    in_training = getattr(op, "backward_in_training", False) and not any(n.startswith("grad_") for n in ours)
    if getattr(op, "forward_only", False) or in_training:
        return {name: value for name, value in theirs.items() if not name.startswith("grad_")}
    if getattr(op, "lenient", False):
        return {name: value for name, value in theirs.items() if name != "grad_target" or name in ours}
    return theirs


def same_form(ours: Quantities, theirs: Quantities) -> list[Difference]:
    """Return the quantities that are missing or have another shape (then not comparable) or dtype."""
    differences = []
    for name, expected in theirs.items():
        got = ours.get(name)
        if got is None:
            differences.append(Difference(name, Missing()))
        elif np.shape(got) != expected.shape:
            differences.append(Difference(name, WrongShape(np.shape(got), expected.shape)))
            if name == "output":
                return differences[-1:]
        elif (dtype := np.asarray(got).dtype) != expected.dtype:
            fact = DtypeChanged if dtype.kind in "fiub" else NotNumbers
            differences.append(Difference(name, fact(str(dtype), str(expected.dtype))))
    return differences + [
        Difference(name, Unexpected()) for name in ours if name not in theirs and name not in BUFFERS
    ]


def comparable(theirs: Quantities, form: list[Difference]) -> Quantities:
    """Return the quantities whose values can be compared, given the differences found by `same_form`."""
    out = {difference.quantity for difference in form if difference.aspect == "form"}
    return {} if "output" in out else {name: value for name, value in theirs.items() if name not in out}


def same_values(
    ours: Quantities, theirs: Quantities, signed_zeros: bool = False, sides: dict[str, Side] | None = None
) -> list[Difference]:
    """Return the quantities whose values differ; NaN equals NaN, and −0 equals 0 unless `signed_zeros`.

    Args:
        ours: the implementation's.
        theirs: the oracle's.
        signed_zeros: whether the sign of a zero counts.
        sides: which side is wrong, for the quantities where this is decided.
    """
    differences = []
    for name, expected in theirs.items():
        got = _rounded(np.asarray(ours[name]), expected)
        wrong = ~((got == expected) | (np.isnan(got) & np.isnan(expected)))
        if signed_zeros:
            wrong |= (np.signbit(got) != np.signbit(expected)) & (expected == 0)
        if wrong.any():
            side = (sides or {}).get(name, "undecided")
            differences.append(Difference(name, summarize_mismatch(got, expected, wrong), side))
    return differences


def _rounded(got: Array, expected: Array) -> Array:
    """Round results of a higher precision, which `same_form` reports, to the oracle's."""
    wider = got.dtype.kind == expected.dtype.kind == "f" and got.dtype.itemsize > expected.dtype.itemsize
    return got.astype(expected.dtype) if wider else got


def summarize_mismatch(got: Array, expected: Array, wrong: Array) -> ValuesDiffer:
    """Return the number of wrong entries, and both values of the worst one."""
    with np.errstate(invalid="ignore"):
        error = np.where(wrong, np.abs(got.astype(np.float64) - expected), -1.0)
    worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
    index = tuple(int(i) for i in worst)
    return ValuesDiffer(int(wrong.sum()), wrong.size, index, got[worst].item(), expected[worst].item())
