"""What an implementation has returned on random cases, beside what was expected; asked for once, read often."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st

from parity.cases.case import Case, Lane
from parity.cases.primitives import Nothing, draw_plainly, draws_plainly
from parity.cases.restrict import Supports, narrow
from parity.cases.sample import sample
from parity.cases.torch_op import Array, Op
from parity.lanes.comparison import Quantities
from parity.lanes.reference import Expected, expect
from parity.naming.explanation import Explanation, Question
from parity.rows.row import Row
from parity.subjects import Declined, ImplementationError

FAILING, PASSING = 12, 24  # cases of a quantity that are kept
MOST_CASES, SECONDS = 400, 1.0  # how many are looked at for them, and how long
# Sums may be taken in another order: a result is reproduced if it lies so many roundings of its largest entry off.
ROUNDINGS = 64


@dataclass
class Seen:
    """One quantity of many cases: (what was asked, ours, torch's)."""

    failing: list[tuple[Question, Array, Array]] = field(default_factory=list)
    passing: list[tuple[Question, Array, Array]] = field(default_factory=list)


class Observed:
    """An implementation under observation in one lane; cases are run as they are needed."""

    def __init__(self, row: Row, op: Op, lane: Lane, supports: Supports | None, in_double: bool) -> None:
        self.row, self.op, self.lane, self.in_double = row, op, lane, in_double
        self.runs: list[tuple[Expected, Quantities]] = []
        self.cases = _cases(narrow(row.strategy(lane=lane), supports))
        self.fitting: list[
            Explanation
        ] = []  # those of other quantities: what explains one often explains the next

    def quantity(self, name: str) -> Seen:
        """Cases on which the quantity fails, the largest first, and cases on which it does not."""
        seen, until = Seen(), time.process_time() + SECONDS
        for expected, ours in self._all(until):
            if len(seen.failing) >= FAILING:
                break
            if name not in ours or name not in expected.theirs:
                continue
            entry = Question.of(expected, name), np.asarray(ours[name]), expected.theirs[name]
            if not agree(entry[1], entry[2], entry[0]):
                seen.failing.append(entry)
            elif len(seen.passing) < PASSING:
                seen.passing.append(entry)
        seen.failing.sort(key=lambda entry: -entry[1].size)  # most explanations fail on the largest at once
        return seen

    def _all(self, until: float) -> Iterator[tuple[Expected, Quantities]]:
        yield from [*self.runs]
        for case in self.cases:
            if time.process_time() > until or len(self.runs) >= MOST_CASES:
                return
            try:
                case = replace(case, dtype="float64") if self.in_double else case
                expected = expect(self.row, case, self.lane)
                ours = _returned(self.op, expected)
            except (ImplementationError, Declined, RuntimeError, ValueError, IndexError):
                continue  # it returns nothing there, or torch takes no such case
            self.runs.append((expected, ours))
            yield self.runs[-1]


_last: list[tuple[object, Observed]] = []


def observed(row: Row, op: Op, lane: Lane, supports: Supports | None, in_double: bool = False) -> Observed:
    """The observation of this implementation; the last one, if it is the same."""
    key = (row, op, lane, supports, in_double)
    if not _last or not all(a is b for a, b in zip(_last[0][0], key, strict=True)):  # type: ignore[call-overload]
        _last[:] = [(key, Observed(row, op, lane, supports, in_double))]
    return _last[0][1]


def agree(a: Array, b: Array, question: Question) -> bool:
    """Equal but for the roundings of sums in another order, NaN and infinities alike.

    In float64 what the numbers are made of counts as well: a difference of large numbers may come out as any
    tiny one.
    """
    if a.shape != b.shape:
        return False
    kind = a.dtype if a.dtype.kind == "f" else np.dtype(np.float64)
    scale = _largest(b)
    if kind == np.float64:
        made_of = question.first if question.about_output else question.dy
        scale = max(scale, _largest(made_of))
    with np.errstate(all="ignore"):
        near = np.abs(a.astype(np.float64) - b) <= ROUNDINGS * float(np.finfo(kind).eps) * scale
        return bool(np.all(near | (a == b) | (np.isnan(a) & np.isnan(b))))


def _largest(array: Array) -> float:
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max(initial=0.0))


def _returned(op: Op, expected: Expected) -> Quantities:
    inputs, dy = expected.inputs.private(), expected.dy.copy()
    y, pullback = op(*inputs.arrays, **inputs.options)
    found: Quantities = {"output": y}
    if pullback is not None and np.shape(y) == dy.shape:
        try:
            gradients = pullback(dy)
        except ImplementationError:
            return found
        found |= {f"grad_{n}": g for n, g in zip(inputs.names, gradients, strict=True) if g is not None}
    return found


def _cases(strategy: st.SearchStrategy[Case]) -> Iterator[Case]:
    if not draws_plainly(strategy):  # the user's own
        yield from sample(strategy, FAILING + PASSING)
        return
    generator = random.Random(0)
    try:
        while True:
            yield draw_plainly(strategy, generator)[0]
    except Nothing:
        return
