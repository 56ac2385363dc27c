"""Calls a user's function with a time limit, and attributes each exception to the line that raised it."""

import dis
import inspect
import signal
import sysconfig
import threading
import traceback
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

from parity.cases.journal import Journal
from parity.subjects.errors import CallRaised, CallTimedOut, Declined, ImplementationError, Unrecognised

# Frames in these libraries are skipped: the mistake is in the user's code that called them.
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_OURS = str(Path(__file__).resolve().parents[1])


class TimeUp(BaseException):
    """The time limit has passed. Not an Exception, so that `except Exception` does not catch it."""


class Attributed:
    """A context that attributes all exceptions to the implementation and ends after a time limit.

    The limit uses SIGALRM, so it works only in the main thread of a Unix process, and takes effect only after a
    call into C returns.
    """

    __slots__ = ("armed", "before", "seconds", "timer", "what")

    def __init__(self, what: str, seconds: float | None = None) -> None:
        self.what, self.seconds = what, seconds

    def __enter__(self) -> None:
        if Journal.active is not None:
            Journal.active.enter(self.what, self.seconds)
        self.armed = bool(self.seconds) and _alarms()
        if self.armed and self.seconds:
            self.before = signal.signal(signal.SIGALRM, _time_up)
            # Repeated because a bare `except:` may catch the first.
            self.timer = signal.setitimer(signal.ITIMER_REAL, self.seconds, 0.2)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if Journal.active is not None:
            Journal.active.leave()
        if self.armed:
            signal.setitimer(signal.ITIMER_REAL, *self.timer)
            signal.signal(signal.SIGALRM, self.before)
        if error is None or isinstance(error, (ImplementationError, Declined, Unrecognised)):
            return
        where = culprit(trace)
        if isinstance(error, NotImplementedError):
            raise Declined(f"{error} ({where})".strip()) from error
        if isinstance(error, TimeUp):
            raise CallTimedOut(self.what, self.seconds or 0.0, where) from None
        # A KeyboardInterrupt of its own `raise`; one by Ctrl-C arrives at any instruction.
        if isinstance(error, (Exception, SystemExit)) or _is_deliberate(trace):
            text = " ".join(str(error).split())[:300] or "no message"
            raise CallRaised(
                self.what, type(error).__name__, text, where, deliberate=_is_deliberate(trace)
            ) from error


def _alarms() -> bool:
    return hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread()


def _time_up(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the signature that signal calls
    raise TimeUp


def culprit(trace: TracebackType | None) -> str:
    """file:line of the last frame that belongs neither to a library nor to parity."""
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if not _is_library(frame.filename)]
    frame = (own or frames)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _is_deliberate(trace: TracebackType | None) -> bool:
    """Whether a `raise` or `assert` in the user's code raised it, not a library."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or _is_library(trace.tb_frame.f_code.co_filename):
        return False
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _is_library(file: str) -> bool:
    return (
        file.startswith((*_LIBRARIES, "<frozen", "<__array_function__"))
        or "site-packages" in file
        or str(Path(file)).startswith(_OURS)
    )


def place_of(function: Any) -> str | None:
    """file:line of the definition of a function or a class; None if it is not written in Python."""
    function = inspect.unwrap(function)
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType):
        return f"{Path(code.co_filename).name}:{code.co_firstlineno}"
    if inspect.isclass(function):
        try:
            return f"{Path(inspect.getfile(function)).name}:{inspect.getsourcelines(function)[1]}"
        except (OSError, TypeError):  # a built-in class, or one defined at a prompt
            return None
    call = vars(type(function)).get("__call__")
    return place_of(call) if inspect.isfunction(call) else None
