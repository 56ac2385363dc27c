"""`watch`: check again at every save, in a process that has torch loaded already."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from numpy_cnn.common.spec.errors import UserError
from parity.commands.implementation_flags import ImplementationFlags, check_flags
from parity.commands.placeholders import named

if TYPE_CHECKING:
    from parity.lanes.facts import Difference
    from parity.report.rerun import RerunFlags
    from parity.rows.row import Row

POLL = 0.05  # seconds; the time of a file is asked for
AT_ONCE = 0.4  # seconds of cases before the verdict


@dataclass(frozen=True)
class Watch(ImplementationFlags):
    """Check your own layer at every save: saved failures first, the verdict within a second."""

    impl: Annotated[str, tyro.conf.Positional, named("FILE.py:NAME")]
    """Your own implementation; a pair is FILE.py:FORWARD,BACKWARD."""
    op: Annotated[str | None, named("ROW")] = None
    """The row it is checked as; guessed from NAME if left out."""
    failures: Annotated[Path, named("FOLDER", None)] = Path(".parity")
    """Folder of saved failures."""
    seed: int = 0
    """Of the first round; each save draws other cases."""
    rounds: Annotated[int | None, named("N")] = None
    """Stop after so many saves, the first look included."""

    def run(self) -> int:
        """Until Ctrl-C, which ends it with 130; with --rounds, 0 or 1 by the last verdict."""
        row, how = self._row(), self.rerun_flags()
        check_flags(row, how)
        file = Path(self.impl.rpartition(":")[0])
        if not file.is_file():
            raise UserError(f"watch {self.impl}: no such file {file}; expected FILE.py:NAME")
        print(f"watching {file} as {row.name}; Ctrl-C ends it", file=sys.stderr, flush=True)
        good = False
        for number, saved_at in enumerate(_saves(file), start=1):
            good = self._round(row, how, self.seed + number - 1, saved_at)
            if number == self.rounds:
                break
        return 0 if good else 1

    def _row(self) -> "Row":
        from parity.rows.registry import ROWS

        name = self.impl.rpartition(":")[2].lower()
        fits = [known for known in ROWS if known.lower() in name]
        op = self.op or max(fits, key=len, default=None)
        if op not in ROWS:
            asked = f"there is no row {op!r}" if op else f"{name!r} does not say which row it is"
            raise UserError(f"watch: {asked}; say --op with one of {', '.join(ROWS)}")
        return ROWS[op]

    def _round(self, row: "Row", how: "RerunFlags", seed: int, saved_at: float) -> bool:
        from parity.commands.loading import implementation_from
        from parity.report.saved import save
        from parity.report.terminal import render_failure

        try:
            op = implementation_from(self.impl)
        except UserError as error:
            _Verdict(saved_at)(f"ERROR: {error}")
            return False
        op.timeout = how.timeout
        failing = self._saved(row, how)
        from parity.running.row import run_row

        told = _Verdict(saved_at)
        if failing:
            told(f"DISAGREES: {failing} saved failure{'s' * (failing > 1)} still failing")
        report = run_row(
            row,
            op,
            examples=1,
            seed=seed,
            supports=how.supports or None,
            accept=how.accept,
            seconds=AT_ONCE / len(row.lanes),
            on_found=told.found,
        )
        for note in report.notes:
            print(f"  {note}", flush=True)
        if report.failures:
            told("DISAGREES")
            report.failures = [replace(failure, rerun=how) for failure in report.failures]
            save(report.failures, self.failures)
            for failure in report.failures:
                print(f"{render_failure(failure)}\n", flush=True)
        told(f"agrees on {report.cases} cases" if report.ok else "PROVES TOO LITTLE: too few cases are evidence")
        return report.ok and not failing

    def _saved(self, row: "Row", how: "RerunFlags") -> int:
        """Run the saved failures of this implementation, as it is checked now; how many still fail."""
        from parity.commands.replay import STILL, replayed
        from parity.report.saved import read, saved_in

        failing = 0
        for file in saved_in(self.failures):
            try:
                saved = read(file)
            except (ValueError, OSError):
                continue
            if saved.row == row.name and saved.rerun.impl == self.impl:
                verdict, lines = replayed(replace(saved, rerun=how))
                if verdict == STILL:
                    failing += 1
                    print(f"still failing: {saved.lane} {saved.case}\n  {lines[0]}", flush=True)
        return failing


def _saves(file: Path) -> Iterator[float]:
    """Now, and then each time the file has changed: when it was seen to."""
    before = None
    while True:
        try:
            stat = file.stat()
            state = stat.st_mtime_ns, stat.st_size, stat.st_ino
        except FileNotFoundError:  # an editor replaces it
            state = None
        if state is not None and state != before:
            before = state
            yield time.monotonic()
        else:
            time.sleep(POLL)


class _Verdict:
    """Printed once for each save: what is said later of the same save is no news."""

    def __init__(self, saved_at: float) -> None:
        self.saved_at, self.told, self.out = saved_at, False, sys.stdout

    def __call__(self, verdict: str) -> None:
        if not self.told:
            self.told = True
            seconds = time.monotonic() - self.saved_at
            print(f"{time.strftime('%H:%M:%S')} {verdict} ({seconds:.2f} s)", file=self.out, flush=True)

    def found(self, differences: "list[Difference]") -> None:
        """Something differs; it is yet to be shrunk."""
        self(f"DISAGREES: {', '.join(sorted({difference.quantity for difference in differences}))} wrong")
