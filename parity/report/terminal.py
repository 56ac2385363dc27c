"""A report for the terminal: one table of all rows, and each failure in full."""

import json
import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import RenderableType
from rich.table import Table

from parity.diagnosis.evidence import Array, Comparison, Evidence
from parity.lanes.facts import OutsideBound, Raised, TimedOut
from parity.report import sentences
from parity.report.tables import beside, grid, map_of, number

if TYPE_CHECKING:
    from parity.report.objects import Failure, Report

_LENGTH = re.compile(r" axis \d|^gradient\d")  # of one axis, or one of an optimizer's steps: too many to tell
_EITHER = ("it fails too with float32", "it fails too with float64")  # as nearly all do
_CELL = re.compile(r"\d+\.py:\d+")  # the file that a notebook makes of a cell: nobody can open it
_WIDTH = 115

LANES = {
    "exact": "small integers, every sum exact: both must agree to the bit",
    "bound": "real numbers: each side held to its derived error bound",
    "structure": "purity, memory layouts, dtypes, empty batches",
    "special": "ties, zeros of both signs, NaN and ±inf",
}


def table_of(report: "Report") -> RenderableType:
    """One line a row: cases by lane, those that prove nothing, the worst errors, the verdict."""
    table = Table(box=box.SIMPLE, title="worst error as a fraction of its bound; at most 1 agrees")
    for column in ("row", "exact", "bound", "structure", "special", "mistrusted"):
        table.add_column(column, justify="left" if column == "row" else "right")
    for column in ("output", "gradients", "verdict"):
        table.add_column(column)
    for row in report.rows:
        wrong = {failure.quantity for failure in row.failures}
        told = {name: "[red]wrong[/red]" if name in wrong else _short(w) for name, w in row.quantities.items()}
        told |= dict.fromkeys(wrong, "[red]wrong[/red]")
        output = told.pop("output", "")
        gradients = " ".join(f"{name.removeprefix('grad_')} {worst}" for name, worst in told.items())
        counts = [str(row.lanes.get(lane, "")) for lane in ("exact", "bound", "structure", "special")]
        mistrusted = sum(row.mistrusted.values())
        verdict = (
            "[red]DISAGREES[/red]"
            if row.failures
            else "[red]PROVES TOO LITTLE[/red]"
            if row.vacuous
            else "[green]agrees[/green]"
        )
        table.add_row(row.name, *counts, str(mistrusted or ""), output, gradients, verdict)
    return table


def notes_of(report: "Report") -> list[str]:
    """What was declined, accepted or left out, a line each."""
    lines = []
    for row in report.rows:
        if declined := sum(row.declined.values()):
            lines.append(f"{row.name}: {declined} cases declined")
        lines += [f"{row.name}: accepted: {failure.quantity}: {failure.diagnosis}" for failure in row.accepted]
        lines += [f"{row.name}: {note}" for note in row.notes]
    return lines


def render_failure(failure: "Failure") -> str:
    """One failure from top to bottom: what, where, who, on which numbers, when, and how to run it again."""
    evidence = failure.evidence
    lines = [f"{failure.row}: {failure.quantity} in the {failure.lane} lane ({LANES[failure.lane]})"]
    lines += _said(failure)
    if failure.verdict == "contract":
        lines.append(f"  the numbers agree; pass `--accept {failure.aspect}` to ignore")
    elif failure.aspect == "ties":
        lines.append("  another choice than torch's; pass `--accept ties` to ignore")
    elif failure.verdict == "convention":
        lines.append(f"  another convention than torch's; pass `--accept {failure.convention}` to keep it")
    elif failure.aspect == "special":
        lines.append("  only where values are NaN, ±inf or −0; pass `--accept special` to ignore")
    if failure.place and not _CELL.fullmatch(failure.place) and not _names_a_line(failure):
        lines.append(f"  at {failure.place}")
    if evidence is not None:
        agrees = f"; agrees: {', '.join(evidence.agrees)}" if evidence.agrees else ""
        if failure.aspect != "purity" and (agrees or len(evidence.differs) > 1):
            lines.append(f"  differs: {', '.join(evidence.differs)}{agrees}")
        if evidence.comparison is not None:
            lines.append(f"  {who(failure, evidence.comparison)}")
    elif failure.wrong_side != "implementation":
        lines.append(f"  wrong: {failure.wrong_side}")
    lines.append(f"  case: {failure.case}")
    if evidence is not None:
        lines += _drawn(failure, evidence)
    lines.append(f"  again: {again(failure)}")
    return "\n".join(lines)


def again(failure: "Failure") -> str:
    """The command that runs the case again, or what to do where there is none."""
    from parity.rows.registry import ROWS

    if failure.rerun is not None:
        return f"{_replay(failure)}{failure.rerun.flags}"
    if failure.row in ROWS:
        return f"{_replay(failure)} --impl FILE.py:NAME (give it a name of its own in a file)"
    return "the same call in Python; the same seed draws the same cases"


