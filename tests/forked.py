"""Processes for the tests, forked from one that has imported the libraries: a new one would import torch again.

A test of what a program imports, or of a variable that Python reads at its start, needs `programs.spawn`.
"""

from __future__ import annotations

import atexit
import io
import multiprocessing
import multiprocessing.context
import os
import runpy
import signal
import sys
import threading
from functools import cache
from multiprocessing.connection import Connection


@cache
def _context() -> multiprocessing.context.ForkServerContext:
    """Starts the processes; made on first use, because Windows has none."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["parity.api.check", "numpy_cnn.backend", "torch_cnn.backend", "matplotlib.figure"]
    )
    return context


class Forked:
    """`python ARGUMENTS…`, with the part of the interface of `subprocess.Popen` that the tests use."""

    def __init__(self, arguments: list[str], cwd: str, environment: dict[str, str]) -> None:
        self.args = arguments
        (out, its_out), (err, its_err) = (_context().Pipe(duplex=False) for _ in range(2))
        self._process = _context().Process(target=_run, args=(arguments, cwd, environment, its_out, its_err))
        self._process.start()
        self.stdout, self.stderr = (os.fdopen(os.dup(end.fileno()), encoding="utf-8") for end in (out, err))
        for end in (out, err, its_out, its_err):
            end.close()

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the signal that ended the process; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code."""
        self._process.join(timeout)
        if self.returncode is None:
            raise TimeoutError(f"{self.args} still runs after {timeout} s")
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read both outputs to their ends and wait."""
        texts = {}

        def read(name: str, stream: io.TextIOBase) -> None:
            texts[name] = "" if stream.closed else stream.read()
            stream.close()

        readers = [threading.Thread(target=read, args=(n, getattr(self, n))) for n in ("stdout", "stderr")]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join()
        return texts["stdout"], texts["stderr"]


def _run(arguments: list[str], cwd: str, environment: dict[str, str], out: Connection, err: Connection) -> None:
    """Do what Python does at its start, in the forked process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    for end, number in ((out, 1), (err, 2)):
        os.dup2(end.fileno(), number)
        end.close()
    buffering = 1 if "PYTHONUNBUFFERED" in environment else -1
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", buffering, encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.path.insert(0, cwd)
    kind, what, *rest = arguments
    sys.argv = [what if kind == "-m" else kind, *rest]
    try:
        if kind == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    finally:
        atexit._run_exitfuncs()  # multiprocessing ends its processes without them
