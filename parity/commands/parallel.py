"""Check rows in several processes, each row in a fresh one, so that neither order nor number changes a result."""

import signal
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from numpy_cnn.common.spec.errors import UserError
from parity.api.defaults import SESSION, Defaults
from parity.cases.case import Lane
from parity.commands.preload import context, cores, preload
from parity.commands.progress import CheckingProgress
from parity.lanes.facts import Difference
from parity.report import Report, RowReport
from parity.running.progress import Progress

ROWS_PER_PROCESS = 8  # fewer take less time than starting processes, which import PyTorch again
SLOWEST = ("SimpleCNN", "network", "RMSprop", "AdamW")  # started last, they would leave the other processes idle


def default_jobs(rows: int) -> int:
    """One process per available core, if there are enough rows."""
    return max(1, min(cores(), rows // ROWS_PER_PROCESS))


def row_names() -> tuple[str, ...]:
    """All rows, listed by a process of its own: this one need not import PyTorch, which would delay the others."""
    preload()
    receiver, sender = context().Pipe(duplex=False)
    process = context().Process(target=_send_row_names, args=(sender,))
    process.start()
    sender.close()
    try:
        return tuple(receiver.recv())
    except EOFError:
        raise UserError("the process that imports PyTorch ended; out of memory? try --jobs 1") from None
    finally:
        process.join()


def _send_row_names(sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from parity.rows.registry import ROWS

    sender.send([*ROWS])


def check_in_parallel(
    names: Sequence[str], arguments: Mapping[str, Any], jobs: int, progress: CheckingProgress
) -> Generator[Report, None, None]:
    """Yield the reports of these rows in their order, checked by `jobs` processes at a time.

    Raises:
        UserError: a process ended before its report.
    """
    processes = context()
    waiting = deque(sorted(names, key=lambda name: name not in SLOWEST))
    running: dict[str, _Running] = {}
    reports: dict[str, Report] = {}
    try:
        for name in names:
            while name not in reports:
                while waiting and len(running) < jobs:
                    row = waiting.popleft()
                    running[row] = _Running(processes, row, arguments, progress.of(row))
                for ready in wait([one.receiver for one in running.values()]):
                    row = next(row for row, one in running.items() if one.receiver is ready)
                    report = running[row].receive()
                    if report is not None:
                        reports[row] = report
                        running.pop(row).process.join()
            yield reports.pop(name)
    finally:
        for one in running.values():
            one.process.terminate()
            one.process.join()


class _Running:
    """A row checked by a process, which sends its progress and finally its report."""

    def __init__(self, processes: Any, name: str, arguments: Mapping[str, Any], progress: Progress) -> None:
        self.name, self.progress = name, progress
        self.receiver, sender = processes.Pipe(duplex=False)
        self.process: BaseProcess = processes.Process(target=_check, args=(name, arguments, SESSION.get(), sender))
        self.process.start()
        sender.close()  # the process has its own

    def receive(self) -> Report | None:
        """Show one event; return the report if it was the last one."""
        try:
            event, values = self.receiver.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            raise UserError(
                f"{self.name}: its process ended with code {code}; out of memory? try --jobs 1"
            ) from None
        if isinstance(event, Report):
            return event
        if isinstance(event, BaseException):
            raise event
        getattr(self.progress, event)(*values)
        return None


def _check(name: str, arguments: Mapping[str, Any], defaults: Defaults, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one ends the others
    SESSION.set(defaults)
    from parity.api.check import check  # where processes fork, both were imported before
    from parity.subjects import Unrecognised

    try:
        sender.send((check(name, **arguments, progress=_Sent(sender)), ()))
    except Unrecognised as error:
        sender.send((UserError(str(error)), ()))
    except Exception as error:  # raised again by the first process
        sender.send((error, ()))


class _Sent(Progress):
    """Sends the events to the first process."""

    def __init__(self, sender: Connection) -> None:
        self.sender = sender

    def case(self, lane: Lane) -> None:
        self.sender.send(("case", (lane,)))

    def found(self, lane: Lane, differences: Sequence[Difference]) -> None:
        self.sender.send(("found", (lane, differences)))

    def lane(self, lane: Lane, report: RowReport) -> None:
        self.sender.send(("lane", (lane, report)))

    def finished(self) -> None:
        self.sender.send(("finished", ()))
