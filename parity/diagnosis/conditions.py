"""The conditions of a failure: run random cases and find properties that only failing ones have."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from hypothesis import strategies as st

from parity.cases.case import Case
from parity.cases.primitives import Nothing, draw_plainly, draws_plainly
from parity.diagnosis.evidence import Condition, Dependence
from parity.diagnosis.facets import Facet

CASES = 100  # counted, not timed, so that the same seed gives the same report
# A condition is reported if all cases without it would otherwise pass only with a smaller probability than this.
# There are some fifty candidates, and one of them by accident would be one too many.
CHANCE = 1e-4
MOST_NEEDED = 3

# A quantity, and how it differs: in its values, or because the implementation raised, …
FailureKind: TypeAlias = tuple[str, str]


@dataclass
class Sample:
    """Random cases that have been run."""

    cases: list[Case] = field(default_factory=list)
    facets: list[dict[Facet, bool]] = field(default_factory=list)
    failing: list[set[FailureKind]] = field(default_factory=list)


def sample(
    strategy: st.SearchStrategy[Case],
    fails: Callable[[Case], set[FailureKind] | None],
    facets: Callable[[Case], dict[Facet, bool]],
    cases: int = CASES,
) -> Sample:
    """Run random cases.

    Args:
        strategy: draws cases; if only Hypothesis can draw them, none is run.
        fails: what differs on a case, quantities and how; None for one that does not count (declined, rejected).
        facets: properties of a case.
        cases: the number of cases.
    """
    found = Sample()
    if not draws_plainly(strategy):
        return found
    generator = random.Random(0)
    for _ in range(cases):
        try:
            case, _ = draw_plainly(strategy, generator)
        except Nothing:
            break
        failed = fails(case)
        if failed is not None:
            found.cases.append(case)
            found.facets.append(facets(case))
            found.failing.append(failed)
    return found


def dependence(found: Sample, kind: FailureKind) -> Dependence:
    """Find what only the failing cases of a quantity have in common.

    Cases on which the implementation raised have no quantities and are excluded.
    """
    table = [
        (facets, kind in failing)
        for facets, failing in zip(found.facets, found.failing, strict=True)
        if kind in failing or not any(how == "raised" for _, how in failing)
    ]
    failing = sum(failed for _, failed in table)
    needed, alike = _learn(table) if failing else ([], [])
    return Dependence(len(table), failing, tuple(needed), tuple(alike))


def _learn(table: list[tuple[dict[Facet, bool], bool]]) -> tuple[list[Condition], list[Facet]]:
    names = sorted({name for facets, _ in table for name in facets}, key=repr)
    needed: list[Condition] = []
    used: set[Facet] = set()
    within = table
    while len(needed) < MOST_NEEDED:
        best: tuple[int, Facet, bool] | None = None
        rate = sum(failed for _, failed in within) / len(within)
        for name in names:
            for value in (True, False):
                others = [failed for facets, failed in within if facets.get(name, False) is not value]
                if name in used or any(others) or not others or (1 - rate) ** len(others) > CHANCE:
                    continue
                if best is None or len(others) > best[0]:
                    best = len(others), name, value
        if best is None:
            break
        passing, name, value = best
        used.add(name)
        within = [entry for entry in within if entry[0].get(name, False) is value]
        needed.append(Condition(name, value, sum(failed for _, failed in within), len(within), passing))
    alike = [
        name
        for name in names
        if name not in used
        and not name.minor
        and {facets.get(name, False) for facets, failed in within if failed} == {True, False}
    ]
    return needed, alike
