"""How far a check is: a bar on a terminal, a line a row elsewhere; on standard error."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from parity.report import RowReport

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Seen(Protocol):
    """What the command tells."""

    def case(self) -> None:
        """One case more is compared."""

    def row(self, report: RowReport) -> None:
        """A row is complete."""


@contextmanager
def checking_progress(names: Sequence[str], cases: Mapping[str, int]) -> Iterator[Seen]:
    """Show a check of these rows, of so many cases each."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description:>14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        tasks = [bar.add_task(name, total=cases[name], start=False) for name in names]
        yield _Bars(bar, tasks)


class _Lines:
    def case(self) -> None:
        pass

    def row(self, report: RowReport) -> None:
        verdict = "DISAGREES" if report.failures else "agrees"
        print(f"{report.name}: {report.cases} cases, {verdict}", file=sys.stderr, flush=True)


class _Bars:
    def __init__(self, bar: "Progress", tasks: "list[TaskID]") -> None:
        self.bar, self.tasks = bar, tasks
        self.start()

    def start(self) -> None:
        if self.tasks:
            self.bar.start_task(self.tasks[0])

    def case(self) -> None:
        self.bar.advance(self.tasks[0])

    def row(self, report: RowReport) -> None:
        self.bar.update(self.tasks.pop(0), completed=report.cases, total=report.cases)
        self.start()
