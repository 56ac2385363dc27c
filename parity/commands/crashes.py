"""The end of a process in a call of the implementation, and how the next process reports it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from parity.cases.journal import IN_CALL, Record

if TYPE_CHECKING:
    from parity.report import Failure, RowReport
    from parity.report.rerun import RerunFlags

ENDED = "the process of the implementation ended: nothing more was checked"
ENDED_IN_LANES = "the process of the implementation ended in the {} lane, of which nothing more was checked"


@dataclass(frozen=True)
class Crash:
    """The end of a process in a call of the implementation."""

    record: Record  # the call
    how: str
    place: str | None  # file:line of the user's code

    before: ClassVar[Sequence["Crash"]] = ()  # the crashes of earlier processes, which this one reports

    @property
    def sentence(self) -> str:
        """For the terminal."""
        stage = f"in the {self.record.stage}" if self.record.state == IN_CALL else "between two calls"
        stage = "while its file was imported" if self.record.stage in ("", "file") else stage
        subject = f"{self.record.row}: wrong" if self.record.case else "parity: error"
        return f"{subject}: the process of the implementation {self.how}, {stage}"

    def failure(self, rerun: "RerunFlags | None") -> "Failure | None":
        """The crash as a finding; None if its case was too long to be recorded."""
        from parity.cases.case import LANES, Case
        from parity.lanes.facts import Difference, ProcessEnded
        from parity.report import Failure, sentences

        lane, _, text = self.record.replay.partition(":")
        chosen = next((known for known in LANES if known == lane), None)
        if chosen is None:
            return None
        quantity = "grad_input" if self.record.stage == "pullback" else "output"
        difference = Difference(quantity, ProcessEnded(self.record.stage, self.how, self.place))
        diagnosis = sentences.diagnosis(difference)
        case = Case.from_json(json.loads(text))
        return Failure(self.record.row, chosen, case, difference, diagnosis, self.place, rerun)


def add_crashes(row: "RowReport", rerun: "RerunFlags | None") -> None:
    """Add the crashes of earlier processes to the report of the remaining lanes: one of each place."""
    seen: set[tuple[str, str | None]] = set()
    for crash in Crash.before:
        failure = crash.failure(rerun)
        if failure is None:
            continue
        row.lanes[failure.lane] = row.lanes.get(failure.lane, 0) + 1
        row.notes.append(ENDED_IN_LANES.format(failure.lane))
        if (failure.quantity, failure.place) not in seen:
            seen.add((failure.quantity, failure.place))
            row.add(failure, frozenset())
