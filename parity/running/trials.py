"""Counted calls of an implementation on small cases, and their outcomes."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from parity.cases.case import Case, Lane
from parity.cases.primitives import Nothing, draw_plainly, draws_plainly
from parity.cases.restrict import Supports, fits, narrow, narrowed, numbers_in
from parity.cases.sample import sample
from parity.lanes.reference import Expected, expect
from parity.rows.row import Row
from parity.running.simple_cases import simple_cases
from parity.subjects import Declined, Implementation, ImplementationError

MOST_CALLS = 500
EACH = 3  # cases that must all fail before a form is excluded
DRAWS = 40  # cases drawn in search of small ones of a kind

Kind = Literal[
    "right", "gradients", "missing", "pullback", "shape", "form", "alone", "refused", "declined", "invalid", "time"
]
# The outcome of a call that returned no result, by the aspect of its error.
_KINDS: dict[str, Kind] = {"time": "time", "raised": "refused", "alone": "alone"}
RAISED: frozenset[Kind] = frozenset({"pullback", "refused", "declined", "time"})
FORWARD_RIGHT: frozenset[Kind] = frozenset({"right", "gradients", "missing", "pullback"})


@dataclass(frozen=True)
class Outcome:
    """The outcome of one call."""

    kind: Kind
    narrows: Mapping[str, Any] = field(default_factory=dict)
    deliberate: bool = False
    takes_upstream: bool = True
    missing: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()  # arrays whose gradients have the wrong shape


class Trials:
    """Counted calls of one implementation on cases of one row."""

    def __init__(self, row: Row, supports: Supports | None, fixed: Mapping[str, Any]) -> None:
        self.row, self.supports, self.fixed, self.calls = row, supports, dict(fixed), 0
        self.lane: Lane = next(lane for lane in ("bound", *row.lanes) if lane in row.lanes)

    def simple(self) -> list[Case]:
        """Cases with default options and distinct sizes; a few generated ones if there are none."""
        made = [
            case for template in sample(self.row.strategy(lane=self.lane), 1) for case in simple_cases(template)
        ]
        made = [narrowed(case, self.fixed) for case in made]
        made = [case for case in made if fits(case, self.fixed) and self._accepted(case) and self.row.valid(case)]
        return made or self.drawn({}, count=EACH)

    def _accepted(self, case: Case) -> bool:
        where = self.supports if callable(self.supports) else self.fixed.get("where")
        return where is None or bool(where(case))

    def settled(self, implementation: Implementation, case: Case) -> tuple[Outcome, dict[str, Any]]:
        """The outcome on the case, which is adjusted while the implementation declines it with a reason."""
        known: dict[str, Any] = {}
        outcome = self.attempt(implementation, case)
        while outcome.kind == "declined" and (new := self.new(outcome, known)):
            known |= new
            case = narrowed(case, {**self.fixed, **known})
            outcome = self.attempt(implementation, case)
        return outcome, known

    def new(self, outcome: Outcome, known: Mapping[str, Any]) -> dict[str, Any]:
        return {
            word: value for word, value in outcome.narrows.items() if word not in known and word not in self.fixed
        }

    def drawn(
        self, words: Mapping[str, Any], kind: Callable[[Case], bool] | None = None, count: int = EACH
    ) -> list[Case]:
        """A few small cases of one kind that satisfy the keywords."""
        strategy = narrow(self.row.strategy(lane=self.lane), self.supports)
        strategy = narrow(strategy, {**words, **self.fixed})
        strategy = narrow(strategy, kind)
        if words.get("nesterov"):  # torch rejects it without a momentum
            strategy = narrow(strategy, lambda case: case.options["momentum"] != 0)
        if draws_plainly(strategy):
            generator, found = random.Random(str(sorted(map(str, words)))), []
            for _ in range(DRAWS):
                try:
                    found.append(draw_plainly(strategy, generator)[0])
                except Nothing:
                    break
                if len(found) >= 2 * count:
                    break
        else:
            found = sample(strategy, count)
        return sorted(found, key=numbers_in)[:count]

    def attempt(self, implementation: Implementation, case: Case) -> Outcome:
        """One forward and one pullback."""
        self.calls += 1
        if self.calls > MOST_CALLS:
            return Outcome("invalid")
        try:
            expected = expect(self.row, case, self.lane)
        except (RuntimeError, ValueError, IndexError, TypeError, Declined):
            return Outcome("invalid")  # torch rejects the case
        inputs = expected.inputs.private()
        try:
            y, pullback = implementation(*inputs.arrays, **inputs.options)
        except Declined as reason:
            return Outcome("declined", reason.narrows)
        except ImplementationError as error:
            kind = _KINDS.get(error.aspect, "form")
            return Outcome(kind, deliberate=getattr(error, "deliberate", False))
        if np.shape(y) != expected.dy.shape:
            return Outcome("shape")
        if pullback is None:
            return Outcome("right")
        try:
            return _judged(implementation, expected, pullback)
        except Declined as reason:
            return Outcome("declined", reason.narrows)
        except ImplementationError as error:
            kind = "time" if error.aspect == "time" else "pullback" if error.aspect == "raised" else "gradients"
            return Outcome(
                kind, deliberate=getattr(error, "deliberate", False), takes_upstream=pullback.takes_upstream
            )

    def lacks(self, implementation: Implementation, case: Case, name: str, other: Any) -> bool:
        """Whether it has no parameter for an option: it declines another value."""
        if name not in case.options or name in self.fixed:
            return False
        moved = {"momentum": 0.3} if name == "nesterov" else {}
        outcome = self.attempt(implementation, replace(case, options=case.options | {name: other} | moved))
        return outcome.kind == "declined" and name in outcome.narrows


def _judged(implementation: Implementation, expected: Expected, pullback: Any) -> Outcome:
    dy = expected.dy if pullback.takes_upstream else np.ones_like(expected.dy)
    gradients = dict(zip(expected.inputs.names, pullback(dy.copy()), strict=True))
    takes_upstream = pullback.takes_upstream
    if takes_upstream and implementation.optional_upstream:
        doubled = pullback(2 * dy)
        takes_upstream = any(
            g is not None and not np.array_equal(g, d) for g, d in zip(gradients.values(), doubled, strict=True)
        )
    theirs = {name.removeprefix("grad_"): g for name, g in expected.theirs.items() if name.startswith("grad_")}
    missing = tuple(
        n for n in theirs if gradients.get(n) is None and not (implementation.lenient and n == "target")
    )
    misshapen = tuple(
        n for n, g in theirs.items() if gradients[n] is not None and np.shape(gradients[n]) != g.shape
    )
    kind: Kind = "gradients" if misshapen else "missing" if missing else "right"
    return Outcome(kind, takes_upstream=takes_upstream, missing=missing, misshapen=misshapen)