def _replay(failure: "Failure") -> str:
    case = json.dumps(failure.case.to_json(), separators=(",", ":"))
    return f"python -m parity replay {shlex.quote(f'{failure.lane}:{case}')}"


def who(failure: "Failure", c: Comparison) -> str:
    """Who is wrong, by the referee's judgement."""
    if failure.wrong_side == "undecided":
        return "who is wrong: open, for torch itself is the measure in float64, where nothing is more precise"
    ours, theirs = c.errors
    side = {"implementation": "yours", "oracle": "torch", "both": "both"}[failure.wrong_side]
    said = f"who is wrong: {side}; the right value there is {number(c.referee)}, computed in double precision"
    if _measured(c):
        said += (
            f"; yours is off by {ours:.2g}, torch's by {theirs:.2g}, and {c.allowed:.2g} can be due to rounding"
        )
    return said


def _said(failure: "Failure") -> list[str]:
    """The diagnosis, a line each: an explanation, what it contradicts, what is wrong in numbers."""
    lines, difference = [], failure.difference
    if difference.explained is not None:
        lines.append(f"  {sentences.explained(replace(difference.explained, convention=False))}")
    if failure.formula:
        lines.append(f"  this contradicts {failure.formula}")
    c = failure.evidence and failure.evidence.comparison
    fact = difference.fact
    if c and failure.wrong_side != "undecided" and _measured(c) and isinstance(fact, OutsideBound):
        fact = fact.values  # `who` states the errors themselves
    return [*lines, f"  {sentences.diagnosis(replace(difference, fact=fact, explained=None))}"]


def _measured(c: Comparison) -> bool:
    """Whether errors and what is allowed can be told as numbers."""
    return bool(c.allowed and np.isfinite(c.errors).all())


def _names_a_line(failure: "Failure") -> bool:
    """Whether the diagnosis ends with the line that raised, which is nearer than where the function begins."""
    return isinstance(failure.fact, (Raised, TimedOut)) and failure.fact.where is not None


def _drawn(failure: "Failure", evidence: Evidence) -> list[str]:
    lines = ["", *_indented(beside([grid(array, name) for name, array in evidence.arrays.items()])), ""]
    if c := evidence.comparison:
        columns = [
            grid(c.yours, f"{failure.quantity}, yours", wrong=c.wrong),
            grid(c.torchs, "torch's"),
            grid(c.difference, "yours − torch's", signed=True),
        ]
        lines += [*_indented(beside(columns)), ""]
    # Special values stand anywhere, so that there is no pattern to see.
    if failure.lane != "special" and (c := evidence.wider) is not None and 0 < c.wrong.sum() < c.wrong.size:
        lines += map_lines(c.wrong, evidence.wider_case)
    needed = [text for text in evidence.needed if not text.startswith("rarely")]  # of a few cases: no finding
    lines += [f"  {'fails ' if place == 0 else '      '}{text}" for place, text in enumerate(needed)]
    if not _always(evidence):
        if evidence.varied and evidence.varied[-1] not in _EITHER:
            lines.append(f"  on this case {', '.join(evidence.varied)}")
        alike = [facet for facet in evidence.alike if not _LENGTH.search(facet) and facet != "float64"]
        if alike:
            lines.append(_in_a_line("  fails alike with and without: ", alike))
    if evidence.script:
        lines += ["  by itself, without parity:", ""]
        lines += [f"    {line}" for line in evidence.script.rstrip().splitlines()] + [""]
    return lines


def map_lines(wrong: Array, case: str) -> list[str]:
    """Where the entries of a larger case are wrong: one row of pictures, for more of them say no more."""
    pictures, legend = map_of(wrong), "# wrong, · right"
    if "" in pictures:
        pictures = pictures[: pictures.index("")]
        legend += f"; {pictures[0].count('[')} of {int(np.prod(wrong.shape[:-2]))} pictures"
    return [f"  on a larger case ({legend}): {case}", *_indented(pictures), ""]


def _in_a_line(start: str, names: list[str]) -> str:
    """As many of the names as fit into a line, and how many there are besides."""
    told = f"{start}{', '.join(names)}"
    for shown in range(len(names) - 1, 0, -1):
        if len(told) <= _WIDTH:
            break
        told = f"{start}{', '.join(names[:shown])}, and {len(names) - shown} more"
    return told


def _always(evidence: Evidence) -> bool:
    """Whether every case fails, so that there is nothing that it depends on."""
    return any(text.startswith("in every one") for text in evidence.needed)


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


def _short(fraction: float) -> str:
    return "0" if fraction == 0 else f"{fraction:.2g}"
