"""`check`: the parity suite, or some of its rows, or an implementation of the user's own."""

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from numpy_cnn.common.spec.errors import UserError
from parity.commands.implementation_flags import ImplementationFlags, check_flags, row_of
from parity.commands.placeholders import named

if TYPE_CHECKING:
    from parity.cases.torch_op import Op


@dataclass(frozen=True)
class Check(ImplementationFlags):
    """Compare implementations with torch on generated cases: all rows, or those named."""

    ops: Annotated[tuple[str, ...], tyro.conf.Positional, named("[OP ...]", "(default: all)")] = ()
    """Rows, such as conv2d; `list` names them."""
    impl: Annotated[str | None, named("FILE.py:NAME")] = None
    """Your own implementation of the one row named; a pair is FILE.py:FORWARD,BACKWARD."""
    like: Annotated[str | None, named("TORCH.FUNCTION")] = None
    """The oracle of an op that is no row, as in torch.nn.functional.gelu; or FILE.py:NAME, of tensors."""
    shapes: Annotated[str | None, named("SHAPES")] = None
    """With --like, those of the arrays, as in: 'n c h w, c'. Guessed if left out."""
    examples: int = 200
    """Cases a row and lane."""
    seed: int = 0
    """The same seed draws the same cases."""
    dtype: Annotated[Literal["float32", "float64"] | None, named("float32|float64", "(default: both)")] = None
    """Cases of this precision alone."""
    json: Annotated[Path | None, named("FILE")] = None
    """File for the report as JSON; - for standard output."""
    html: Annotated[Path | None, named("FILE")] = None
    """File for the report as a page of its own, with pictures."""
    soak: Annotated[float | None, named("SECONDS")] = None
    """As many cases as fit into so many seconds a row, without Hypothesis, instead of --examples."""
    failures: Annotated[Path, named("FOLDER", None)] = Path(".parity")
    """Folder that failures are saved in, for `replay`."""

    def run(self) -> int:
        """Print a table and the failures; the exit code."""
        if self.examples < 1:
            raise UserError(f"--examples must be at least 1, got {self.examples}")
        if self.seed < 0:
            raise UserError(f"--seed must not be negative, got {self.seed}")
        if self.soak is not None and not self.soak > 0:
            raise UserError(f"--soak must be more than 0 seconds, got {self.soak:g}")
        if self.impl is not None and len(self.ops) != 1:
            raise UserError(
                f"--impl {self.impl} takes one row to be checked as, got {' '.join(self.ops) or 'none'}"
            )

        from rich.console import Console

        from parity.api.check import row_named
        from parity.commands.loading import implementation_from
        from parity.commands.progress import checking_progress
        from parity.report import Report
        from parity.report.saved import save
        from parity.report.terminal import WIDTH, closing, notes_of, render_failure, wrapped
        from parity.rows.registry import ROWS
        from parity.running.row import run_row
        from parity.subjects import Unrecognised

        how = self.rerun_flags()
        if how.impl is None and (how.like or how.shapes):
            raise UserError("--like and --shapes take one op and its --impl, to be compared with it")
        if how.impl is not None:
            implementation = implementation_from(how.impl)
            implementation.timeout = how.timeout
            rows = [row_of(self.ops[0], implementation, how)]
            ops: dict[str, Op] = {rows[0].name: implementation}
        else:
            try:
                rows = [row_named(name) for name in self.ops] if self.ops else [*ROWS.values()]
            except KeyError as error:
                raise UserError(error.args[0]) from None
            ops = {row.name: row.op for row in rows}
        for row in rows:
            check_flags(row, how)

        report = Report([], self.seed, self.examples)
        with checking_progress(
            [row.name for row in rows], {r.name: len(r.lanes) * self.examples for r in rows}
        ) as seen:
            for row in rows:
                try:
                    done = run_row(
                        row,
                        ops[row.name],
                        examples=self.examples,
                        seed=self.seed,
                        dtype=self.dtype,
                        supports=how.supports or None,
                        accept=how.accept,
                        seconds=None if self.soak is None else self.soak / len(row.lanes),
                        on_case=seen.case,
                    )
                except Unrecognised as error:
                    raise UserError(f"--impl {self.impl}: {error}") from None
                done.failures = [replace(failure, rerun=how) for failure in done.failures]
                report.rows.append(done)
                seen.row(done)

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
                self.json.write_text(text + "\n", encoding="utf-8")
        if self.html is not None:
            self.html.write_text(report.to_html(), encoding="utf-8")
        if report.cases == 0:
            raise UserError("no case ran, so nothing is known")
        return 0 if report.ok else 1
