"""Mistakes with a number that is estimated from the results: a constant factor, a learning rate."""

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import Explanation, mistake, scaled
from parity.naming.observation import Entry, Evidence
from parity.naming.probe import NotApplicable, Probe

Direction: TypeAlias = Callable[[Probe], Array]
DIGITS = 6  # digits printed


def fitted(evidence: Evidence) -> Iterator[Explanation]:
    """Explanations with a number estimated from one failing case, in double precision if there is one."""
    first = max(evidence.failing, key=lambda entry: entry.ours.dtype.itemsize)
    for more in _measured(first, lambda probe: probe.reference()):
        yield mistake("constant-factor", result=scaled(_always(1 + more)), factor=_printed(1 + more))
    for more in _measured(first, _through_weight_gradient):
        yield mistake("updated-weights", "grad_input", formula=_after_update(-more), rate=_printed(-more))


def _printed(number: float) -> str:
    return f"{number:.{DIGITS}g}"


def _always(value: float) -> Callable[[Probe], float]:
    return lambda _: value


def _measured(entry: Entry, direction: Direction) -> Iterator[float]:
    """s in ours = theirs + s·direction, by least squares: rounded to a plausible constant, and unrounded."""
    if entry.ours.shape != entry.theirs.shape or not np.isfinite(entry.ours).all():
        return
    try:
        along = direction(entry.probe).astype(np.float64)
    except (NotApplicable, ValueError):
        return
    if along.shape == entry.theirs.shape and np.isfinite(along).all() and along.any():
        difference = entry.ours.astype(np.float64) - entry.theirs
        share = _sum(difference * along) / _sum(along * along)
        yield float(_printed(1 + share)) - 1
        yield float(_printed(share))
        yield share


def _sum(a: Array) -> float:
    """The sum, rounded once: a factor estimated from a long array must fit short ones up to a few roundings."""
    return math.fsum(a.ravel())


def _with_weight(probe: Probe, weight: Array) -> Array:
    return probe.with_arrays(weight=np.ascontiguousarray(weight)).reference()


def _through_weight_gradient(probe: Probe) -> Array:
    """dx with dw in place of w: dx is linear in w, so this is the change by a step on the weights."""
    if probe.quantity != "grad_input":
        raise NotApplicable("only dx is computed from the weights")
    return _with_weight(probe, probe.of_quantity("grad_weight").reference())


def _after_update(rate: float) -> Callable[[Probe], Array]:
    def formula(probe: Probe) -> Array:
        step = probe.of_quantity("grad_weight").reference()
        return _with_weight(probe, probe.array("weight") - step.dtype.type(rate) * step)

    return formula
