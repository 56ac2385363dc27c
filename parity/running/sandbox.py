"""Contain the side effects of an implementation: output, warnings, exits, and the state of random generators."""

import io
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from parity.cases.torch_op import one_thread


@contextmanager
def sandboxed(note: Callable[[str], None] | None = None) -> Iterator[None]:
    """Run with one thread, without warnings and output, and restore NumPy's and Python's random generators.

    Overflow and NaN cause no warnings either, because the lanes compare them. `os._exit` raises SystemExit, and
    the terminal's streams cannot be closed. Output that C code writes directly to the terminal is not captured.
    """
    streams = [(name, getattr(sys, name)) for name in ("stdout", "stderr", "__stdout__", "__stderr__")]
    generators, exits = (random.getstate(), np.random.get_state()), os._exit
    sink = _Sink()
    for name, _ in streams:
        setattr(sys, name, sink)
    os._exit = _raising(exits)  # type: ignore[assignment]  # it may return into the caller's except clause
    try:
        with one_thread(), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, stream in streams:
            setattr(sys, name, stream)
        os._exit = exits
        random.setstate(generators[0])
        np.random.set_state(generators[1])
        if sink.lines and note is not None:
            note(f"it prints ({sink.lines} lines, omitted here), beginning with {sink.first!r}")


def _raising(exits: Callable[[int], Any]) -> Callable[[int], None]:
    """An `os._exit` that raises SystemExit in this process; a child process, such as a worker's, ends as usual."""
    own = os.getpid()

    def leave(status: int) -> None:
        if os.getpid() != own:
            exits(status)
        raise SystemExit(f"os._exit({status})")

    return leave


class _Sink(io.TextIOBase):
    """Counts what is printed."""

    def __init__(self) -> None:
        self.lines, self.first = 0, ""

    def write(self, text: str) -> int:
        self.lines += text.count("\n")
        if not self.first.strip():
            self.first = text.strip()[:60]
        return len(text)
