"""`check`: run the parity suite, some of its rows, or check a user's implementation."""

import contextlib
import json
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.files import replace_file
from parity.cases.journal import Journal
from parity.commands.crashes import add_crashes
from parity.commands.implementation_flags import ImplementationFlags, arguments_of
from parity.commands.large_imports import import_rows
from parity.commands.placeholders import named
from parity.commands.preload import cores

if TYPE_CHECKING:
    from parity.commands.progress import CheckingProgress
    from parity.report import Report


@contextlib.contextmanager
def _only_json_on_stdout() -> Iterator[None]:
    """Redirect what C code of an implementation prints to standard error."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(own, 1)
        os.close(own)


@dataclass(frozen=True)
class Check(ImplementationFlags):
    """Compare all rows, or the named ones, with torch on generated cases."""

    ops: Annotated[tuple[str, ...], tyro.conf.Positional, named("[OP ...]", "(default: all)")] = ()
    """Rows, such as conv2d; `list` prints their names."""
    impl: Annotated[str | None, named("FILE.py:NAME")] = None
    """Your implementation of the named row; also PACKAGE.MODULE:NAME; a pair is FILE.py:F,BACKWARD."""
    like: Annotated[str | None, named("TORCH.FUNCTION")] = None
    """The oracle of an op without a row: torch.nn.functional.gelu, or FILE.py:NAME for a function of tensors."""
    shapes: Annotated[str | None, named("SHAPES")] = None
    """With --like: the shapes of the arrays, such as 'n c h w, c'. Guessed if omitted."""
    examples: Annotated[int | None, named("N", "(default: 200)")] = None
    """Cases per row and lane."""
    seed: Annotated[int | None, named("N", "(default: 0)")] = None
    """The same seed draws the same cases."""
    dtype: Annotated[Literal["float32", "float64"] | None, named("float32|float64", "(default: both)")] = None
    """Only cases of this precision."""
    exitfirst: Annotated[bool, tyro.conf.arg(aliases=["-x"], help_behavior_hint="")] = False
    """Stop at the first lane with a failure."""
    second: Annotated[bool, named(None)] = False
    """Also compare second derivatives, which the implementation must offer; see docs/how-parity-works.md."""
    json: Annotated[Path | None, named("FILE")] = None
    """File for the report as JSON; - for standard output."""
    html: Annotated[Path | None, named("FILE")] = None
    """File for the report as an HTML page with pictures."""
    soak: Annotated[float | None, named("SECONDS")] = None
    """Fuzz each row for this long, without Hypothesis, instead of running --examples cases."""
    jobs: Annotated[int | None, named("N", "(default: up to one per core)"), tyro.conf.arg(aliases=["-j"])] = None
    """Rows that are checked at the same time, in separate processes. The results do not depend on it."""
    shard: Annotated[str | None, named("I/N")] = None
    """Run only part I of N of the cases; `merge` combines the reports of all N."""
    device: Annotated[Literal["cpu", "cuda", "mps", "auto"], named("cpu|cuda|mps|auto", "(default: cpu)")] = "cpu"
    """Where torch computes."""
    failures: Annotated[Path, named("FOLDER", None)] = Path(".parity")
    """Folder for saved failures, which `replay` runs again."""

    def run(self) -> int:
        """Print a table and the failures; return the exit code."""
        if self.soak is not None and not self.soak > 0:
            raise UserError(f"--soak must be more than 0 seconds, got {self.soak:g}")
        if self.jobs is not None and self.jobs < 1:
            raise UserError(f"--jobs must be at least 1, got {self.jobs}")
        if self.impl is not None and len(self.ops) != 1:
            raise UserError(
                f"--impl {self.impl} needs the one row that it implements, got {' '.join(self.ops) or 'none'}"
            )
        if self.second and self.impl is None:
            raise UserError("--second needs --impl: the ops of numpy_cnn offer no second derivatives")
        for flag, file in (("--json", self.json), ("--html", self.html)):
            if file is not None and not file.parent.is_dir():
                raise UserError(f"{flag} {file}: no such folder {file.parent}")
        report = self._report(self._names())
        self._print(report)
        if not report.cases:
            reasons = "; ".join(f"{row.name}: {note}" for row in report.rows for note in row.notes)
            raise UserError(f"no case ran, so nothing was checked{': ' if reasons else ''}{reasons}")
        return 0 if report.ok else 1

    def _names(self) -> tuple[str, ...]:
        if not self.ops and (self.jobs or cores()) > 1:
            from parity.commands.parallel import row_names

            return row_names()
        import_rows()
        from parity.api.arguments import row_named
        from parity.rows.registry import ROWS

        if self.like is None:
            for name in self.ops:
                row_named(name)  # raises before the first row runs
        return self.ops or tuple(ROWS)

    def _report(self, names: tuple[str, ...]) -> "Report":
        from parity.api.shard import Shard
        from parity.commands.parallel import check_in_parallel, default_jobs
        from parity.commands.progress import checking_progress
        from parity.report import Report

        how = self.rerun_flags()
        Journal.flags = how.flags
        arguments: dict[str, Any] = arguments_of(how)
        arguments |= {"examples": self.examples, "seed": self.seed, "dtype": self.dtype}
        arguments |= {"exitfirst": self.exitfirst, "second": self.second, "rerun": how, "device": self.device}
        if self.shard is not None:
            arguments["shard"] = Shard.parse(self.shard)
        if self.soak is not None:
            arguments["seconds"] = self.soak / 4
        jobs = min(self.jobs or default_jobs(len(names)), len(names))
        rows = []
        with contextlib.ExitStack() as stack:
            if self.json == Path("-"):
                stack.enter_context(_only_json_on_stdout())
            if how.impl is not None:
                from parity.commands.loading import loaded

                arguments["implementation"] = stack.enter_context(loaded(how.impl)).implementation
            progress = stack.enter_context(checking_progress(names, self.examples or 200))
            if jobs > 1:
                reports = check_in_parallel(names, arguments, jobs, progress)
            else:
                reports = self._in_turn(names, arguments, progress)
            stack.enter_context(contextlib.closing(reports))  # an interrupt stops the other processes too
            for one in reports:
                rows += one.rows
                if self.exitfirst and one.failures:
                    break
        for row in rows:
            add_crashes(row, how)
        return Report(rows, one.seed, one.examples, one.shard)

    def _in_turn(
        self, names: Sequence[str], arguments: dict[str, Any], progress: "CheckingProgress"
    ) -> "Generator[Report, None, None]":
        from parity.api.check import check
        from parity.subjects import Unrecognised

        for name in names:
            try:
                yield check(name, **arguments, progress=progress.of(name))
            except Unrecognised as error:
                raise UserError(f"--impl {self.impl}: {error}" if self.impl else str(error)) from None

    def _print(self, report: "Report") -> None:
        from rich.console import Console

        from parity.report.saved import save
        from parity.report.terminal import WIDTH, closing, notes_of, render_failure, wrapped

        to_stdout = self.json == Path("-")
        known = sys.stdout.isatty() or "COLUMNS" in os.environ
        console = Console(stderr=to_stdout, highlight=False, width=None if known else 140)
        console.print(report.table())
        for failure in report.failures:
            text = render_failure(failure, min(console.width, WIDTH))
            console.print(f"{text}\n", markup=False, soft_wrap=True)
        for text in (*notes_of(report), *closing(report)):
            for line in wrapped(text, min(console.width, WIDTH)):
                console.print(line, markup=False, soft_wrap=True)
        if save(report.failures, self.failures):
            console.print(f"saved in {self.failures}: python -m parity replay all", markup=False, soft_wrap=True)
        if self.json is not None:
            text = json.dumps(report.to_json(), indent=2, allow_nan=False)
            if to_stdout:
                print(text)
            else:
                replace_file(self.json, f"{text}\n".encode())
        if self.html is not None:
            replace_file(self.html, report.to_html().encode())
