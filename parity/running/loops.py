"""Limit the sizes of cases for an implementation that loops over single numbers in Python."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from parity.cases.case import Case, Lane
from parity.cases.restrict import fits, narrowed, numbers_in
from parity.lanes.reference import expect
from parity.rows.row import Row
from parity.subjects import Declined, Implementation, ImplementationError

LINES = 400  # lines of Python per call: milliseconds if each line calls NumPy
LEAST_NUMBERS = 100  # fewer are too few for a kernel, a stride and several channels
ADDED = 300  # numbers by which a case grows to measure the lines per number
FEW = 1.0  # lines per number; a lower limit would mistake branches of vectorized code for a loop


def numbers_limit(row: Row, made: Implementation, lane: Lane, case: Case) -> int | None:
    """The largest total size of the arrays whose call executes about `LINES` lines; None without such loops.

    Lines are counted, not seconds, so that the same seed draws the same cases on every machine.
    """
    shape = case.arrays[0].shape or ()
    times = 1 + max(1, ADDED // numbers_in(case))
    larger = [narrowed(case, {"batch": times * shape[0]})] if len(shape) > 1 else []
    if len(shape) == 4:
        larger.append(narrowed(case, {"input": (*shape[1:3], times * shape[3])}))
    before = _lines(row, made, lane, case)
    rate = 0.0
    for grown in larger:
        lines = _lines(row, made, lane, grown) if fits(grown, {}) and row.valid(grown) else None
        added = numbers_in(grown) - numbers_in(case)
        if lines is not None and before is not None and added > 0:
            rate = max(rate, (lines - before) / added)
    return max(LEAST_NUMBERS, int(LINES / rate)) if rate > FEW else None


def _lines(row: Row, made: Implementation, lane: Lane, case: Case) -> int | None:
    """The lines of Python that a forward and a pullback execute; None if one of them raises."""
    expected = expect(row, case, lane)

    def run() -> None:
        y, pullback = made(*expected.inputs.private().arrays, **expected.inputs.options)
        if pullback is not None and np.shape(y) == expected.dy.shape:
            pullback(expected.dy.copy())

    try:
        return _count_lines(run)
    except (Declined, ImplementationError):
        return None


def _count_lines(run: Callable[[], None]) -> int:
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:  # noqa: ARG001  # Python's protocol
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return count
