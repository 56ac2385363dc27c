"""Losses without torch's options: determine the reduction, and whether targets may be probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from parity.cases.case import Case, Lane
from parity.cases.restrict import narrowed
from parity.cases.sizes import REDUCTIONS
from parity.lanes.comparison import Quantities, quantities
from parity.lanes.reference import expect
from parity.rows.row import Row
from parity.running.roughly import roughly_equal
from parity.subjects import Declined, Implementation, ImplementationError, Unrecognised

SEEDS = 3


def lacks_reduction(made: Implementation, case: Case, row: Row, lane: Lane) -> bool:
    """Whether a loss has no parameter for the reduction: it declines all but one."""
    if "reduction" not in case.options or "reduction" in made.fixed:
        return False
    expected = expect(row, replace(case, options=case.options | {"reduction": "sum"}), lane)
    try:
        made(*expected.inputs.private().arrays, **expected.inputs.options)
    except Declined as reason:
        return "reduction" in reason.narrows
    except (ImplementationError, Unrecognised):
        return False
    return False


def reduction_of(row: Row, made: Implementation, lane: Lane, case: Case, known: Mapping[str, Any]) -> str | None:
    """The reduction of a loss that takes none; None if it is none of torch's.

    The output decides; but torch's default if the gradient is that of the default, because then the mistake is in
    the output. If no output is correct, a unique shape decides.

    Args:
        row: of the loss.
        made: the implementation, for which `reduction` is fixed.
        lane: of the case.
        case: with several samples.
        known: its capabilities so far.
    """
    shaped: list[str] = []
    right: list[str] = []
    by_gradient: list[str] = []
    for reduction in ("mean", *(other for other in REDUCTIONS if other != "mean")):
        expected = expect(row, narrowed(case, {**known, "reduction": reduction}), lane)
        dy = expected.dy if made.takes_upstream else np.ones_like(expected.dy)
        inputs = expected.inputs.private()
        try:
            found = quantities(made, inputs, dy)
            theirs = expected.theirs if made.takes_upstream else quantities(expected.like, inputs, dy)
        except (Declined, ImplementationError, Unrecognised):
            continue
        if np.shape(found["output"]) == theirs["output"].shape:
            shaped.append(reduction)
            right += [reduction] if _close(found, theirs, "output") else []
            by_gradient += [reduction] if _close(found, theirs, f"grad_{inputs.names[0]}") else []
    if "mean" in right or (right and "mean" in by_gradient):
        return "mean"
    return right[0] if right else shaped[0] if len(shaped) == 1 else None


def ignores_reduction(row: Row, made: Implementation, lane: Lane, case: Case, known: Mapping[str, Any]) -> bool:
    """Whether the output of a loss follows the reduction, but its gradient does not."""
    found = {}
    for reduction in ("mean", "sum"):
        narrow = narrowed(case, {**known, "reduction": reduction, "upstream": 1})
        expected = expect(row, narrow, lane)
        try:
            ours = quantities(made, expected.inputs.private(), expected.dy.copy())
        except (Declined, ImplementationError, Unrecognised):
            return False
        gradient = ours.get(f"grad_{expected.inputs.names[0]}")
        if gradient is None or not _close(ours, expected.theirs, "output"):
            return False
        found[reduction] = gradient
    return np.array_equal(found["mean"], found["sum"])


def _close(found: Quantities, theirs: Quantities, name: str) -> bool:
    return name in theirs and roughly_equal(found.get(name), theirs[name])


def takes_classes_only(row: Row, made: Implementation, lane: Lane, cases: Sequence[Case]) -> bool:
    """Whether a loss accepts probabilities as targets but is correct only for classes.

    Such code converts rows with `argmax`, or looks up one entry of each row.

    Args:
        row: of the loss.
        made: the implementation.
        lane: of the cases.
        cases: with probabilities as targets.
    """
    return bool(cases) and not any(is_right(row, made, lane, case) for case in cases)


def similarity(row: Row, made: Implementation, lane: Lane, case: Case) -> float:
    """|cos| of the angle between the gradient of the first array and torch's: 1 if they differ by a factor."""
    try:
        expected = expect(row, case, lane)
        found = quantities(made, expected.inputs.private(), expected.dy.copy())
    except (Declined, ImplementationError, Unrecognised):
        return 0.0
    except (RuntimeError, ValueError, IndexError):  # torch rejects the case
        return 0.0
    name = f"grad_{expected.inputs.names[0]}"
    ours, theirs = (np.ravel(np.asarray(gradients.get(name, 0.0))) for gradients in (found, expected.theirs))
    if ours.shape != theirs.shape:
        return 0.0
    norms = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return abs(float(ours @ theirs)) / norms if norms and np.isfinite(norms) else 0.0


def is_right(row: Row, made: Implementation, lane: Lane, case: Case) -> bool:
    """Whether the output and the gradient of the first array, if there is one, are close to torch's."""
    try:
        expected = expect(row, case, lane)
        found = quantities(made, expected.inputs.private(), expected.dy.copy())
    except (RuntimeError, ValueError, IndexError, Declined, ImplementationError, Unrecognised):
        return False  # or torch rejects the case
    name = f"grad_{expected.inputs.names[0]}"
    return _close(found, expected.theirs, "output") and (name not in found or _close(found, expected.theirs, name))
