"""Run a command in a child process, so that a crash, an exit or a hang of the user's code is reported.

This applies only to commands that call the user's code, and only if processes can be forked. The parent has
imported nothing large and only waits.
"""

import ctypes
import faulthandler
import itertools
import os
import re
import select
import signal
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from parity.cases.journal import FINISHED, IN_CALL, Journal, Record
from parity.commands.crashes import Crash

GRACE = 5.0  # seconds after a call's own limit, which works as long as Python code runs
PR_SET_PDEATHSIG = 1  # from Linux's prctl.h
POLL = 1.0  # seconds between checks of the time
INTERRUPT = 0.5  # seconds for the child to end, if the terminal interrupted both
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def guarded(command: Callable[[], int], typed: Sequence[str]) -> int:
    """The exit code of a command; 1 with a report if its process ended before the command did."""
    if not (hasattr(os, "fork") and _calls_user_code(typed)):
        return command()
    crashes: list[Crash] = []
    while True:
        with tempfile.TemporaryFile() as trace:
            journal = Journal()
            reader, writer = os.pipe()
            signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # until this process forwards them
            child = os.fork()
            if not child:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
                os.close(reader)
                Journal.skipped, Crash.before = frozenset(crash.record.lane for crash in crashes), crashes
                return _in_child(command, journal, trace)
            os.close(writer)
            code, sent = _wait(child, journal, reader)
            record = journal.read()
            if record.state == FINISHED:
                return record.code
            if -code in sent:
                return 128 - code
            crash = Crash(record, _how(record, code), _place_in(trace))
            if typed[:1] == ["check"] and _others_may_run(crash, code, crashes):
                crashes.append(crash)
                print(f"{crash.sentence}: checking the other lanes", file=sys.stderr, flush=True)
                continue
            _report((crashes or [crash])[0], typed)
        if typed[:1] != ["watch"] or "--rounds" in typed:
            return 1 if record.case else 2  # a file that cannot be imported is a mistake in the call
        _wait_for_save(typed)


def _calls_user_code(typed: Sequence[str]) -> bool:
    return typed[:1] in (["watch"], ["replay"]) or any(
        word == "--impl" or word.startswith("--impl=") for word in typed
    )


def _in_child(command: Callable[[], int], journal: Journal, trace: IO[bytes]) -> int:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # if the parent is killed
    faulthandler.enable(os.dup(trace.fileno()))
    Journal.active = journal
    code = 1  # after an exception
    try:
        code = command()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        raise
    finally:
        journal.finish(code)
    return code


def _wait(child: int, journal: Journal, pipe: int) -> tuple[int, set[int]]:
    """The child's exit code as of `os.waitstatus_to_exitcode`, and the signals that this process received.

    A call that hangs is aborted.
    """
    received: list[int] = []
    passed: set[int] = set()
    before = {number: signal.signal(number, lambda number, _: received.append(number)) for number in PASSED_ON}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    try:
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status), passed | {*received}
            for number in received:
                if number != signal.SIGINT or not _is_closed(pipe, INTERRUPT):
                    os.kill(child, number)
                passed.add(number)
            received.clear()
            record = journal.read() if _overdue(journal) else None
            if record is not None:
                os.kill(child, signal.SIGABRT)  # faulthandler writes the position
                _is_closed(pipe, POLL)
                os.kill(child, signal.SIGKILL)
            if _is_closed(pipe, POLL):
                time.sleep(0.001)  # between the end of its files and the end of the process
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(pipe)


def _is_closed(pipe: int, seconds: float) -> bool:
    """Wait until the child closes its end of the pipe by ending; return whether it did."""
    return bool(select.select([pipe], [], [], seconds)[0])


def _overdue(journal: Journal) -> bool:
    record = journal.read()
    return record.state == IN_CALL and 0 < record.deadline < time.monotonic() - GRACE


def _report(crash: Crash, typed: Sequence[str]) -> None:
    """Print the case that ended the process, and keep it."""
    record = crash.record
    # Standard output is for results: not for errors in the call, nor for text beside JSON.
    output = sys.stderr if not record.case or json_to_stdout(typed) else sys.stdout
    lines = [crash.sentence]
    lines += [f"  at {crash.place}"] if crash.place else []
    lines += [f"  case: {record.case}, {record.lane} lane"] if record.case else []
    lines += [f"  again: python -m parity replay '{record.replay}'{record.flags}"] if record.replay else []
    print("\n".join(lines), file=output, flush=True)
    if record.replay:
        from parity.commands.crash import keep  # imports torch: only after a crash

        kept = keep(record, crash.how, crash.place, typed)
        print(kept, end="\n" * bool(kept), flush=True)


def json_to_stdout(typed: Sequence[str]) -> bool:
    """Whether `--json -` is among the words of a command."""
    return "--json=-" in typed or ("--json", "-") in itertools.pairwise(typed)


def _how(record: Record, code: int) -> str:
    if code in (-signal.SIGKILL, -signal.SIGABRT) and _hung(record):
        return "did not return within its time limit and could not be interrupted"
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"


def _hung(record: Record) -> bool:
    return 0 < record.deadline < time.monotonic() - GRACE


def _others_may_run(crash: Crash, code: int, before: Sequence[Crash]) -> bool:
    """Whether a process that skips the lane of the crash may complete the other lanes.

    Not after a hang or an exhausted memory, which would take as long again, and not if the process ended before
    the lanes began: it would end there again, in a lane that it skips.
    """
    skipped = {known.record.lane for known in before}
    slow = code == -signal.SIGKILL or _hung(crash.record)
    return bool(crash.record.replay) and not slow and crash.record.lane not in skipped


def _place_in(trace: IO[bytes]) -> str | None:
    trace.seek(0)
    return _place(trace.read().decode(errors="replace"))


def _place(trace: str) -> str | None:
    """file:line of the innermost frame in the user's code, from the output of faulthandler."""
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    ours = str(Path(__file__).resolve().parents[1])
    for file, line in re.findall(r'File "(.+)", line (\d+) in', trace):
        if not file.startswith((*libraries, ours, "<")):
            return f"{Path(file).name}:{line}"
    return None


def _wait_for_save(typed: Sequence[str]) -> None:
    """Wait until a file in the folder of the implementation changes."""
    place = next((word for word in typed[1:] if ".py" in word), "")
    folder = Path(place.partition(":")[0]).parent

    def times() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in folder.glob("*.py")}

    print("waiting for the next save", file=sys.stderr, flush=True)
    before = times()
    while times() == before:
        time.sleep(0.2)
