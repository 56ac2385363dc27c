"""`watch`: check at every save, in a process that has already loaded torch."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from numpy_cnn.common.spec.errors import UserError
from parity.cases.journal import Journal
from parity.commands.implementation_flags import ImplementationFlags, arguments_of
from parity.commands.large_imports import import_rows
from parity.commands.placeholders import named

if TYPE_CHECKING:
    from parity.commands.loading import Source
    from parity.report.rerun import RerunFlags

AT_ONCE = 0.4  # seconds of cases before the verdict
MISSED = 500  # milliseconds between checks of the files' times, for saves that the system does not report


@dataclass(frozen=True)
class Watch(ImplementationFlags):
    """Check your own layer at every save, saved failures first, within a second."""

    impl: Annotated[str, tyro.conf.Positional, named("FILE.py:NAME")]
    """Your implementation; also PACKAGE.MODULE:NAME; a pair is FILE.py:FORWARD,BACKWARD."""
    op: Annotated[str | None, named("ROW")] = None
    """The row that it implements; guessed from NAME if omitted."""
    failures: Annotated[Path, named("FOLDER", None)] = Path(".parity")
    """Folder of saved failures."""
    seed: int = 0
    """Seed of the first round; each save runs other cases."""
    rounds: Annotated[int | None, named("N")] = None
    """Stop after N rounds, including the first one."""

    def run(self) -> int:
        """Run until Ctrl-C (exit code 130); with --rounds, return 0 or 1 for the last verdict."""
        import_rows()
        from parity.commands.loading import source_of

        row, how = self._row(), self.rerun_flags()
        Journal.flags = how.flags
        followed = Followed(source_of(self.impl))
        print(f"watching {followed.source.home} as {row}; Ctrl-C to stop", file=sys.stderr, flush=True)
        return 0 if self.rounds_of(row, how, followed, saves) else 1

    def rounds_of(
        self, row: str, how: "RerunFlags", followed: "Followed", events: "Callable[[Followed], Iterable[object]]"
    ) -> bool:
        """Run one round now and one for each event that changed a user's file; return the last verdict."""
        good, number = self._round(row, how, followed, self.seed), 1
        if number == self.rounds:
            return good
        for _ in events(followed):
            if followed.changed():
                good = self._round(row, how, followed, self.seed + number)
                number += 1
            if number == self.rounds:
                break
        return good

    def _row(self) -> str:
        from parity.rows.registry import ROWS

        name = self.impl.rpartition(":")[2].lower()
        fits = [known for known in ROWS if known.lower() in name]
        op = self.op or max(fits, key=len, default=None)
        if op not in ROWS:
            what = f"there is no row {op!r}" if op else f"{name!r} does not name the row that it implements"
            raise UserError(f"watch: {what}; pass --op with one of {', '.join(ROWS)}")
        return op

    def _round(self, row: str, how: "RerunFlags", followed: "Followed", seed: int) -> bool:
        from parity.api.check import check
        from parity.commands.loading import loaded
        from parity.commands.progress import FirstVerdict
        from parity.report.saved import save
        from parity.report.terminal import render_failure

        verdict = FirstVerdict(followed.take_times())
        try:
            with loaded(self.impl) as user:
                followed.follow(user.files)
                failing = self._saved(row, how, user.implementation)
                if failing:
                    verdict.print(f"DISAGREES: {failing} saved failure{'s' * (failing > 1)} still failing")
                arguments = arguments_of(how) | {"examples": 1, "seed": seed, "seconds": AT_ONCE / 4}
                report = check(row, user.implementation, **arguments, rerun=how, progress=verdict)
        except UserError as error:
            verdict.print(f"ERROR: {error}")
            return False
        for note in report.rows[0].notes:
            print(f"  {note}", flush=True)
        if report.failures:
            verdict.print("DISAGREES")
            save(report.failures, self.failures)
            for failure in report.failures:
                print(f"{render_failure(failure)}\n", flush=True)
        verdict.print(f"agrees on {report.cases} cases" if report.ok else report.verdict)
        return report.ok and not failing

    def _saved(self, row: str, how: "RerunFlags", implementation: object) -> int:
        """Run the saved failures of this implementation with the current flags; return how many still fail."""
        from parity.commands.replay import STILL, replayed
        from parity.report.saved import read, saved_in

        failing = 0
        for file in saved_in(self.failures):
            try:
                saved = read(file)
            except (ValueError, OSError):
                continue
            if saved.row == row and saved.rerun.impl == self.impl:
                verdict, lines = replayed(replace(saved, rerun=how), implementation)
                if verdict == STILL:
                    failing += 1
                    print(f"still failing: {saved.lane} {saved.case}\n  {lines[0]}", flush=True)
        return failing


@dataclass
class Followed:
    """The watched files: those imported last, or all files of the folder if the import failed."""

    source: "Source"
    files: frozenset[Path] = frozenset()
    times: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def folders(self) -> set[Path]:
        """The folders of the files."""
        return {self.source.root.resolve(), *(file.parent for file in self.files)}

    def take_times(self) -> float:
        """Record the files' times before they are read; return the current time."""
        self.times = self._now()
        return time.monotonic()

    def follow(self, files: frozenset[Path]) -> None:
        """Watch these files from now on; files watched before keep the time at which they were read."""
        before, self.files = self.times, files
        self.times = {file: before.get(file, taken) for file, taken in self._now().items()}

    def changed(self) -> bool:
        """Whether a file was saved in the meantime; wait for a file that an editor is replacing."""
        now = self._now()
        return now != self.times and (self.source.file is None or self.source.file.is_file())

    def _now(self) -> dict[Path, tuple[int, int]]:
        times = {}
        for file in self.files or self.source.root.resolve().glob("*.py"):
            try:
                stat = file.stat()
            except OSError:
                continue
            times[file] = stat.st_mtime_ns, stat.st_size
        return times


def saves(followed: Followed) -> Iterator[object]:
    """Yield at each save in the folders, and every half second for saves that the system does not report."""
    from watchfiles import watch

    return watch(
        *followed.folders(), recursive=False, debounce=50, step=10, rust_timeout=MISSED, yield_on_timeout=True
    )
