"""Keep the failure of an implementation that ended its process: the saved case, and the report of `--json`."""

import json
from collections.abc import Sequence
from pathlib import Path

from numpy_cnn.common.cli import flags
from numpy_cnn.common.spec.files import replace_file
from parity.cases.journal import Record
from parity.commands.check import Check
from parity.commands.crashes import ENDED, Crash
from parity.report import Report, RowReport
from parity.report.saved import save


def keep(record: Record, how: str, place: str | None, typed: Sequence[str]) -> str:
    """Save the case that ended the process and write the JSON report; return a line for the terminal, or nothing.

    Args:
        record: the call in progress when the process ended.
        how: how it ended.
        place: file:line of the user's code.
        typed: the arguments of the command.
    """
    if typed[:1] in (["watch"], ["replay"]):
        return ""
    command, _ = flags.parse("python -m parity", "", {"check": Check}, "check", list(typed))
    assert isinstance(command, Check)
    failure = Crash(record, how, place).failure(command.rerun_flags())
    if failure is None:
        return ""
    row = RowReport(record.row, lanes={failure.lane: 1})
    row.add(failure, frozenset())
    row.notes.append(ENDED)
    report = Report([row], command.seed or 0, command.examples or 0)
    kept = save([failure], command.failures)
    if command.json is not None:
        written = json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n"
        if command.json == Path("-"):
            return written.rstrip()
        replace_file(command.json, written.encode())
    return f"saved in {command.failures}: python -m parity replay all" if kept else ""
