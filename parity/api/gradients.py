"""`parity.check_gradients`: finite differences in NumPy, for ops that torch does not have.

The derivative of ⟨dy, f(x)⟩ in each entry of x, by central differences with three steps h, h/2, h/4, extrapolated
to h = 0 (C. Ridders, Accurate computation of F′(x) and F′(x)F″(x), 1982). The difference of the extrapolations
estimates their error; the roundoff of f, divided by the step, is added. If f accepts complex arguments, the
complex step Im f(x + ih)/h needs no difference and is as accurate as f (W. Squire and G. Trapp, 1998).

This finds a backward pass that does not match the forward pass. If both are wrong in the same way, only an oracle
finds it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parity.cases.case import ArraySpec, Case
from parity.cases.op import Array
from parity.lanes.comparison import same_form, summarize_mismatch
from parity.lanes.errors import error_fact
from parity.lanes.facts import Difference, NotTheDerivative
from parity.report import Failure, Report, RowReport, sentences
from parity.running.sandbox import sandboxed
from parity.subjects import ImplementationError, adapt

ROUNDOFF = 64 * 2.0**-53  # of f and of the sum with dy, relative to Σ|dy·y|
STEP = 2.0**-9  # relative to max(1, |x|): h⁶ and u/h are then about equal
COMPLEX_STEP = 2.0**-100
COMPLEX_ERROR = 2.0**-42  # 2¹¹ roundoffs of the largest entry, which is enough for long sums
MOST = 2000  # entries of an array that are differentiated
JUMP = 2.0**-10  # relative difference between the left and right slopes below which there is no kink


def check_gradients(
    op: Any,
    *arrays: Any,
    options: Mapping[str, Any] | None = None,
    names: Sequence[str] | None = None,
    complex_step: bool = False,
    cotangents: int = 3,
    seed: int = 0,
) -> Report:
    """Compare the gradients of an op with those of finite differences, in float64.

        report = parity.check_gradients(my_op, x, w, options={"stride": 2})

    Args:
        op: in any form that `parity.check` takes.
        *arrays: its arguments, away from kinks; integers and None are passed unchanged.
        options: keywords.
        names: of the arrays, for the report; input, weight, bias, … if omitted.
        complex_step: differentiate by complex arguments, if the op is analytic and accepts them.
        cotangents: random dy to try.
        seed: of the cotangents, and of the entries chosen where an array has more than 2,000.

    Returns:
        a Report, of one row with the lane bound; entries at a kink are skipped, and counted in a note.

    Raises:
        TypeError: the form is not recognized, or there is no gradient to check.
        ValueError: names are too few.
    """
    implementation = adapt(op)
    given = [None if a is None else _wide(np.asarray(a)) for a in arrays]
    called = [*(names or ("input", "weight", "bias")), *(f"array{i}" for i in range(3, len(given)))][: len(given)]
    if len(called) < len(given):
        raise ValueError(f"names: {len(given)} arrays, got {len(called)} names")
    name = getattr(op, "__name__", None) or "gradients"
    specs = tuple(ArraySpec(n, None if a is None else a.shape) for n, a in zip(called, given, strict=True))
    case = Case(name, specs, dict(options or {}), "float64", 1, seed)
    row = RowReport(name)
    report = Report([row], seed, cotangents)
    generator = np.random.default_rng(seed)
    with sandboxed(row.notes.append):
        try:
            y, pullback = implementation(*_copies(given), **case.options)
            if pullback is None:
                raise TypeError(f"{name} has no pullback: there is no gradient to check")
            for _ in range(cotangents):
                dy = (
                    np.asarray(generator.standard_normal(y.shape))
                    if implementation.takes_upstream
                    else np.ones(y.shape)
                )
                _, pullback = implementation(*_copies(given), **case.options)
                assert pullback is not None
                ours = dict(zip((f"grad_{n}" for n in called), pullback(dy.copy()), strict=True))
                for place, array in enumerate(given):
                    if array is None or array.dtype.kind != "f":
                        continue

                    def along(changed: Array, place: int = place, dy: Array = dy) -> Any:
                        arguments = _copies(given)
                        arguments[place] = changed
                        return np.sum(dy * implementation(*arguments, **case.options)[0])

                    size = float(np.sum(np.abs(dy * y)))
                    quantity = f"grad_{called[place]}"
                    differences = _compare(
                        quantity, ours[quantity], array, along, size, complex_step, generator, row
                    )
                    for difference in differences:
                        _report(row, case, difference, implementation.place(quantity))
                row.lanes["bound"] = row.lanes.get("bound", 0) + 1
        except ImplementationError as error:
            _report(row, case, Difference("output", error_fact(error)), implementation.place("output"))
    row.notes += [n for n in implementation.notes if n not in row.notes]
    return report


def _compare(
    quantity: str,
    got: Array | None,
    array: Array,
    along: Any,
    size: float,
    complex_step: bool,
    generator: np.random.Generator,
    row: RowReport,
) -> list[Difference]:
    if form := same_form({} if got is None else {quantity: got}, {quantity: array}):
        return form
    places = np.arange(array.size)
    if array.size > MOST:
        places = np.sort(generator.choice(array.size, MOST, replace=False))
        _note(row, f"{quantity}: {MOST} of {array.size} entries were differentiated, chosen at random")
    truth, allowed = np.array(np.asarray(got), dtype=np.float64), np.full(array.shape, np.inf)
    derive = _complex if complex_step else _central
    kinks = 0
    found = [derive(along, array, int(place), size) for place in places]
    largest = max((abs(value) for value, _ in found), default=0.0)
    for place, (value, error) in zip(places, found, strict=True):
        if error == np.inf:
            kinks += 1
            continue
        truth.flat[place] = value
        allowed.flat[place] = error if not complex_step else COMPLEX_ERROR * max(largest, np.finfo(float).tiny)
    if kinks:
        _note(row, f"{quantity}: {kinks} of {len(places)} entries are at a kink, and were skipped")
    assert got is not None
    distance = np.abs(np.asarray(got) - truth)
    fraction = np.where(distance == 0, 0.0, distance / allowed)
    fraction = np.where(np.isnan(fraction), np.inf, fraction)
    worst = float(fraction.max(initial=0.0))
    row.quantities[quantity] = max(row.quantities.get(quantity, 0.0), worst)
    if worst <= 1:
        return []
    values = summarize_mismatch(np.asarray(got), truth, fraction > 1)
    return [Difference(quantity, NotTheDerivative(values, worst, complex_step))]


def _central(along: Any, array: Array, place: int, size: float) -> tuple[float, float]:
    """The derivative in one entry and its error bound: ∞ at a kink."""
    x = float(array.flat[place])
    h = STEP * max(1.0, abs(x))
    here = float(along(array))
    at, gaps = [], []
    for step in (h, h / 2, h / 4):
        changed = array.copy()
        changed.flat[place] = above = x + step
        up = float(along(changed))
        changed.flat[place] = below = x - step
        down = float(along(changed))
        at.append((up - down) / (above - below))
        gaps.append(abs((up - here) / (above - x) - (here - down) / (x - below)))
    roundoff = 8 * ROUNDOFF * (size + abs(here)) / h
    # The left and right slopes converge as the step shrinks, except at a kink.
    if gaps[2] > gaps[0] / 2 and gaps[2] > JUMP * (abs(at[2]) + gaps[2]) + 4 * roundoff:
        return at[2], np.inf
    once = (4 * at[1] - at[0]) / 3, (4 * at[2] - at[1]) / 3
    twice = (16 * once[1] - once[0]) / 15
    return twice, max(abs(twice - once[0]), abs(twice - once[1])) + roundoff


def _complex(along: Any, array: Array, place: int, size: float) -> tuple[float, float]:  # noqa: ARG001  # as above
    changed = array.astype(np.complex128)
    changed.flat[place] += 1j * COMPLEX_STEP
    return float(np.imag(along(changed))) / COMPLEX_STEP, 0.0


def _report(row: RowReport, case: Case, difference: Difference, place: str | None) -> None:
    """The first failure of each quantity."""
    if any(failure.quantity == difference.quantity for failure in row.failures):
        return
    row.failures.append(Failure(row.name, "bound", case, difference, sentences.diagnosis(difference), place))


def _note(row: RowReport, sentence: str) -> None:
    if sentence not in row.notes:
        row.notes.append(sentence)


def _wide(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _copies(arrays: list[Array | None]) -> list[Any]:
    return [None if array is None else array.copy() for array in arrays]
