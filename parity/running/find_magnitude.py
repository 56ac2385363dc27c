"""Find out whether the scores of a loss have to be small."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from parity.cases.case import Case
from parity.cases.op import Array
from parity.cases.restrict import narrowed
from parity.lanes.reference import expect
from parity.running.trials import EACH, Trials
from parity.subjects import Declined, Implementation, ImplementationError

MODERATE = 8  # scores of this standard deviation leave every probability in the range of float32


def overflow(trials: Trials, implementation: Implementation, known: Mapping[str, Any]) -> dict[str, Any]:
    """Restrict scores to small numbers if a probability that underflows makes the loss infinite."""
    loud = [replace(case, magnitude=200, seed=seed) for case in trials.simple()[:1] for seed in range(4 * EACH)]
    if (
        trials.row.kind != "op"
        or not any(spec.kind == "classes" for spec in loud[0].arrays)
        or "magnitude" in known
    ):
        return {}
    seen = [_output(trials, implementation, narrowed(case, {**trials.fixed, **known})) for case in loud]
    numbers = [found for found in seen if found is not None and np.ndim(found[0]) == 0]
    ours, theirs = np.array([y for y, _ in numbers]), np.array([expected for _, expected in numbers])
    if ours.size == 0 or np.isfinite(ours).all() or not np.isfinite(theirs).all():
        return {}
    # log(0) is −∞, and 0·log(0) is NaN for one-hot targets; the gradients are not affected.
    if np.isnan(ours).any() and not all(_finite_gradient(trials, implementation, case, known) for case in loud):
        return {}
    return {} if np.isneginf(ours).any() else {"magnitude": MODERATE}


def _finite_gradient(trials: Trials, implementation: Implementation, case: Case, known: Mapping[str, Any]) -> bool:
    """Whether all entries of the gradient of the scores are numbers."""
    trials.calls += 1
    try:
        expected = expect(trials.row, narrowed(case, {**trials.fixed, **known}), trials.lane)
        _, pullback = implementation(*expected.inputs.private().arrays, **expected.inputs.options)
        gradient = None if pullback is None else pullback(np.ones_like(expected.dy))[0]
    except (RuntimeError, ValueError, IndexError, Declined, ImplementationError):
        return False
    return gradient is not None and bool(np.isfinite(gradient).all())


def _output(trials: Trials, implementation: Implementation, case: Case) -> tuple[Array, Array] | None:
    trials.calls += 1
    try:
        expected = expect(trials.row, case, trials.lane)
        y, _ = implementation(*expected.inputs.private().arrays, **expected.inputs.options)
    except (RuntimeError, ValueError, IndexError, Declined, ImplementationError):
        return None
    return y, expected.theirs["output"]
