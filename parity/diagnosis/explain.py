"""Collect the evidence of a failure by running its case and similar ones again."""

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from parity.cases.case import Case, Lane
from parity.cases.inputs import inputs_of
from parity.cases.op import Array, Op
from parity.cases.primitives import narrowed
from parity.diagnosis.conditions import CASES, FailureKind, Sample, dependence, sample
from parity.diagnosis.evidence import Comparison, Evidence, Precision, Variations
from parity.diagnosis.facets import Facet, facets
from parity.diagnosis.first_layer import first_wrong_layer
from parity.diagnosis.script import script
from parity.diagnosis.variations import vary
from parity.lanes.bound import referee_and_bounds
from parity.lanes.comparison import Quantities, quantities
from parity.lanes.facts import Difference, Layout, layout_of
from parity.lanes.precise import precise_results
from parity.lanes.reference import Expected, expect
from parity.lanes.structure import LAYOUTS, selecting_the_same
from parity.rows.row import Row

LEAST_TO_SEE, MOST_TO_SEE = 9, 400  # largest number of entries of a map


def explain(
    row: Row,
    op: Op,
    lane: Lane,
    case: Case,
    differences: list[Difference],
    run: Callable[[Case], list[Difference]],
    strategy: st.SearchStrategy[Case],
    further: bool = True,
) -> dict[str, Evidence]:
    """Return the evidence for each quantity that differs on a case.

    Args:
        row: what is compared.
        op: the implementation, as an op.
        lane: the lane that found it.
        case: the smallest case.
        differences: the differences on it.
        run: what differs on any case of the lane, known or not.
        strategy: draws the lane's cases that the implementation supports.
        further: whether to run other cases to find the conditions of the failure.

    Raises:
        RuntimeError, ValueError: torch rejects the case.
    """
    expected = expect(row, case, lane)
    ours = _ours(op, expected, layout=_by_layout(differences))
    names = [difference.quantity for difference in differences]
    # Properties of a whole network say little: the layer matters.
    further, layer = further and row.prefixes is None, first_wrong_layer(row, case, run)
    if lane == "structure":  # other cases show the same property
        strategy = narrowed(strategy, lambda _: True, lambda other: selecting_the_same(other, case))
    sampled = _sample(lane, strategy, run) if further else Sample()
    found = {}
    for difference in differences:
        name = difference.quantity
        largest, wider = _largest(row, lane, sampled, difference), None
        if largest is not None:
            larger = expect(row, largest, lane)
            wider = _comparison(row, lane, larger, _ours(op, larger, _by_layout([difference])), name)
        comparison = _comparison(row, lane, expected, ours, name)
        found[name] = Evidence(
            differs=tuple(names),
            agrees=tuple(other for other in expected.theirs if other not in names and other in ours),
            arrays=_arrays(case, expected),
            comparison=comparison,
            dependence=dependence(sampled, _kind(difference)),
            varied=_varied(row, case, difference, run) if further else Variations(),
            script=script(row, op, expected, difference, ours),
            wider=wider,
            wider_case=largest,
            layer=layer,
        )
    return found


def _arrays(case: Case, expected: Expected) -> dict[str, Array]:
    inputs = expected.inputs
    named = {name: array for name, array in zip(inputs.names, inputs.arrays, strict=True) if array is not None}
    for spec in case.arrays:
        if spec.keyword and spec.shape is not None:
            named[spec.name] = inputs.options[spec.name]
    has_gradients = len(expected.theirs) > 1
    return named | ({"dy": expected.dy} if has_gradients else {})


def _by_layout(differences: list[Difference]) -> Layout | None:
    return next((layout for layout in map(layout_of, differences) if layout is not None), None)


def _ours(op: Op, expected: Expected, layout: Layout | None) -> Quantities:
    """The results of the implementation, without those that it cannot compute."""
    inputs, dy = expected.inputs.private(), expected.dy.copy()
    if layout is not None:
        lay = LAYOUTS[layout]
        arrays = tuple(None if array is None else lay(array) for array in expected.inputs.arrays)
        inputs, dy = inputs._replace(arrays=arrays), lay(expected.dy)
    try:
        return {name: np.asarray(array) for name, array in quantities(op, inputs, dy).items()}
    except Exception:  # the diagnosis reports it
        pass
    try:
        return {"output": np.asarray(op(*expected.inputs.private().arrays, **expected.inputs.options)[0])}
    except Exception:
        return {}


