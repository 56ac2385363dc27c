"""One run of Hypothesis for one lane: draw cases, compare them, and shrink failures."""

import math
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase
from hypothesis.errors import Flaky, Unsatisfiable, UnsatisfiedAssumption

from parity.cases.case import Case, Lane
from parity.cases.nesting import nesting_allowed
from parity.cases.op import Op
from parity.cases.same_draws import same_draws
from parity.cases.torch_op import own_kernels
from parity.lanes.comparison import Mismatch
from parity.lanes.facts import Difference, NonDeterministic
from parity.lanes.reference import Expected, expect
from parity.lanes.trust import WEIGHED, trustworthy
from parity.report import RowReport
from parity.rows.row import Row
from parity.running import classify as verdicts
from parity.running.compare import compare
from parity.running.declines import LEAST_DECLINED, restrictions
from parity.running.known import OF_NUMBERS, Known
from parity.running.progress import Progress
from parity.running.rare import rare_cases
from parity.running.single_example import SingleExample
from parity.subjects import Declined

# Every limit is a count, so that the same seed gives the same report on any machine. A time limit only applies to
# very slow implementations; the report states where it stopped a lane or the search for a smaller case.
SECONDS, SECONDS_A_CASE = 60.0, 0.25
WAITING = 0.25  # share of the wall clock that counts if less processor time was used: it may be waiting
SHRINKING = 500  # cases that Hypothesis may try when shrinking
SHRINKING_NOTES = 50  # the same for a finding that is only worth a note, which does not show the case
SHRUNK_NUMBERS = 1_000_000  # in the arrays of those cases: few tries of very long arrays
DECLINED = 150  # cases after which a lane without any comparison stops
PHASES = (Phase.reuse, Phase.generate, Phase.shrink)


