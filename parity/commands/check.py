"""`check`: the parity suite, or some of its rows, or an implementation of the user's own."""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from numpy_cnn.common.errors import UserError
from parity.commands.placeholders import named


@dataclass(frozen=True)
class Check:
    """Compare implementations with torch on generated cases: all rows, or those named."""

    ops: Annotated[tuple[str, ...], tyro.conf.Positional, named("[OP ...]", "(default: all)")] = ()
    """Rows, such as conv2d; `list` names them."""
    impl: Annotated[str | None, named("FILE.py:NAME")] = None
    """Your own implementation of the one row named; a pair is FILE.py:FORWARD,BACKWARD."""
    supports: Annotated[tuple[str, ...], named("NAME=VALUE ...")] = ()
    """What it takes, so that nothing else is drawn, as in: groups=1 stride=1 square=true."""
    accept: Annotated[tuple[str, ...], named("NAME ...")] = ()
    """Conventions and bad manners that are no failures, by the names that failures give them."""
    timeout: Annotated[float, named("SECONDS", None)] = 30.0
    """Seconds that one call of it may take."""
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
        if not self.timeout > 0:
            raise UserError(f"--timeout must be more than 0 seconds, got {self.timeout:g}")
        supports = _supports(self.supports)
        if self.soak is not None and not self.soak > 0:
            raise UserError(f"--soak must be more than 0 seconds, got {self.soak:g}")
        if self.impl is not None and len(self.ops) != 1:
            raise UserError(
                f"--impl {self.impl} takes one row to be checked as, got {' '.join(self.ops) or 'none'}"
            )

        from rich.console import Console

        from parity.adapters import Unrecognised
        from parity.checking import row_named
        from parity.commands.loading import implementation_from
        from parity.commands.progress import checking_progress
        from parity.failures.saved import save
        from parity.registry import ROWS
        from parity.report import Report
        from parity.report.terminal import notes_of
        from parity.runner import acceptable, check_words, run_row

        try:
            rows = [row_named(name) for name in self.ops] if self.ops else [*ROWS.values()]
        except KeyError as error:
            raise UserError(error.args[0]) from None
        ops = {row.name: row.op for row in rows}
        if self.impl is not None:
            implementation = implementation_from(self.impl)
            ops[rows[0].name] = implementation
            implementation.timeout = self.timeout
        try:
            acceptable(self.accept)
            for row in rows if supports else ():
                check_words(row, supports)
        except ValueError as error:
            raise UserError(f"--{error}") from None

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
                        supports=supports or None,
                        accept=self.accept,
                        seconds=None if self.soak is None else self.soak / len(row.lanes),
                        on_case=seen.case,
                    )
                except Unrecognised as error:
                    raise UserError(f"--impl {self.impl}: {error}") from None
                done.failures = [replace(failure, impl=self.impl) for failure in done.failures]
                report.rows.append(done)
                seen.row(done)

        to_stdout = self.json == Path("-")
        console = Console(stderr=to_stdout, highlight=False, width=None if sys.stdout.isatty() else 140)
        console.print(report.table())
        for note in notes_of(report):
            console.print(note, markup=False, soft_wrap=True)
        for failure in report.failures:
            console.print(f"{failure}\n", markup=False, soft_wrap=True)
        console.print(f"{report.cases} cases, seed {self.seed}: {report.verdict}", markup=False)
        if save(report.failures, self.impl, self.failures):
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


def _supports(pairs: tuple[str, ...]) -> dict[str, Any]:
    """NAME=VALUE pairs; a value in JSON, or a word.

    Raises:
        UserError: one of them is no pair.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise UserError(f"--supports {pair!r}: expected NAME=VALUE, as in groups=1 or square=true")
        try:
            value = json.loads(text.lower() if text in ("True", "False") else text)
        except ValueError:
            value = None if text == "None" else text
        found[name] = tuple(value) if isinstance(value, list) else value
    return found
