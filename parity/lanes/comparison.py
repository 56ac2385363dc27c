"""Two results held against each other, quantity by quantity."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from parity.cases.case import Case, Lane
from parity.cases.inputs import Inputs
from parity.cases.torch_op import Array, Op

Side = Literal["implementation", "oracle", "both", "undecided"]
# bug: wrong numbers, wrong shapes, a crash on a valid case. convention: another well-known choice than torch's,
# recognised exactly. manners: dtype changed, arguments overwritten, a memory layout or an empty batch refused.
Verdict = Literal["bug", "convention", "manners"]
# What of the quantity disagrees. `ties`: only where values tie or stand at a kink; `special`: NaN, ±inf, −0.
Aspect = Literal["values", "form", "raised", "time", "ties", "special", "dtype", "purity", "layout", "empty"]
Quantities = dict[str, Array]


@dataclass(frozen=True)
class Difference:
    """One quantity that does not agree, and what is known of how."""

    quantity: str
    message: str
    wrong_side: Side = "implementation"
    verdict: Verdict = "bug"
    aspect: Aspect = "values"
    explanation: str | None = None  # its name, where what is wrong has one: see parity.naming
    sentence: str | None = None  # the explanation in words


class Mismatch(AssertionError):  # noqa: N818  # a finding about the implementation
    """The implementation and the oracle differ on a case."""

    def __init__(self, lane: Lane, case: Case, differences: list[Difference]) -> None:
        super().__init__(f"{case}: " + "; ".join(f"{d.quantity}: {d.message}" for d in differences))
        self.lane, self.case, self.differences = lane, case, differences


def quantities(op: Op, inputs: Inputs, dy: Array | None = None) -> Quantities:
    """Call an op and its pullback: {"output": y, "grad_input": dx, "grad_weight": dw, …}.

    A gradient that is None, or an op without a pullback, adds no entry; neither does the cotangent None. The
    pullback of an output whose shape is not the cotangent's is not asked.
    """
    y, pullback = op(*inputs.arrays, **inputs.options)
    found: Quantities = {"output": y if pullback is None else np.array(y)}  # before the pullback may write to it
    if pullback is not None and dy is not None and np.shape(y) == dy.shape:
        for name, gradient in zip(inputs.names, pullback(dy), strict=True):
            if gradient is not None:
                found[f"grad_{name}"] = gradient
    return found


def asked(op: Op, ours: Quantities, theirs: Quantities) -> Quantities:
    """Of the oracle's quantities those that the implementation is held to.

    A layer without a backward owes the output alone; a loss written in the style of courses owes no gradient of
    its targets.
    """
    if getattr(op, "forward_only", False):
        return {"output": theirs["output"]}
    if getattr(op, "lenient", False):
        return {name: value for name, value in theirs.items() if name != "grad_target" or name in ours}
    return theirs


def same_form(ours: Quantities, theirs: Quantities) -> list[Difference]:
    """What is missing, or has another shape (and can be compared no further), or another dtype."""
    differences = []
    for name, expected in theirs.items():
        got = ours.get(name)
        if got is None:
            differences.append(Difference(name, "missing: None or not returned", aspect="form"))
        elif np.shape(got) != expected.shape:
            message = f"has the shape {np.shape(got)}, expected {expected.shape}"
            if name == "output":
                return [Difference(name, message, aspect="form")]
            differences.append(Difference(name, message, aspect="form"))
        elif (dtype := np.asarray(got).dtype) != expected.dtype:
            number = dtype.kind in "fiub"
            differences.append(
                Difference(
                    name,
                    f"is {dtype}, expected {expected.dtype}",
                    verdict="manners" if number else "bug",
                    aspect="dtype" if number else "form",
                    explanation="dtype-changed" if number else None,
                )
            )
    differences += [
        Difference(name, "is a gradient where the oracle has none", aspect="form")
        for name in ours.keys() - theirs.keys()
    ]
    return differences


def comparable(theirs: Quantities, form: list[Difference]) -> Quantities:
    """The quantities whose values can be compared, after `same_form` has found so much."""
    out = {difference.quantity for difference in form if difference.aspect == "form"}
    return {} if "output" in out else {name: value for name, value in theirs.items() if name not in out}


def same_values(ours: Quantities, theirs: Quantities, signed_zeros: bool = False) -> list[Difference]:
    """Quantities whose values differ at all; NaN equals NaN, and −0 equals 0 unless `signed_zeros`."""
    differences = []
    for name, expected in theirs.items():
        got = np.asarray(ours[name])
        wrong = ~((got == expected) | (np.isnan(got) & np.isnan(expected)))
        if signed_zeros:
            wrong |= (np.signbit(got) != np.signbit(expected)) & (expected == 0)
        if wrong.any():
            differences.append(Difference(name, told(got, expected, wrong)))
    return differences


def told(got: Array, expected: Array, wrong: Array) -> str:
    """How many entries are wrong, and the worst of them with both values."""
    with np.errstate(invalid="ignore"):
        error = np.where(wrong, np.abs(got.astype(np.float64) - expected), -1.0)
    worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
    index = f" at {[int(i) for i in worst]}" if worst else ""
    return f"{int(wrong.sum())} of {wrong.size} wrong; worst{index}: {got[worst]!s}, expected {expected[worst]!s}"
