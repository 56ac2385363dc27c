"""Finds the explanation that reproduces an implementation's results on many cases.

An explanation fits if it returns the implementation's result on every case, including passing ones, and differs
from the oracle on every failing case, since an edit without effect explains nothing. If none fits, one that
reproduces all failing cases is reported as such; then pairs are tried. If nothing fits, no name is given.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeAlias

import numpy as np

from parity.cases.case import Case, Lane
from parity.cases.op import Array
from parity.cases.torch_op import own_kernels
from parity.lanes.facts import Explained
from parity.naming.blocks import lost_parts
from parity.naming.catalogue import explanations_of
from parity.naming.explanation import Explanation
from parity.naming.fitted import fitted
from parity.naming.observation import FEW_CASES, MOST_CASES, Entry, Evidence, Observation, agree
from parity.naming.precision import lost
from parity.naming.probe import NotApplicable, Probe
from parity.naming.roundoff import of_precision

LEAST_FAILING = 3  # cases that an explanation has to reproduce
COMMON = 8  # sizes of axes: for larger ones, the random cases have few of other sizes
PAIRED = 300  # explanations combined into pairs: a whole network has too many
MOST_PAIRS = 2500
LEAST_ENTRIES = 12  # of the first case for pairs, a small one because there are many pairs

Result: TypeAlias = Callable[[Explanation, Probe], Array | None]


class Fit(NamedTuple):
    """An explanation that fits, and the number of cases on which it was checked."""

    explanation: Explanation
    failing: int  # cases on which torch differs
    passing: int  # cases on which it does not
    exactly: bool  # bit for bit where the numbers are integers
    always: bool = True  # False: it reproduces only the failing cases

    @property
    def explained(self) -> Explained:
        """The facts for the report."""
        e = self.explanation
        return Explained(
            e.name, e.sentence, e.convention and self.always, self.failing, self.passing, self.exactly, self.always
        )


def explain(
    observation: Observation, quantity: str, case: Case | None = None, lane: Lane | None = None
) -> Explained | None:
    """The explanation of a quantity that differs, or None.

    Args:
        observation: the implementation's results in the lane that found the difference.
        quantity: output, grad_input, …
        case: the reported case, which an explanation has to reproduce too.
        lane: the lane of that case.
    """
    with own_kernels():
        on = None if case is None or lane is None else observation.entry(case, lane, quantity)
        # If only the sign of a zero differs, a mistake that shows otherwise too shows in many cases.
        most = FEW_CASES if on is None and lane == "special" else MOST_CASES
        evidence = observation.evidence(quantity, LEAST_FAILING, most)
        if case is None or lane is None:
            return None if evidence is None else _reproduced(observation, quantity, evidence)
        rare = evidence is None or max(case.arrays[0].shape or (), default=1) > COMMON
        evidence = evidence or observation.evidence(quantity, 0, most) or Evidence([], [])
        if rare:
            evidence = evidence.with_more(observation.around(quantity, case, lane))
        if on is not None:
            evidence = evidence.with_more(Evidence([on], []))
        enough = len(evidence.failing) >= LEAST_FAILING
        found = _reproduced(observation, quantity, evidence) if enough else None
    if found is None and lane == "bound":
        cases = observation.cases(lane, case)
        found = of_precision(observation.row, observation.op, cases, quantity)
    return found


def _reproduced(observation: Observation, quantity: str, evidence: Evidence) -> Explained | None:
    probe = evidence.failing[0].probe
    candidates = dict.fromkeys((*observation.explained, *explanations_of(observation.row.name, probe)))
    # A difference that only NaN, ∞ or −0 shows is rarely two mistakes, and most of the search is for pairs.
    paired = 0 if observation.lane == "special" else PAIRED
    found = search(evidence, [e for e in candidates if e.explains(quantity)], paired=paired)
    if found is not None and found.explanation not in observation.explained:
        observation.explained.insert(0, found.explanation)  # it often also explains the next quantity
    return None if found is None else found.explained


def result_of(explanation: Explanation, probe: Probe) -> Array | None:
    """The explanation's result for a call, or None."""
    try:
        with np.errstate(all="ignore"):
            return explanation.result(probe)
    except NotApplicable:
        return None


def search(
    evidence: Evidence, candidates: Sequence[Explanation], result: Result = result_of, paired: int = PAIRED
) -> Fit | None:
    """The first candidate, measured scale or precision, or pair of the first `paired` that fits the evidence."""
    possible: list[Explanation] = []  # the first failing case rules out most of them
    for explanation in candidates:
        if _reproduces(explanation, evidence.failing[0], result) is not None:
            fit = _fit(explanation, evidence, result, always=True)
            if fit is not None:
                return fit
            possible.append(explanation)
    return (
        _precision(evidence)
        or _first_fitting(lost_parts(evidence), evidence, result)
        or _first_fitting(fitted(evidence), evidence, result)
        or _first_fitting(possible, evidence, result, always=False)
        or _first_fitting(_pairs(candidates[:paired], evidence, result), evidence, result)
    )


def _precision(evidence: Evidence) -> Fit | None:
    found = lost([(entry.ours, entry.theirs) for entry in evidence.failing])
    return None if found is None else Fit(found, len(evidence.failing), 0, exactly=True)


def _reproduces(explanation: Explanation, entry: Entry, result: Result) -> Array | None:
    found = result(explanation, entry.probe)
    return None if found is None or not agree(entry.ours, found, entry.probe) else found


def _first_fitting(
    candidates: Iterable[Explanation], evidence: Evidence, result: Result, always: bool = True
) -> Fit | None:
    for explanation in candidates:
        fit = _fit(explanation, evidence, result, always)
        if fit is not None:
            return fit
    return None


def _fit(explanation: Explanation, evidence: Evidence, result: Result, always: bool) -> Fit | None:
    """The fit on every case, or on the failing ones; a case without a result rules out the explanation."""
    exactly = any(entry.integer for entry in evidence.failing)
    for entry in (*evidence.failing, *(evidence.passing if always else ())):
        found = _reproduces(explanation, entry, result)
        if found is None:
            return None
        exactly &= not entry.integer or bool(np.array_equal(entry.ours, found, equal_nan=True))
    if any(_unchanged(explanation, entry, result) for entry in evidence.failing):
        return None
    return Fit(explanation, len(evidence.failing), len(evidence.passing), exactly, always)


def _unchanged(explanation: Explanation, entry: Entry, result: Result) -> bool:
    found = result(explanation, entry.probe)
    return found is not None and found.shape == entry.theirs.shape and agree(found, entry.theirs, entry.probe)


def _pairs(candidates: Sequence[Explanation], evidence: Evidence, result: Result) -> Iterator[Explanation]:
    """Pairs, of explanations that change the result of a small failing case, that reproduce it."""
    first = min(evidence.failing, key=lambda entry: (entry.ours.size < LEAST_ENTRIES, entry.ours.size))
    changing = []
    for explanation in candidates:
        found = result(explanation, first.probe)
        if found is not None and not agree(found, first.theirs, first.probe):
            changing.append(explanation)
    pairs = (a.with_another(b) for a in changing for b in changing if a.name != b.name)
    made = islice((pair for pair in pairs if pair is not None), MOST_PAIRS)
    return (pair for pair in made if _reproduces(pair, first, result_of) is not None)