def _comparison(row: Row, lane: Lane, expected: Expected, ours: Quantities, name: str) -> Comparison | None:
    yours, torchs = ours.get(name), expected.theirs.get(name)
    if yours is None or torchs is None or yours.shape != torchs.shape or yours.dtype.kind not in "fiu":
        return None
    with np.errstate(all="ignore"):
        error = np.abs(yours.astype(np.float64) - torchs.astype(np.float64))
        same = (yours == torchs) | (np.isnan(yours) & np.isnan(torchs))
        if lane == "special" and row.selects and name == "output":
            same &= (np.signbit(yours) == np.signbit(torchs)) | (torchs != 0)
        numbers = (*expected.inputs.arrays, expected.dy)
        finite = all(a is None or a.dtype.kind != "f" or np.isfinite(a).all() for a in numbers)
        referee = allowed = None
        precision: Precision = "exact" if torchs.dtype == np.float64 else "double"
        if finite:
            truth, bounds = referee_and_bounds(row, expected.inputs, expected.dy, expected.theirs)
            referee, allowed = truth[name], bounds.get(name)
            if _needs_precision(row, lane) and torchs.dtype == np.float64 and allowed is not None:
                precise = (precise_results(row, expected.like, expected.inputs, expected.dy) or {}).get(name)
                if precise is not None:
                    referee, allowed = precise.high, allowed / 2
                    precision = "exact" if row.bilinear else "extended"
        wrong = ~same
        if _needs_precision(row, lane) and referee is not None and allowed is not None:
            wrong &= ~(np.abs(yours - referee) <= allowed) | ~(np.abs(torchs - referee) <= allowed)
        if not wrong.any():
            return None
        worst = tuple(
            int(i)
            for i in np.unravel_index(
                np.argmax(np.where(wrong, np.where(np.isnan(error), np.inf, error), -1.0)), error.shape
            )
        )
        exact = lane != "bound" and "exact" in row.lanes
        return Comparison(
            yours,
            torchs,
            wrong,
            worst,
            0.0 if exact or allowed is None else float(allowed[worst]),
            float(torchs[worst] if referee is None else referee[worst]),
            precision,
        )


def _needs_precision(row: Row, lane: Lane) -> bool:
    """Whether the numbers are rounded, so that torch's own result in float64 is not the exact one."""
    return lane == "bound" or "exact" not in row.lanes


def _sample(lane: Lane, strategy: st.SearchStrategy[Case], run: Callable[[Case], list[Difference]]) -> Sample:
    def fails(case: Case) -> set[FailureKind] | None:
        try:
            return {_kind(difference) for difference in run(case)}
        except Exception:  # declined, or an unexpected exception in the user's code: not a finding
            return None

    def of(case: Case) -> dict[Facet, bool]:
        return facets(case, inputs_of(case, lane, integer=lane != "bound"))

    return sample(strategy, fails, of, CASES)


def _varied(row: Row, case: Case, difference: Difference, run: Callable[[Case], list[Difference]]) -> Variations:
    def fails(changed: Case) -> bool | None:
        try:
            return any(_kind(found) == _kind(difference) for found in run(changed))
        except Exception:  # as above
            return None

    return vary(case, row.valid, fails)


def _kind(difference: Difference) -> FailureKind:
    """Treat ties and special values as values, and missing results as raised."""
    if difference.aspect in ("values", "ties", "special", "layout"):
        return difference.quantity, "values"
    return difference.quantity, "raised" if difference.aspect == "time" else difference.aspect


def _largest(row: Row, lane: Lane, sampled: Sample, difference: Difference) -> Case | None:
    """The failing case with the most entries, to show a pattern."""
    quantity = difference.quantity
    most, largest = 0, None
    for case, failing in zip(sampled.cases, sampled.failing, strict=True):
        if _kind(difference) in failing:
            array = expect(row, case, lane).theirs.get(quantity)
            size = 0 if array is None or array.ndim < 2 else array.size
            if LEAST_TO_SEE <= size <= MOST_TO_SEE and size > most:
                most, largest = size, case
    return largest
