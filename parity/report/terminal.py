"""A report for the terminal: one line per row, each failure in full, and the flags that ignore findings."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from textwrap import wrap

import numpy as np
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from parity.cases.case import LANES as ALL_LANES
from parity.diagnosis.evidence import Array, Comparison, Evidence
from parity.diagnosis.facets import Kind
from parity.lanes.facts import OutsideBound, Raised, TimedOut
from parity.report import sentences
from parity.report.objects import Failure, Results, RowReport
from parity.report.tables import beside, grid, map_of, number

WIDTH = 115
_CELL = re.compile(r"\d+\.py:\d+")  # the temporary file of a notebook cell, which cannot be opened
MANY = 12  # gradients listed in a row of the table
WIDE = 110  # columns that the table needs; narrower terminals show one line per row
LANES = {
    "exact": "small integers, every sum exact: both must agree to the bit",
    "bound": "real numbers: each side must be within its derived error bound",
    "structure": "purity, memory layouts, dtypes, empty batches",
    "special": "ties, zeros of both signs, NaN and ±inf",
}
LEGEND = (
    "row: one op and its torch counterpart; lane: one way to compare them (exact, bound, structure, special); "
    "errors are fractions of their bounds (at most 1)"
)
MISTRUSTED = "mistrusted: weak evidence: results mostly zero, or independent of the input"


# ---- the whole report


def render(report: Results) -> str:
    """Render the report: failures, worst first, then notes, and the flags that ignore findings."""
    failures = [render_failure(failure) for failure in report.failures]
    return "\n\n".join([*failures, "\n".join([*notes_of(report), *closing(report)])])


def closing(report: Results) -> list[str]:
    """Return the summary of the run and the flag that ignores everything that is not wrong."""
    lines = [f"{report.cases} cases, seed {report.seed}: {summary(report)}"]
    if report.acceptable:
        lines.append(f"to ignore what is not wrong: --accept {' '.join(report.acceptable)}")
    return lines


def summary(report: Results) -> str:
    """Return a one-line summary of the run."""
    notes = f"; {_count(len(report.notes), 'note')}" if report.notes else ""
    if failures := report.failures:
        counts = {failure.verdict: 0 for failure in failures}
        for failure in failures:
            counts[failure.verdict] += 1
        kinds = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        return f"{_count(len(failures), 'disagreement')} ({kinds}){notes}"
    if not report.cases:
        return "not checked: no case ran"
    vacuous = [f"{row.name} ({', '.join(row.vacuous)})" for row in report.rows if row.vacuous]
    if vacuous:
        return f"no disagreement, but too few trusted cases: {'; '.join(vacuous)}"
    unchecked = [row.name for row in report.rows if row.verdict == "not checked"]
    if unchecked:
        return f"no disagreement, but not checked: {', '.join(unchecked)}"
    return f"all agree{notes}"


def notes_of(report: Results) -> list[str]:
    """Return one line for each note, and for declined and accepted cases."""
    lines = [f"{note.row}: {note.verdict}: {note.quantity}: {note.diagnosis}" for note in report.notes]
    for row in report.rows:
        if declined := sum(row.declined.values()):
            lines.append(f"{row.name}: {declined} cases declined")
        lines += [f"{row.name}: accepted: {failure.quantity}: {failure.diagnosis}" for failure in row.accepted]
        lines += [f"{row.name}: {note}" for note in row.notes]
    return lines


def table_of(report: Results) -> RenderableType:
    """Return a table with one line per row: verdict, cases by lane, mistrusted cases, worst errors."""
    return _Overview(report)


class _Overview:
    """A table, or one line per row on a narrow terminal."""

    def __init__(self, report: Results) -> None:
        self.report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if options.max_width >= WIDE:
            yield _table(self.report)
        else:
            yield from (_line(row, options.max_width) for row in self.report.rows)
        legend = [LEGEND]
        if any(row.mistrusted for row in self.report.rows):
            legend.append(MISTRUSTED)
        yield from (Text(line, style="dim") for text in legend for line in wrap(text, options.max_width - 1))
        yield Text("")


def _table(report: Results) -> Table:
    mistrusted = any(row.mistrusted for row in report.rows)
    table = Table(box=box.SIMPLE)
    table.add_column("row", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for column in (*ALL_LANES, *(["mistrusted"] if mistrusted else [])):
        table.add_column(column, justify="right")
    table.add_column("output")
    table.add_column("gradients")
    for row in report.rows:
        errors = dict(_errors(row))
        output = errors.pop("output", "")
        gradients = _shortened(row, errors)
        counts = [str(row.lanes.get(lane, "")) for lane in ALL_LANES]
        proves_nothing = [str(sum(row.mistrusted.values()) or "")] if mistrusted else []
        table.add_row(row.name, _styled(row), *counts, *proves_nothing, output, gradients)
    return table


def _shortened(row: RowReport, errors: dict[str, str]) -> str:
    """Each gradient with its error; where a network has many, the wrong ones and the largest errors."""
    shown = sorted(errors, key=lambda name: (errors[name] != "wrong", -row.quantities.get(name, 0.0)))[:MANY]
    texts = [f"{name.removeprefix('grad_')} {error}" for name, error in errors.items() if name in shown]
    return " ".join(texts) + (f" and {len(errors) - MANY} more" if len(errors) > MANY else "")


def _line(row: RowReport, width: int) -> Text:
    """`conv2d  agrees  800 cases, worst 0.94`; what does not fit into the width is wrapped below."""
    line = Text(f"{row.name:<13} ")
    line.append_text(_styled(row))
    wrong = [name for name, error in _errors(row) if error == "wrong"]
    worst = max(row.quantities.values(), default=None)
    detail = f"{row.cases} cases"
    if wrong:
        detail += f"; wrong: {', '.join(wrong)}"
    elif worst is not None:
        detail += f", error {short(worst)}"
    if mistrusted := sum(row.mistrusted.values()):
        detail += f", {mistrusted} mistrusted"
    line.append(" " * max(1, 30 - len(line)))
    first, *more = wrap(detail, max(20, width - len(line))) or [""]
    line.append(first)
    for part in more:
        line.append("\n" + " " * 30 + part)
    return line


def _styled(row: RowReport) -> Text:
    noted = "" if not row.tolerated or row.failures else f", {row.tolerated[0].verdict}"
    return Text(f"{row.verdict}{noted}", style="green" if row.ok else "red")


def _errors(row: RowReport) -> Iterator[tuple[str, str]]:
    """Each quantity with its worst error as a fraction of its bound, or `wrong`."""
    wrong = {failure.quantity for failure in row.failures}
    for name, worst in row.quantities.items():
        yield name, "wrong" if name in wrong else short(worst)
    yield from ((name, "wrong") for name in sorted(wrong - row.quantities.keys()))


def short(fraction: float) -> str:
    """Format a fraction of a bound with two digits; 0 if both sides agree bit for bit."""
    return "0" if fraction == 0 else f"{fraction:.2g}"


# ---- one failure


def render_failure(failure: Failure, width: int = WIDTH) -> str:
    """Render one failure: what is wrong, where, which side, on which numbers, when, and how to run it again."""
    evidence = failure.evidence
    lines = [
        f"{failure.row}: {failure.verdict}: {failure.quantity} in the {failure.lane} lane ({LANES[failure.lane]})"
    ]
    lines += _what(failure)
    lines += [f"  {sentences.grading(failure.difference)}"] if failure.difference.accept_as else []
    if failure.place and not _CELL.fullmatch(failure.place) and not _names_a_line(failure):
        lines.append(f"  at {failure.place}")
    if evidence is not None:
        agrees = f"; agrees: {', '.join(evidence.agrees)}" if evidence.agrees else ""
        if failure.aspect not in ("purity", "memory") and (agrees or len(evidence.differs) > 1):
            lines.append(f"  differs: {', '.join(evidence.differs)}{agrees}")
        if evidence.layer is not None:
            lines.append(f"  {sentences.layer(evidence.layer)}")
        if evidence.comparison is not None:
            lines.append(f"  {who(failure, evidence.comparison)}")
    elif failure.wrong_side in ("oracle", "both"):
        lines.append(f"  wrong: {failure.wrong_side}")
    lines.append(f"  case: {failure.case}")
    lines = [part for line in lines for part in wrapped(line, width)]
    if evidence is not None:
        lines += _drawn(failure, evidence, width)
    lines.append(f"  again: {again(failure)}")
    return "\n".join(lines)


def wrapped(line: str, width: int) -> list[str]:
    """Wrap a line of prose to this width, with a hanging indent of four."""
    if len(line) <= width:
        return [line]
    return wrap(line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def again(failure: Failure) -> str:
    """Return the command that runs the case again, or what to do if there is none."""
    from parity.rows.registry import ROWS  # imports torch

    if failure.rerun is not None:
        return f"{_replay(failure)}{failure.rerun.flags}"
    if failure.row in ROWS:
        return f"{_replay(failure)} --impl FILE.py:NAME (define it under a name in a file)"
    return "the same call in Python; the same seed draws the same cases"


def _replay(failure: Failure) -> str:
    case = json.dumps(failure.case.to_json(), separators=(",", ":"))
    return f"python -m parity replay {shlex.quote(f'{failure.lane}:{case}')}"


def who(failure: Failure, c: Comparison) -> str:
    """Render which side is wrong if a referee decides it; otherwise, that the sides differ."""
    if failure.wrong_side == "undecided" or failure.aspect == "special":
        yours, torchs = (number(array[c.worst]) for array in (c.yours, c.torchs))
        because = "; which side is wrong is undetermined: in float64 no referee is more precise than torch"
        return f"differs from torch: {yours}, torch's {torchs}{because if _undetermined(failure) else ''}"
    ours, theirs = c.errors
    side = {"implementation": "yours", "oracle": "torch's", "both": "both"}[failure.wrong_side]
    how = {
        "double": "in double precision",
        "extended": "in extended precision",
        "exact": "without rounding errors",
    }
    text = f"who is wrong: {side}; the correct value is {number(c.referee)}, computed {how[c.precision]}"
    if _measured(c):
        text += f"; your error is {ours:.2g}, torch's {theirs:.2g}, the bound {c.allowed:.2g}"
    return text


def _undetermined(failure: Failure) -> bool:
    return failure.case.dtype == "float64" and failure.aspect in ("values", "ties")


def _what(failure: Failure) -> list[str]:
    """Return separate lines for the explanation, the contradicted formula, and the fact."""
    lines, difference = [], failure.difference
    if difference.explained is not None:
        lines.append(f"  {sentences.explained(replace(difference.explained, convention=False))}")
    if failure.formula:
        lines.append(f"  this contradicts {failure.formula}")
    c, fact = failure.evidence and failure.evidence.comparison, difference.fact
    if c and failure.wrong_side != "undecided" and _measured(c) and isinstance(fact, OutsideBound):
        fact = fact.values  # `who` states the errors themselves
    return [*lines, f"  {sentences.diagnosis(replace(difference, fact=fact, explained=None))}"]


def _measured(c: Comparison) -> bool:
    """Whether the errors and the bound are finite numbers."""
    return bool(c.allowed and np.isfinite(c.errors).all())


def _names_a_line(failure: Failure) -> bool:
    """Whether the fact has the line that raised, which is more precise than the start of the function."""
    return isinstance(failure.fact, (Raised, TimedOut)) and failure.fact.where is not None


def _drawn(failure: Failure, evidence: Evidence, width: int) -> list[str]:
    room = width - 7
    lines = [
        "",
        *_indented(beside([grid(array, name) for name, array in evidence.arrays.items()], width=room)),
        "",
    ]
    if c := evidence.comparison:
        columns = [
            grid(c.yours, f"{failure.quantity}, yours", wrong=c.wrong),
            grid(c.torchs, "torch's"),
            grid(c.difference, "yours − torch's", signed=True),
        ]
        lines += [*_indented(beside(columns, width=room)), ""]
    # Special values may be anywhere, so a map shows no pattern.
    if failure.lane != "special" and (c := evidence.wider) is not None and 0 < c.wrong.sum() < c.wrong.size:
        lines += map_lines(c.wrong, str(evidence.wider_case))
    for place, text in enumerate(sentences.dependence(evidence.dependence)):
        lines += wrapped(f"  {'fails ' if place == 0 else '      '}{text}", width)
    if evidence.dependence.failing < evidence.dependence.cases:
        if text := sentences.variations(evidence.varied):
            lines += wrapped(f"  on this case {text}", width)
        # Single axes, or single steps of an optimizer, would be too many.
        alike = [sentences.facet(f) for f in evidence.dependence.alike if f.kind not in (Kind.AXIS, Kind.DOUBLE)]
        if alike:
            lines.append(_in_a_line("  independent of: ", alike, width))
    if evidence.script:
        lines += ["  stand-alone script, without parity:", ""]
        lines += [f"    {line}" for line in evidence.script.rstrip().splitlines()] + [""]
    return lines


def map_lines(wrong: Array, case: str) -> list[str]:
    """Draw the wrong entries of a larger case; one row of pictures is enough to show a pattern."""
    pictures, legend = map_of(wrong), "# wrong, · right"
    if "" in pictures:
        pictures = pictures[: pictures.index("")]
        legend += f"; {pictures[0].count('[')} of {int(np.prod(wrong.shape[:-2]))} pictures"
    return [f"  on a larger case ({legend}): {case}", *_indented(pictures), ""]


def _in_a_line(start: str, names: list[str], width: int) -> str:
    """List as many names as fit into a line, and the number of the others."""
    line = f"{start}{', '.join(names)}"
    for shown in range(len(names) - 1, 0, -1):
        if len(line) <= width:
            break
        line = f"{start}{', '.join(names[:shown])}, and {len(names) - shown} more"
    return line


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
