"""Keep the failure of an implementation that ended its process: the saved case, and the report of `--json`."""

import json
from collections.abc import Sequence
from pathlib import Path

from numpy_cnn.common.cli import flags
from numpy_cnn.common.spec.files import replace_file
from parity.cases.case import LANES, Case
from parity.cases.journal import Record
from parity.commands.check import Check
from parity.lanes.facts import Difference, Raised
from parity.report import Failure, Report, RowReport, sentences
from parity.report.saved import save


def keep(record: Record, how: str, place: str | None, typed: Sequence[str]) -> str:
    """Save the case that ended the process and write the JSON report; return a line for the terminal, or nothing.

    Args:
        record: the call in progress when the process ended.
        how: how it ended.
        place: file:line of the user's code.
        typed: the arguments of the command.
    """
    lane, _, text = record.replay.partition(":")
    chosen = next((known for known in LANES if known == lane), None)
    if chosen is None or typed[:1] in (["watch"], ["replay"]):
        return ""
    command, _ = flags.parse("python -m parity", "", {"check": Check}, "check", list(typed))
    assert isinstance(command, Check)
    quantity = "grad_input" if record.stage == "pullback" else "output"
    difference = Difference(quantity, Raised(record.stage, "ProcessEnded", how, place))
    case = Case.from_json(json.loads(text))
    failure = Failure(
        record.row, chosen, case, difference, sentences.diagnosis(difference), place, command.rerun_flags()
    )
    row = RowReport(record.row, lanes={chosen: 1})
    row.add(failure, frozenset())
    row.notes.append("the process of the implementation ended: nothing more was checked")
    report = Report([row], command.seed or 0, command.examples or 0)
    kept = save([failure], command.failures)
    if command.json is not None:
        written = json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n"
        if command.json == Path("-"):
            return written.rstrip()
        replace_file(command.json, written.encode())
    return f"saved in {command.failures}: python -m parity replay all" if kept else ""
