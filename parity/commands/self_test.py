"""`self-test`: test the harness on implementations with known bugs and on correct ones."""

import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.files import replace_file
from parity.commands.large_imports import import_rows
from parity.commands.placeholders import named

if TYPE_CHECKING:
    from rich.table import Table

    from parity.exam.exam import Outcome


@dataclass(frozen=True)
class SelfTest:
    """Check the harness: it must find every planted bug, and accept correct code."""

    row: Annotated[tuple[str, ...], named("[ROW ...]", "(default: all)")] = ()
    """Rows, such as conv2d."""
    examples: int = 200
    """Cases per bug and lane."""
    seed: int = 0
    """The same seed draws the same cases."""
    json: Annotated[Path | None, named("FILE")] = None
    """File for the outcomes as JSON; - for standard output."""

    def run(self) -> int:
        """Print a table and the outcomes that did not pass; return the exit code."""
        if self.examples < 1:
            raise UserError(f"--examples must be at least 1, got {self.examples}")
        import_rows()
        from rich.console import Console

        from parity.exam.exam import hold
        from parity.rows.registry import ROWS

        for name in self.row:
            if name not in ROWS:
                raise UserError(f"--row: there is no row {name!r}; there are {', '.join(ROWS)}")
        rows = [name for name in ROWS if name in self.row or not self.row]
        begun, outcomes, seen = time.perf_counter(), [], _Progress(rows)
        with seen:
            for outcome in hold(rows, self.examples, self.seed):
                outcomes.append(outcome)
                seen.one(outcome)
        outcomes.sort(key=lambda o: (rows.index(o.row), not o.wrong, o.name))
        failed = [outcome for outcome in outcomes if not outcome.passed]

        to_stdout = self.json == Path("-")
        console = Console(stderr=to_stdout, highlight=False, width=None if sys.stdout.isatty() else 140)
        console.print(table(rows, outcomes))
        for outcome in failed:
            console.print(_describe(outcome), markup=False, soft_wrap=True)
        bugs = [outcome for outcome in outcomes if outcome.wrong]
        caught = sum(outcome.caught for outcome in bugs)
        console.print(
            f"{caught} of {len(bugs)} bugs found; {sum(o.caught for o in outcomes if not o.wrong)} of "
            f"{len(outcomes) - len(bugs)} right implementations flagged; seed {self.seed}, "
            f"{time.perf_counter() - begun:.0f} s, of which the search for a bug's name took "
            f"{statistics.median([o.seconds for o in bugs if o.caught] or [0.0]):.2g} s at the median, "
            f"{max((o.seconds for o in bugs), default=0.0):.2g} s at most",
            soft_wrap=True,
        )
        if self.json is not None:
            values = {"schema": 1, "ok": not failed, "outcomes": [outcome.to_json() for outcome in outcomes]}
            text = json.dumps(values, indent=2)
            if to_stdout:
                print(text)
            else:
                replace_file(self.json, f"{text}\n".encode())
        return 1 if failed else 0


def table(rows: Sequence[str], outcomes: "Sequence[Outcome]") -> "Table":
    """Return a table with one line per row: bugs, lanes that find them first, explanations, false alarms."""
    from rich import box
    from rich.table import Table

    from parity.cases.case import LANES

    shown = Table("row", box=box.SIMPLE, show_footer=True)
    shown.columns[0].footer = "all"
    columns: dict[str, Any] = {
        "bugs": lambda o: o.wrong,
        "found": lambda o: o.wrong and o.caught,
        **{lane: lambda o, lane=lane: o.wrong and o.lane == lane for lane in LANES},
        "named correctly": lambda o: o.wrong and o.named == "rightly",
        "by its lane": lambda o: o.wrong and o.named == "by its lane",
        "not named": lambda o: o.wrong and o.named == "not",
        "named wrongly": lambda o: o.wrong and o.named == "wrongly",
        "correct ones": lambda o: not o.wrong,
        "flagged": lambda o: not o.wrong and o.caught,
    }
    for title, counts in columns.items():
        shown.add_column(title, justify="right", footer=str(sum(map(counts, outcomes))))
    for name in rows:
        own = [outcome for outcome in outcomes if outcome.row == name]
        shown.add_row(name, *(str(sum(map(counts, own)) or "·") for counts in columns.values()))
    return shown


def _describe(outcome: "Outcome") -> str:
    """Describe an outcome that did not pass in one line."""
    what = f"{outcome.row}  {outcome.name}: {outcome.description}"
    if outcome.wrong and not outcome.caught:
        return f"NOT FOUND  {what} ({outcome.cases} cases)"
    if outcome.wrong:
        given = ", ".join(f"{quantity} {name!r}" for quantity, name in outcome.names.items())
        return f"MISNAMED   {what} Named {given}; expected: {', '.join(outcome.expected) or 'no name'}"
    where = f"{outcome.lane} lane, {', '.join(outcome.quantities)}"
    return f"FLAGGED    {what} {where}: {outcome.message}; {outcome.case}"


class _Progress:
    """Progress on standard error: a bar on a terminal, one line per complete row elsewhere."""

    def __init__(self, rows: Sequence[str]) -> None:
        from parity.exam import CORRECT, PLANTED

        self.left = {name: [entry.row for entry in PLANTED].count(name) for name in rows}
        for entry in CORRECT:
            if entry.row in self.left:
                self.left[entry.row] += 1
        self.bar: Any = None

    def __enter__(self) -> None:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self.bar = Progress(console=Console(stderr=True), transient=True)
            self.bar.add_task("self-test", total=sum(self.left.values()))
            self.bar.start()

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def one(self, outcome: "Outcome") -> None:
        """Count one more finished implementation."""
        self.left[outcome.row] -= 1
        if self.bar is not None:
            self.bar.advance(self.bar.task_ids[0])
        elif not self.left[outcome.row]:
            print(f"{outcome.row}: complete", file=sys.stderr, flush=True)
