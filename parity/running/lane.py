"""One run of Hypothesis for one lane: cases are drawn, compared, and shrunk where they fail."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from types import ModuleType

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase
from hypothesis.errors import Flaky, Unsatisfiable, UnsatisfiedAssumption

from parity.cases.case import Case, Lane
from parity.cases.torch_op import Op, own_kernels
from parity.lanes import bound, exact, special, structure
from parity.lanes.comparison import Mismatch
from parity.lanes.errors import error_fact
from parity.lanes.facts import Aspect, Difference, EmptyRefused, NonDeterministic
from parity.lanes.reference import Expected, expect
from parity.lanes.trust import WEIGHED, trustworthy
from parity.report import RowReport
from parity.rows.row import Row
from parity.running import classify as verdicts
from parity.subjects import Declined, Implementation, ImplementationError

COMPARISONS: dict[Lane, ModuleType] = {"exact": exact, "bound": bound, "structure": structure, "special": special}

# Seconds of processor time that a lane may take: enough for any vectorised layer. Python loops may need more; they
# get as many cases as fit, and the report says how many.
SECONDS, SECONDS_A_CASE = 30.0, 0.05
DECLINED = 150  # cases in a row, after which a lane is given up
OF_NUMBERS: frozenset[Aspect] = frozenset({"values", "form", "ties", "special", "layout", "empty"})


class Known:
    """What is known to be wrong already, so that the search is blind to it and to what follows from it."""

    def __init__(self) -> None:
        self.found: set[tuple[str, Aspect]] = set()

    def add(self, difference: Difference) -> None:
        """Do not report this again."""
        self.found.add((difference.quantity, difference.aspect))

    def has(self, quantity: str, *aspects: Aspect) -> bool:
        """Whether one of these aspects of the quantity is known."""
        return any((quantity, aspect) in self.found for aspect in aspects)

    def hides(self, difference: Difference, lane: Lane) -> bool:
        """Whether the difference is known, or follows from one that is."""
        name, aspect = difference.quantity, difference.aspect
        if (name, aspect) in self.found:
            return True
        if aspect in OF_NUMBERS and self.has(name, "values", "form"):
            return True
        if aspect == "empty" and self.has(name, "raised"):  # it raises everywhere
            return True
        return self.has(name, "ties") and lane in ("structure", "special") and aspect in ("values", "special")


class LaneSearch:
    """Cases of one lane, until one of them shows something that is not known."""

    def __init__(
        self,
        row: Row,
        op: Op,
        lane: Lane,
        strategy: st.SearchStrategy[Case],
        known: Known,
        report: RowReport,
        on_case: Callable[[], None] | None,
    ) -> None:
        self.row, self.op, self.lane, self.strategy = row, op, lane, strategy
        self.known, self.report, self.on_case = known, report, on_case
        self.counting = on_case is not None  # a search over the same ground again does not count
        self.on_found: Callable[[list[Difference]], None] = lambda _: None  # called before shrinking begins
        self.declined: tuple[Case, str] | None = None
        self.failing: dict[str, Mismatch] = {}
        self.last: Mismatch | None = None
        self.until = math.inf
        self.compared = 0
        self.stopped = False

    def run(self, examples: int, seed: int, handed: ExampleDatabase | None = None) -> Mismatch | None:
        """The smallest mismatch found in so many cases, those that are handed over first."""
        check = hypothesis.given(self.strategy)(self.check)
        check = hypothesis.settings(
            max_examples=examples,
            deadline=None,  # the first call of torch takes a second
            database=handed,  # else none: a failure is seen again by its case, not by a blob
            derandomize=False,
            report_multiple_bugs=False,
            phases=(Phase.reuse, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )(check)
        allowed = SECONDS + SECONDS_A_CASE * examples
        self.until = time.process_time() + allowed
        found = None
        try:
            with nullcontext() if self.lane == "bound" else own_kernels():
                # With a seed Hypothesis looks into no database.
                (hypothesis.seed(seed)(check) if handed is None else check)()
        except Mismatch as mismatch:
            found = mismatch
        except Flaky:
            found = _flaky(self.last)
        except Unsatisfiable:  # the lane has no such case: nothing ran, and the report says so
            pass
        if self.stopped and found is None and self.counting and self.compared:
            each = allowed / max(self.compared, 1)
            self.report.notes.append(
                f"slow: {self.compared} of {examples} cases of the {self.lane} lane fitted into {allowed:.0f} s, "
                f"at {each:.2g} s a case"
            )
        return found

    def check(self, case: Case) -> None:
        """Compare one case, and count it.

        Raises:
            Mismatch: it shows something that is not known.
            UnsatisfiedAssumption: the implementation declines it.
        """
        if self.stopped or time.process_time() > self.until:
            # Hypothesis may only be told again what it has been told before.
            self.stopped = self.stopped or self.compared > 0
            if self.stopped:
                if (before := self.failing.get(repr(case))) is not None:
                    raise before
                return
        try:
            expected = expect(self.row, case, self.lane)
            fractions, differences = compare(self.row, self.op, self.lane, expected)
        except Declined as reason:
            if self.counting:
                self.report.declined[self.lane] = self.report.declined.get(self.lane, 0) + 1
                self.declined = case, str(reason)
                self.stopped = self.compared == 0 and self.report.declined[self.lane] >= DECLINED
            raise UnsatisfiedAssumption from None
        differences = [d for d in differences if not self._hidden(d, case)]
        self.compared += 1
        if self.counting:
            self.report.lanes[self.lane] = self.report.lanes.get(self.lane, 0) + 1
            if self.on_case is not None:
                self.on_case()
        if differences:
            if self.counting:
                self.on_found(differences)
                self.until = time.process_time() + SECONDS  # what follows is shrinking
            self.counting = False
            self.last = self.failing[repr(case)] = Mismatch(self.lane, case, differences)
            self.stopped = any(difference.aspect == "time" for difference in differences)
            raise self.last
        for name, fraction in fractions.items():
            if not self.known.has(name, *OF_NUMBERS):
                self.report.quantities[name] = max(self.report.quantities.get(name, 0.0), fraction)
        if self.counting:
            weighed = self.lane in WEIGHED
            trusted = trustworthy(expected) if weighed else None
            self.report.saw(self.lane, case, fractions, trusted)

    def _hidden(self, difference: Difference, case: Case) -> bool:
        if self.known.hides(difference, self.lane):
            return True
        ties = (
            self.lane == "exact" and difference.aspect == "values" and self.known.has(difference.quantity, "ties")
        )
        return ties and verdicts.only_ties(self.row, self.op, case, difference.quantity)


def differences_of(row: Row, op: Op, lane: Lane, case: Case) -> tuple[dict[str, float], list[Difference]]:
    """The errors as fractions of their bounds, and the differences, of one case.

    Raises:
        Declined: the implementation does not do this case.
    """
    return compare(row, op, lane, expect(row, case, lane))


def compare(row: Row, op: Op, lane: Lane, expected: Expected) -> tuple[dict[str, float], list[Difference]]:
    """The same, where the oracle's results are known already."""
    case = expected.case
    empty = lane == "structure" and any(spec.shape is not None and 0 in spec.shape for spec in case.arrays)
    try:
        fractions, differences = COMPARISONS[lane].compare(row, op, expected)
    except ImplementationError as error:
        if empty and error.aspect == "raised":
            first = "output" if not error.in_pullback else f"grad_{case.arrays[0].name}"
            return {}, [Difference(first, EmptyRefused(error_fact(error)))]
        if error.in_pullback and error.aspect != "time":
            first = next(spec.name for spec in case.arrays)
            fractions, differences = COMPARISONS[lane].compare(row, _without_pullback(op), expected)
            return fractions, [*differences, Difference(f"grad_{first}", error_fact(error))]
        return {}, [Difference("output", error_fact(error))]
    return fractions, differences


def _without_pullback(op: Op) -> Implementation:
    made = Implementation(lambda *arrays, **options: (op(*arrays, **options)[0], None))
    made.forward_only = True
    return made


def _flaky(last: Mismatch | None) -> Mismatch | None:
    if last is None:
        return None
    first, *rest = last.differences
    return Mismatch(last.lane, last.case, [Difference(first.quantity, NonDeterministic(first.fact)), *rest])