class _Budget:
    """An amount of processor time, which does not depend on what else the machine does."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._processor, self._wall = seconds, time.process_time(), time.monotonic()

    def used_up(self) -> bool:
        waited = WAITING * (time.monotonic() - self._wall)
        return max(time.process_time() - self._processor, waited) > self._seconds


class LaneSearch:
    """Run cases of one lane until one of them shows an unknown difference."""

    def __init__(
        self,
        row: Row,
        op: Op,
        lane: Lane,
        strategy: st.SearchStrategy[Case],
        known: Known,
        report: RowReport,
        progress: Progress,
        *,
        rare: st.SearchStrategy[Case] | None = None,
        settled: Collection[str] = (),
        restricted: bool = False,
        counting: bool = True,
        fails: Callable[[Difference], bool],
    ) -> None:
        self.row, self.op, self.lane, self.strategy = row, op, lane, strategy
        self.rare = strategy if rare is None else rare  # for the few cases of rare sizes
        self.known, self.report, self.progress = known, report, progress
        self.settled = settled  # keywords whose values are known, from the caller or from earlier searches
        self.fails = fails
        self.counting = counting  # False: a repeated search over cases that were already counted
        self.restricted = restricted
        self.accepted: list[Case] = []
        self.declined: list[Case] = []
        self.reason = ""  # why the last case was declined
        self.learnt: dict[
            str, Any
        ] = {}  # what the implementation supports, according to the reason of a declined case
        self.failing: dict[str, Mismatch] = {}
        self.last: Mismatch | None = None
        self.budget = _Budget(math.inf)
        self.stopped = False
        self.slow = False
        self.shrinks = self.shrunk_numbers = 0
        self.most_shrinks = SHRINKING

    def run(self, examples: int, seed: int, given: ExampleDatabase | None = None) -> Mismatch | None:
        """The smallest mismatch found in `examples` cases; those of the database come first.

        The last ones are of rare kinds, if there is no database.
        """
        rare = rare_cases(self.rare, self.lane, seed, examples) if given is None else []
        declined, found = 0, self._search(examples - len(rare), seed, given)
        for case, choices in rare if found is None else ():
            try:
                with self._kernels():
                    self.check(case)
            except UnsatisfiedAssumption:
                declined += 1
            except Mismatch as mismatch:
                return self._search(SHRINKING, seed, SingleExample(choices), self.rare) or mismatch
        if declined and not self.stopped:  # others in their place
            found = self._search(declined, seed + 1, None)
        if self.slow and self.counting and found is None:
            ran = f"only {len(self.accepted)} of {examples} cases of the {self.lane} lane"
            self.report.notes.append(f"slow: {ran} ran in {_allowed(examples):.0f} s of processor time")
        elif self.slow and self.last is not None:
            stopped = f"the search for a smaller case of the {self.lane} lane stopped"
            self.report.notes.append(f"slow: {stopped} after {SECONDS:.0f} s of processor time")
        return found

    def _kernels(self) -> AbstractContextManager[None]:
        return nullcontext() if self.lane == "bound" else own_kernels()

    def _search(
        self,
        examples: int,
        seed: int,
        given: ExampleDatabase | None,
        strategy: st.SearchStrategy[Case] | None = None,
    ) -> Mismatch | None:
        """The smallest mismatch that Hypothesis finds."""
        with nesting_allowed():
            check = hypothesis.given(self.strategy if strategy is None else strategy)(self.check)
        check = hypothesis.settings(
            max_examples=examples,
            deadline=None,  # the first call of torch takes a second
            database=given,  # no blob: a failure is replayed by its case
            derandomize=False,
            report_multiple_bugs=False,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )(check)
        self.budget = _Budget(_allowed(examples))
        found = None
        try:
            with self._kernels(), same_draws():
                # With a seed Hypothesis reads no database.
                (hypothesis.seed(seed)(check) if given is None else check)()
        except Mismatch as mismatch:
            found = mismatch
        except Flaky:
            found = _flaky(self.last)
        except Unsatisfiable:  # the lane has no such case: nothing ran, and the report shows it
            pass
        return found

    def check(self, case: Case) -> None:
        """Compare one case and count it.

        Raises:
            Mismatch: it shows an unknown difference.
            UnsatisfiedAssumption: the implementation declines it, or torch does.
        """
        if self._is_over(case):
            # Hypothesis requires the same outcome for the same case.
            if (before := self.failing.get(repr(case))) is not None:
                raise before
            return
        try:
            expected = self._expect(case)
            fractions, differences = compare(self.row, self.op, self.lane, expected)
        except Declined as reason:
            self._decline(case, reason)
            raise UnsatisfiedAssumption from None
        differences = [d for d in differences if not self._hidden(d, case)]
        if self.last is None:
            self.accepted.append(case)
            if self.counting:
                self.report.lanes[self.lane] = self.report.lanes.get(self.lane, 0) + 1
                self.progress.case(self.lane)
        if differences:
            if self.last is None:
                self.progress.found(self.lane, differences)
                self.budget = _Budget(SECONDS)  # the following calls shrink the case
                self.most_shrinks = SHRINKING if any(map(self.fails, differences)) else SHRINKING_NOTES
            self.last = self.failing[repr(case)] = Mismatch(self.lane, case, differences)
            self.stopped = any(difference.aspect == "time" for difference in differences)
            raise self.last
        if self.last is not None:
            return
        for name, fraction in fractions.items():
            if not self.known.has(name, *OF_NUMBERS):
                self.report.quantities[name] = max(self.report.quantities.get(name, 0.0), fraction)
        if self.counting:
            trusted = trustworthy(expected) if self.lane in WEIGHED else None
            self.report.count(self.lane, case, fractions, trusted)

    def _expect(self, case: Case) -> Expected:
        try:
            return expect(self.row, case, self.lane)
        except (RuntimeError, ValueError, IndexError, TypeError):
            if not self.restricted:
                raise
            # Options fixed by the caller may be incompatible with others: Nesterov's method needs a momentum.
            raise UnsatisfiedAssumption from None

    def _is_over(self, case: Case) -> bool:
        """Whether to stop: a restriction was found, or the budget is used up."""
        if self.last is not None:
            self.shrinks += 1
            self.shrunk_numbers += sum(math.prod(spec.shape or ()) for spec in case.arrays)
            self.stopped = self.stopped or self.shrinks > self.most_shrinks or self.shrunk_numbers > SHRUNK_NUMBERS
        if not self.stopped and (self.accepted or self.declined) and self.budget.used_up():
            self.stopped = self.slow = True
        return self.stopped

    def _decline(self, case: Case, reason: Declined) -> None:
        """Count a declined case; stop if the strategy can be restricted to supported cases."""
        if self.last is not None:
            return
        self.declined.append(case)
        self.reason = str(reason)
        if self.counting:
            self.report.declined[self.lane] = self.report.declined.get(self.lane, 0) + 1
        learnt: dict[str, Any] = {**reason.narrows}
        declined, accepted = len(self.declined), len(self.accepted)
        if declined >= max(LEAST_DECLINED, accepted) and declined % LEAST_DECLINED == 0:
            learnt |= restrictions(self.declined, self.accepted)
        self.learnt |= {word: value for word, value in learnt.items() if word not in self.settled}
        self.stopped = bool(self.learnt) or (accepted == 0 and declined >= DECLINED)

    def _hidden(self, difference: Difference, case: Case) -> bool:
        if self.known.hides(difference, self.lane):
            return True
        ties = (
            self.lane == "exact" and difference.aspect == "values" and self.known.has(difference.quantity, "ties")
        )
        return ties and verdicts.only_ties(self.row, self.op, case, difference.quantity)


def _allowed(examples: int) -> float:
    return SECONDS + SECONDS_A_CASE * examples


def _flaky(last: Mismatch | None) -> Mismatch | None:
    if last is None:
        return None
    first, *rest = last.differences
    return Mismatch(last.lane, last.case, [Difference(first.quantity, NonDeterministic(first.fact)), *rest])
