"""The call in progress, in memory shared with the parent process, which remains if the child process dies.

Without a journal, which only `parity.commands.guard` opens, a call costs one comparison.
"""

import json
import mmap
import struct
import time
from dataclasses import replace
from typing import ClassVar, NamedTuple

from parity.cases.case import Case, Lane

SIZE = 1 << 16  # bytes; the text of a longer case is omitted
HEAD = struct.Struct("<bid16sI")  # state, exit code, deadline and stage of the call, length of the text
OUTSIDE, IN_CALL, FINISHED = range(3)


class Record(NamedTuple):
    """The contents of the journal, as read by the parent process."""

    state: int
    code: int
    deadline: float  # on the monotonic clock; 0 for none
    stage: str  # forward, pullback or file
    row: str = ""
    case: str = ""
    lane: str = ""
    replay: str = ""  # LANE:JSON
    flags: str = ""


class Journal:
    """Shared memory that the child process writes and its parent reads."""

    active: ClassVar["Journal | None"] = None
    expected: ClassVar[tuple[Case, Lane] | None] = None  # the case that is being compared, or is next
    skipped: ClassVar[frozenset[str]] = frozenset()  # lanes in which a previous process ended
    flags: ClassVar[str] = ""  # flags of the command that runs a case again

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, SIZE)
        self.depth = 0  # of nested calls: adapters call the functions that they wrap
        self.written: object = None  # the case whose text is in the memory
        self.length = 0

    def enter(self, stage: str, seconds: float | None) -> None:
        """Record that a call of the user's code begins, with its time limit."""
        self.depth += 1
        if self.depth > 1:
            return
        if Journal.expected is not self.written:
            self._write()
        deadline = 0.0 if seconds is None else time.monotonic() + seconds
        self.memory[: HEAD.size] = HEAD.pack(IN_CALL, 0, deadline, stage.encode(), self.length)

    def leave(self) -> None:
        """Record that the call has returned or raised."""
        self.depth -= 1
        if not self.depth:
            self.memory[0:1] = bytes([OUTSIDE])

    def finish(self, code: int) -> None:
        """Record that the command is complete, so that a later crash is ignored."""
        self.memory[: HEAD.size] = HEAD.pack(FINISHED, code, 0.0, b"", 0)

    def read(self) -> Record:
        """The last record."""
        state, code, deadline, stage, length = HEAD.unpack(self.memory[: HEAD.size])
        text = self.memory[HEAD.size : HEAD.size + length]
        return Record(state, code, deadline, stage.rstrip(b"\0").decode(), **json.loads(text or b"{}"))

    def _write(self) -> None:
        self.written, self.length = Journal.expected, 0
        if Journal.expected is None:
            return
        case, lane = Journal.expected
        known = {"row": case.row, "lane": lane, "case": str(case), "flags": Journal.flags}
        if case.values is not None:  # arrays while a case is investigated
            plain = {
                name: value.tolist() if hasattr(value, "tolist") else value for name, value in case.values.items()
            }
            case = replace(case, values=plain)
        replay = f"{lane}:{json.dumps(case.to_json(), separators=(',', ':'))}"
        for record in (known | {"replay": replay}, known):
            text = json.dumps(record).encode()
            if len(text) <= SIZE - HEAD.size:
                self.memory[HEAD.size : HEAD.size + len(text)] = text
                self.length = len(text)
                return
