"""The server's end of a backend's process.

Each backend has one, for the import law: numpy_cnn never imports torch, and the oracle does not load what it
judges. Two thread pools in one process would fight over the cores besides.
"""

import contextlib
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType

import numpy as np

from numpy_cnn.common.exhibits.demo.inspector import receive, send
from numpy_cnn.common.spec.backend import Array

LABELS = {"numpy_cnn": "NumPy", "torch_cnn": "PyTorch"}


class WorkerEnded(Exception):  # noqa: N818  # an event that the page tells of
    """The backend's process is gone; the message says what it said last."""


class Worker:
    """One backend behind a pipe; as a context, it is ended on the way out.

    Args:
        package: numpy_cnn or torch_cnn.
        checkpoint: what it is to load.
    """

    def __init__(self, package: str, checkpoint: Path) -> None:
        self.package, self.label = package, LABELS[package]
        self._lock = threading.Lock()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the worker
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{package}.views.inspection", str(checkpoint)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait(self) -> None:
        """Until the network is loaded.

        Raises:
            WorkerEnded: it could not be.
        """
        with self._lock:
            self._receive()

    def look(self, image: Array, digit: int | None) -> dict[str, Array]:
        """What the backend's `Inspector.look` returns; one thread after the other.

        Raises:
            WorkerEnded: the process is gone.
        """
        with self._lock:
            assert self._process.stdin is not None
            try:
                send(self._process.stdin, {"image": image, "digit": np.array([-1 if digit is None else digit])})
            except (BrokenPipeError, ValueError) as error:  # ValueError: closed already
                raise self._ended() from error
            return self._receive()

    def close(self) -> None:
        """End the process: it ends by itself when its input does."""
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
        self._said.close()

    def _receive(self) -> dict[str, Array]:
        assert self._process.stdout is not None
        answer = receive(self._process.stdout)
        if answer is None:
            raise self._ended()
        return answer

    def _ended(self) -> WorkerEnded:
        if self._said.closed:
            return WorkerEnded(f"{self.label} has been stopped")
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "without a word")
        return WorkerEnded(f"the process of {self.label} has ended: {last}")
