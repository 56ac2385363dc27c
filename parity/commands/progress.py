"""Progress of a check: a bar on a terminal, one line per lane elsewhere, one verdict per save for `watch`."""

import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from parity.cases.case import Lane
from parity.lanes.facts import Difference, Verdict
from parity.report import RowReport
from parity.running.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

SILENCE = 0.5  # seconds without a line
ENOUGH = 20  # cases for a line about their agreement


class CheckingProgress(Protocol):
    """Creates the progress display of each row."""

    def of(self, row: str) -> Progress:
        """Return the progress display of one row."""


@contextmanager
def checking_progress(names: Sequence[str], examples: int) -> Iterator[CheckingProgress]:
    """Show the progress of a check of these rows with `examples` cases per lane."""
    if not sys.stderr.isatty():
        yield _AllLines(often=len(names) == 1)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = TextColumn("{task.description:>24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Bar(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        yield _AllBars(bar, len(names), examples)


class _AllLines:
    def __init__(self, *, often: bool) -> None:
        self.often = often

    def of(self, row: str) -> Progress:
        return Lines(row, SILENCE if self.often else math.inf)


class Lines(Progress):
    """One line per lane, and one for the first difference, because shrinking and explaining it takes longer.

    If nothing was printed for `silence` seconds, another line has the number of cases so far; the next one follows
    after twice that time.
    """

    def __init__(self, row: str, silence: float = math.inf) -> None:
        self.row, self.silence = row, silence
        self.announced = False
        self.cases: Counter[Lane] = Counter()
        self.out = sys.stderr  # sys.stderr is redirected while the implementation runs
        self.printed = time.monotonic()

    def case(self, lane: Lane) -> None:
        self.cases[lane] += 1
        if self.announced or self.cases[lane] < ENOUGH or time.monotonic() < self.printed + self.silence:
            return
        self.silence *= 2
        self._print(f"{self.row}: {lane} lane: {self.cases[lane]} cases agree so far")

    def found(self, lane: Lane, differences: Sequence[Difference]) -> None:
        if not self.announced:
            self.announced = True
            self._print(f"{self.row}: {lane} lane: {finding(differences)}, looking for the smallest case")

    def lane(self, lane: Lane, report: RowReport) -> None:
        self._print(f"{self.row}: {lane} lane: {report.lanes.get(lane, 0)} cases, {verdict_of(lane, report)}")

    def _print(self, line: str) -> None:
        print(line, file=self.out, flush=True)
        self.printed = time.monotonic()


class _AllBars:
    def __init__(self, bar: "Bar", rows: int, examples: int) -> None:
        self.bar, self.rows, self.examples, self.done = bar, rows, examples, 0

    def of(self, row: str) -> Progress:
        self.done += 1
        return _Bars(self.bar, f"{row} ({self.done} of {self.rows})" if self.rows > 1 else row, self.examples)


class _Bars(Progress):
    def __init__(self, bar: "Bar", name: str, examples: int) -> None:
        self.bar, self.name, self.examples = bar, name, examples
        self.task = bar.add_task(name, total=examples)

    def case(self, lane: Lane) -> None:  # noqa: ARG002  # the bar counts the cases of all lanes alike
        self.bar.advance(self.task)

    def found(self, lane: Lane, differences: Sequence[Difference]) -> None:
        self.bar.update(self.task, description=f"{self.name} {lane}, shrinking")
        self.bar.console.print(f"{self.name}: {lane} lane: {finding(differences)}")

    def lane(self, lane: Lane, report: RowReport) -> None:  # noqa: ARG002  # the bar counts cases
        self.bar.update(self.task, description=f"{self.name} after {lane}", completed=0)

    def finished(self) -> None:
        self.bar.remove_task(self.task)


class FirstVerdict(Progress):
    """Prints one verdict per save and ignores later ones."""

    def __init__(self, saved_at: float) -> None:
        self.saved_at, self.printed, self.out = saved_at, False, sys.stdout

    def print(self, verdict: str) -> None:
        """Print the verdict unless one was printed already."""
        if not self.printed:
            self.printed = True
            seconds = time.monotonic() - self.saved_at
            print(f"{time.strftime('%H:%M:%S')} {verdict} ({seconds:.2f} s)", file=self.out, flush=True)

    def found(self, lane: Lane, differences: Sequence[Difference]) -> None:  # noqa: ARG002  # one verdict for all
        """Report a difference before it is shrunk, unless it is only worth a note."""
        if not are_notes(differences):
            self.print(f"DISAGREES: {quantities(differences)} wrong")


def are_notes(differences: Sequence[Difference]) -> bool:
    """Whether all numbers agree where they are finite, so that only a strict check fails."""
    return all(difference.verdict in (Verdict.SPECIAL, Verdict.CONTRACT) for difference in differences)


def finding(differences: Sequence[Difference]) -> str:
    """Return what is known before the differences are classified."""
    if not are_notes(differences):
        return f"{quantities(differences)} differs from torch"
    verdicts = " and ".join(sorted({difference.verdict for difference in differences}))
    return f"a finding of the kind {verdicts} in {quantities(differences)}"


def quantities(differences: Sequence[Difference]) -> str:
    """Return the distinct quantities that differ."""
    return ", ".join(sorted({difference.quantity for difference in differences}))


def verdict_of(lane: Lane, report: RowReport) -> str:
    """Return the verdict of one lane as a short phrase."""
    failures = [failure for failure in report.failures if failure.lane == lane]
    return f"DISAGREES: {', '.join(failure.quantity for failure in failures)}" if failures else "agrees"
