"""What a failure depends on: random cases are run, and those that fail are told from those that do not."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from hypothesis import strategies as st

from parity.cases.case import Case
from parity.cases.primitives import Nothing, draw_plainly, draws_plainly

CASES, SECONDS = 150, 0.7
# A condition is told when, were it none, so many cases without it would pass with a smaller probability than this.
# There are some fifty candidates, and one of them by accident would be one too many.
CHANCE = 1e-4
MOST_NEEDED = 3
# Facets that are worth telling where a failure needs them, and otherwise not.
MINOR = (
    "bias axis",
    "a pair",
    "an empty",
    "a zero",
    "a negative",
    "pixels",
    "windows",
    "image",
    "kernel",
    "different numbers",
    "several taps",
)


# A quantity, and how it differs: in its values, or because the implementation raised, …
Kind: TypeAlias = tuple[str, str]


@dataclass
class Sample:
    """Random cases that have been run."""

    cases: list[Case] = field(default_factory=list)
    facets: list[dict[str, bool]] = field(default_factory=list)
    failing: list[set[Kind]] = field(default_factory=list)


@dataclass
class Dependence:
    """What was learnt of one quantity from so many cases."""

    cases: int = 0
    failing: int = 0
    needed: list[str] = field(default_factory=list)  # sentences
    alike: list[str] = field(default_factory=list)  # facets with and without which it fails


def sample(
    strategy: st.SearchStrategy[Case],
    fails: Callable[[Case], set[Kind] | None],
    facets: Callable[[Case], dict[str, bool]],
    seconds: float = SECONDS,
) -> Sample:
    """Run random cases for so many seconds at most.

    Args:
        strategy: draws cases; where it does so by Hypothesis alone, none is run.
        fails: what differs on a case, quantities and how; None where it counts for nothing (declined, rejected).
        facets: properties of a case.
        seconds: when to stop.
    """
    found = Sample()
    if not draws_plainly(strategy):
        return found
    generator, until = random.Random(0), time.monotonic() + seconds
    while len(found.cases) < CASES and time.monotonic() < until:
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


def dependence(found: Sample, kind: Kind) -> Dependence:
    """What the failures of a quantity have in common that no other case has.

    Where nothing could be compared, for the implementation raised, nothing is known of the other quantities.
    """
    table = [
        (facets, kind in failing)
        for facets, failing in zip(found.facets, found.failing, strict=True)
        if kind in failing or not any(how == "raised" for _, how in failing)
    ]
    learnt = Dependence(len(table), sum(failed for _, failed in table))
    if learnt.failing:
        _learn(table, learnt)
    return learnt


def _learn(table: list[tuple[dict[str, bool], bool]], learnt: Dependence) -> None:
    names = sorted({name for facets, _ in table for name in facets})
    told: set[str] = set()
    within = table
    while len(learnt.needed) < MOST_NEEDED:
        best: tuple[int, str, bool] | None = None
        rate = sum(failed for _, failed in within) / len(within)
        for name in names:
            for value in (True, False):
                others = [failed for facets, failed in within if facets.get(name, False) is not value]
                if name in told or any(others) or not others or (1 - rate) ** len(others) > CHANCE:
                    continue
                if best is None or len(others) > best[0]:
                    best = len(others), name, value
        if best is None:
            break
        passing, name, value = best
        told.add(name)
        within = [entry for entry in within if entry[0].get(name, False) is value]
        failing = sum(failed for _, failed in within)
        of_these = f" of {'these' if len(told) > 1 else 'such cases'}"
        share = f"all {failing}{of_these} fail" if failing == len(within) else f"{failing} of {len(within)} fail"
        start = "and only" if len(told) > 1 else "only"
        learnt.needed.append(f"{start} {_said(name, value)}: {share}, none of the {passing} others")
    for name in names:
        sides = {facets.get(name, False) for facets, failed in within if failed}
        if name not in told and sides == {True, False} and not name.startswith(MINOR) and not name.endswith(MINOR):
            learnt.alike.append(name)


def _said(name: str, value: bool) -> str:
    thing, _, state = name.rpartition(" ")
    if name == "float64":
        return "in float64" if value else "in float32"
    if state == "given":
        return f"where {thing} is {'given' if value else 'None'}"
    if name.endswith(" left out"):
        return f"where {name.removesuffix(' left out')} is {'left out' if value else 'given'}"
    if name.endswith(" not square"):
        return f"where the {name if value else name.replace('not ', '')}".replace(" square", " is square").replace(
            "not is", "is not"
        )
    if " > " in name:
        return f"with {name if value else name.replace('>', '=')}"
    return f"with {name}" if value else f"without {name}"
