"""Contain the side effects of an implementation: output, warnings, and the state of global random generators."""

import io
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from parity.cases.torch_op import one_thread


@contextmanager
def sandboxed(note: Callable[[str], None] | None = None) -> Iterator[None]:
    """Run with one thread, without warnings and output, and restore NumPy's and Python's random generators.

    Overflow and NaN cause no warnings either, because the lanes compare them. Output that C code writes directly
    to the terminal is not captured.
    """
    before, generators = (sys.stdout, sys.stderr), (random.getstate(), np.random.get_state())
    sink = _Sink()
    sys.stdout = sys.stderr = sink
    try:
        with one_thread(), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stdout, sys.stderr = before
        random.setstate(generators[0])
        np.random.set_state(generators[1])
        if sink.lines and note is not None:
            note(f"it prints ({sink.lines} lines, omitted here), beginning with {sink.first!r}")


class _Sink(io.TextIOBase):
    """Counts what is printed."""

    def __init__(self) -> None:
        self.lines, self.first = 0, ""

    def write(self, text: str) -> int:
        self.lines += text.count("\n")
        if not self.first.strip():
            self.first = text.strip()[:60]
        return len(text)
