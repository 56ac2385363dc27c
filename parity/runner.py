"""Run a row through its lanes: Hypothesis draws the cases and shrinks what fails."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis.errors import Unsatisfiable

from parity.adapters import ImplementationError
from parity.cases import Case, Dtype, Lane
from parity.comparison import Difference, Mismatch
from parity.expectation import expect
from parity.failures.explaining import explain
from parity.failures.shrinking import with_small_numbers
from parity.lanes import bound, exact, special, structure
from parity.oracle import Op, one_thread
from parity.registry import Row
from parity.report import Evidence, Failure, RowReport
from parity.trust import WEIGHED, trustworthy

COMPARISONS: dict[Lane, ModuleType] = {"exact": exact, "bound": bound, "structure": structure, "special": special}


def run_row(
    row: Row,
    op: Op,
    *,
    examples: int,
    seed: int,
    lanes: Iterable[Lane] | None = None,
    dtype: Dtype | None = None,
    on_case: Callable[[], None] = lambda: None,
) -> RowReport:
    """Compare `op` with the row's oracle on so many cases a lane.

    After a failure the search goes on for the other quantities, so that one mistake does not hide the next. A
    quantity is reported in the first lane that finds it wrong.
    """
    report = RowReport(row.name)
    with _quietly():
        known: set[str] = set()
        for lane in row.lanes if lanes is None else [lane for lane in row.lanes if lane in lanes]:
            counting = on_case
            while True:
                search = _Search(row, op, lane, dtype, known, report, counting)
                found = search.run(examples, seed)
                if found is None:
                    break
                counting = _uncounted
                found, evidence = _followed(row, op, lane, found)
                for difference in found.differences:
                    known.add(difference.quantity)
                    report.failures.append(
                        Failure(
                            row.name,
                            difference.quantity,
                            lane,
                            found.case,
                            difference.message,
                            difference.wrong_side,
                            evidence=evidence.get(difference.quantity),
                        )
                    )
    return report


def run_case(row: Row, op: Op, lane: Lane, case: Case) -> list[Difference]:
    """The differences on one case."""
    with _quietly():
        return _differences(row, op, lane, case)[1]


def _followed(row: Row, op: Op, lane: Lane, found: Mismatch) -> tuple[Mismatch, dict[str, Evidence]]:
    """The mismatch on the simplest numbers, and what is known of it."""

    def run(case: Case) -> list[Difference]:
        return _differences(row, op, lane, case)[1]

    try:
        found = with_small_numbers(found, expect(row, found.case, lane), run)
        return found, explain(row, op, lane, found.case, found.differences, run)
    except (RuntimeError, ValueError, IndexError):  # torch takes no such case
        return found, {}


def _uncounted() -> None:
    """For the cases of a search that goes over the same ground again."""


@contextmanager
def _quietly() -> Iterator[None]:
    """One thread, and no warnings of overflow or NaN: where they belong is what is being compared."""
    with one_thread(), np.errstate(all="ignore"), warnings.catch_warnings():
        # Advice on speed, given once by torch for an even kernel.
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel")
        yield


class _Search:
    """One run of Hypothesis for one lane, blind to the quantities known to be wrong already."""

    def __init__(
        self,
        row: Row,
        op: Op,
        lane: Lane,
        dtype: Dtype | None,
        known: set[str],
        report: RowReport,
        on_case: Callable[[], None],
    ) -> None:
        self.row, self.op, self.lane, self.dtype = row, op, lane, dtype
        self.known, self.report, self.on_case = known, report, on_case
        self.counting = on_case is not _uncounted

    def run(self, examples: int, seed: int) -> Mismatch | None:
        strategy = self.row.strategy(lane=self.lane)
        if self.dtype is not None:
            wanted = self.dtype
            strategy = strategy.filter(lambda case: case.dtype == wanted)
        check = hypothesis.given(strategy)(self.check)
        check = hypothesis.settings(
            max_examples=examples,
            deadline=None,  # the first call of torch takes a second
            database=None,  # a failure is seen again by its case, not by a blob
            derandomize=False,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )(check)
        try:
            hypothesis.seed(seed)(check)()
        except Mismatch as found:
            return found
        except Unsatisfiable:  # the lane has no case of this dtype: nothing ran, and the table says so
            pass
        return None

    def check(self, case: Case) -> None:
        fractions, differences = _differences(self.row, self.op, self.lane, case)
        differences = [d for d in differences if d.quantity not in self.known]
        if self.counting:
            self.report.lanes[self.lane] = self.report.lanes.get(self.lane, 0) + 1
            self.on_case()
        if differences:
            self.counting = False  # what follows is shrinking
            raise Mismatch(self.lane, case, differences)
        for name, fraction in fractions.items():
            if name in self.known:
                continue
            self.report.quantities[name] = max(self.report.quantities.get(name, 0.0), fraction)
        if self.counting:
            weighed = self.lane in WEIGHED
            trusted = trustworthy(case, expect(self.row, case, self.lane)) if weighed else None
            self.report.saw(self.lane, case, fractions, trusted)


def _differences(row: Row, op: Op, lane: Lane, case: Case) -> tuple[dict[str, float], list[Difference]]:
    try:
        fractions, differences = COMPARISONS[lane].compare(row, op, case)
    except ImplementationError as error:
        return {}, [Difference("output", str(error))]
    return fractions, differences
