"""Faults for the torture: one file operation of a command fails, and the process ends or all later ones fail.

The command runs in a forked child through its own `main`, so that Python and the libraries are loaded once. In
the child the functions of `os` that change files are counted; the one with the chosen number ends the process as
SIGKILL does, or it and all later ones fail as on a full or a read-only disk.
"""

import builtins
import errno
import io
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OPERATIONS = ("open", "write", "fsync", "replace", "unlink", "mkdir", "rmdir", "ftruncate")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
ENDLESS = 10**9


@dataclass(frozen=True)
class Fault:
    """The fault at the operation with the number `at`, counted from 0."""

    kind: str  # "kill", "torn" (half of a write is done before the kill), "full", "read-only"
    at: int = ENDLESS
    seconds: float = 0.0  # processor time after which the process is killed; 0 for never


def affected(kind: str, operations: list[str]) -> list[int]:
    """The operations at which a fault of this kind differs from one at the next operation."""
    return [number for number, name in enumerate(operations) if name in _AFFECTED.get(kind, operations)]


_AFFECTED = {
    "torn": {"write"},
    "full": {"write", "fsync", "mkdir", "ftruncate"},
    "read-only": {*OPERATIONS, "open()"} - {"fsync"},
}


@dataclass(frozen=True)
class Outcome:
    """The result of a command."""

    code: int  # negative after a signal
    operations: list[str]
    output: str  # standard output and standard error


def run(main: Callable[[list[str]], int], arguments: list[str], fault: Fault, clock: float = 0.0) -> Outcome:
    """Run a command in a child, with a fault.

    Args:
        main: the command's entry, such as `lambda typed: main(PROGRAM, typed)`.
        arguments: what a user types.
        fault: the fault to inject.
        clock: seconds by which every clock goes back at each reading; 0 for a stopwatch that advances by 1 ms at
            each reading, so that two runs write the same bytes.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as log:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            _child(main, arguments, fault, clock, output.fileno(), log.fileno())
        _, status = os.waitpid(child, 0)
        output.seek(0)
        log.seek(0)
        text, names = output.read().decode(errors="replace"), log.read().decode().split()
    return Outcome(os.waitstatus_to_exitcode(status), names, text)


def _child(
    main: Callable[[list[str]], int], arguments: list[str], fault: Fault, clock: float, output: int, log: int
) -> None:
    code = 70  # in case the setup below fails
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8", write_through=True)
        if clock:
            _turn_back(clock)
        else:
            time.perf_counter = map((1e-3).__mul__, range(ENDLESS)).__next__
        _install(fault, log)
        signal.setitimer(signal.ITIMER_PROF, fault.seconds)  # nothing handles SIGPROF: it kills the process
        code = main(arguments)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _install(fault: Fault, log: int) -> None:
    """Count the file operations and inject the fault."""
    real = {name: getattr(os, name) for name in OPERATIONS}
    count = iter(range(ENDLESS)).__next__
    write_log = os.write

    def wrapped(name: str) -> Callable[..., Any]:
        def operation(*arguments: Any, **settings: Any) -> Any:
            if name == "open" and not (len(arguments) > 1 and arguments[1] & WRITING):
                return real[name](*arguments, **settings)
            if name == "write" and arguments[0] in (1, 2):
                return real[name](*arguments, **settings)
            number = count()
            write_log(log, f"{name}\n".encode())
            if number >= fault.at:
                _fail(fault, name, real, arguments)
            return real[name](*arguments, **settings)

        return operation

    for name in OPERATIONS:
        setattr(os, name, wrapped(name))
    # The project writes through `os`; `open` is wrapped so that no other write goes uncounted.
    opened = builtins.open

    def checked(file: Any, mode: str = "r", *arguments: Any, **settings: Any) -> Any:
        if set(mode) & set("wax+") and not str(file).startswith(("/dev/", "/tmp/matplotlib")):
            number = count()
            write_log(log, b"open()\n")
            if number >= fault.at:
                _fail(fault, "open", real, ())
        return opened(file, mode, *arguments, **settings)

    builtins.open = checked
    io.open = checked  # used by pathlib


def _fail(fault: Fault, name: str, real: dict[str, Callable[..., Any]], arguments: tuple[Any, ...]) -> None:
    if fault.kind in ("kill", "torn"):
        if fault.kind == "torn" and name == "write":
            real["write"](arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    if fault.kind == "full" and name in _AFFECTED["full"]:
        if name == "write":
            real["write"](arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if fault.kind == "read-only" and name in _AFFECTED["read-only"]:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def _turn_back(seconds: float) -> None:
    for name in ("time", "monotonic", "perf_counter"):
        real, readings = getattr(time, name), iter(range(ENDLESS))
        setattr(time, name, lambda real=real, readings=readings: real() - seconds * next(readings))
