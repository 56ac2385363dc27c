"""The server's end of a backend's process.

Each backend has its own process: numpy_cnn never imports torch, and the reference does not load the code that it
is compared with. Besides, two thread pools in one process would compete for the cores.
"""

import contextlib
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType

from numpy_cnn.common.exhibits.demo.pipe import receive, send
from numpy_cnn.common.exhibits.demo.question import Question
from numpy_cnn.common.exhibits.page.setup import LABELS
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.errors import UserError

PATIENCE = 60.0  # seconds for an answer, including loading: a thousand times the usual duration


class WorkerEnded(Exception):  # noqa: N818  # an event that the page shows
    """The backend's process has ended and could not be replaced; the message has its last line of output."""


class Worker:
    """One backend behind a pipe. A process that has ended or does not answer is replaced by a new one.

    Leaving the context ends the process.

    Args:
        package: numpy_cnn or torch_cnn.
        checkpoint: the file to load, which must stay there as long as the worker is used.
        device: where torch_cnn computes.
    """

    def __init__(self, package: str, checkpoint: Path, device: str = "cpu") -> None:
        self.package, self.label = package, LABELS[package]
        self._arguments = [str(checkpoint), device]
        self._lock = threading.Lock()
        self._stopped = False
        self._start()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait(self) -> None:
        """Return once the network is loaded.

        Raises:
            WorkerEnded: it could not be loaded.
        """
        with self._lock:
            self._receive()

    def look(self, question: Question) -> dict[str, Array]:
        """The result of `Answers.answer`; calls from several threads run one after another.

        Raises:
            UserError: the question cannot be answered.
            WorkerEnded: the process ended, and so did the one that replaced it.
        """
        request = question.arrays()
        with self._lock:
            if self._stopped:
                raise WorkerEnded(f"{self.label} has been stopped")
            try:
                return self._ask(request)
            except WorkerEnded:
                self._end()
                self._start()
                self._receive()
                return self._ask(request)

    def close(self) -> None:
        """End the process for good."""
        self._stopped = True
        self._end()

    def _start(self) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{self.package}.views.trace", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
        )

    def _end(self) -> None:
        """Close the process's input, which ends it; kill it otherwise."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._output.close()

    def _ask(self, request: dict[str, Array]) -> dict[str, Array]:
        assert self._process.stdin is not None
        try:
            send(self._process.stdin, request)
        except (BrokenPipeError, ValueError) as error:  # ValueError: closed by an attempt that failed
            raise self._ended() from error
        return self._receive()

    def _receive(self) -> dict[str, Array]:
        assert self._process.stdout is not None
        overdue = threading.Timer(PATIENCE, self._process.kill)
        overdue.start()
        try:
            answer = receive(self._process.stdout)
        except ValueError as error:
            raise self._ended() from error
        finally:
            overdue.cancel()
        if answer is None:
            raise self._ended()
        if "refused" in answer:
            raise UserError(answer["refused"].tobytes().decode())
        return answer

    def _ended(self) -> WorkerEnded:
        lines: list[str] = []
        if not self._output.closed:
            self._output.seek(0)
            lines = self._output.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
        return WorkerEnded(f"the process of {self.label} has ended: {last}")
