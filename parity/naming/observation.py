"""The results of an implementation on random cases, with the oracle's.

An observation is made once per implementation and lane: all quantities share the same runs. The work is
limited by counts, never by time, so that an implementation gets the same name on every machine.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.op import Array, Op
from parity.cases.primitives import Nothing, draw_plainly, draws_plainly
from parity.cases.restrict import Supports, fits, narrow
from parity.cases.sample import sample
from parity.lanes.comparison import Quantities, quantities
from parity.lanes.reference import Expected, expect
from parity.naming.explanation import Explanation
from parity.naming.probe import Probe
from parity.rows.row import Row
from parity.subjects import Declined, ImplementationError

FAILING, PASSING = 16, 24  # cases of a quantity on which an explanation is checked
POOL = 36  # failing cases from which these are chosen
MOST_CASES, MOST_NUMBERS = 400, 1_000_000  # limits per quantity: cases run, and entries in their arrays
FEW_CASES = 60  # instead of MOST_CASES where hardly any explanation can fit
MORE_CASES = 1600  # instead of MOST_CASES where fewer cases fail than an explanation needs
HUGE = 2000  # entries of a case that is checked last
LARGER_BATCH, EVERY = 4, 5  # one case in five has a batch of at least four
AGAIN, HALVED = 4, (2, 4, 8)  # draws of a reported case, and divisors of the sizes of its axes
DRAWS = 3  # of each other size, since a part may be 0 by chance
LEAST_MAGNITUDE = 8  # of these draws: a smaller one gives many zeros, which hide a difference
LONGEST = 300  # axes up to this size are also tried with twice as many entries
ROUNDINGS = 64  # of the largest entry, since the order of sums may differ; more for longer axes


class Entry(NamedTuple):
    """One quantity of one case."""

    probe: Probe
    ours: Array
    theirs: Array
    integer: bool  # every sum is exact, so a correct explanation reproduces it bit for bit

    @property
    def fails(self) -> bool:
        """Whether it differs from the oracle's."""
        return not agree(self.ours, self.theirs, self.probe)


@dataclass(frozen=True)
class Evidence:
    """One quantity of many cases: failing ones, from large to small with huge ones last, and passing ones."""

    failing: list[Entry]
    passing: list[Entry]

    def with_more(self, other: "Evidence") -> "Evidence":
        """All cases of both."""
        return Evidence([*self.failing, *other.failing], [*self.passing, *other.passing])


class _Runs:
    """Lazily runs cases of several lanes in turn; real numbers have one precision."""

    def __init__(
        self, row: Row, op: Op, lanes: Sequence[Lane], supports: Supports | None, in_double: bool
    ) -> None:
        self.row, self.op, self.in_double = row, op, in_double
        self.done: list[tuple[Lane, Probe, Quantities, Quantities]] = []  # lane, call, torch's results, ours
        self.numbers = self.drawn = 0
        self.most = MOST_CASES
        self.cases = _in_turns(
            [(lane, _cases(row, narrow(row.strategy(lane=lane), supports), supports)) for lane in lanes]
        )

    def __iter__(self) -> Iterator[tuple[Lane, Probe, Quantities, Quantities]]:
        yield from [*self.done]
        while self.drawn < self.most and self.numbers < MOST_NUMBERS:
            lane, case = next(self.cases, (None, None))
            if lane is None or case is None:
                return
            self.drawn += 1
            try:
                case = replace(case, dtype="float64") if self.in_double and lane == "bound" else case
                expected = expect(self.row, case, lane)
                ours = _returned(self.op, expected)
            except (ImplementationError, Declined, RuntimeError, ValueError, IndexError):
                continue  # the implementation returns no result, or torch rejects the case
            self.numbers += sum(a.size for a in expected.inputs.arrays if a is not None) + expected.dy.size
            self.done.append((lane, Probe.of(expected, "output"), expected.theirs, ours))
            yield self.done[-1]

    def right_so_far(self, quantity: str) -> bool:
        returned = [
            agree(np.asarray(ours[quantity]), torchs[quantity], call.of_quantity(quantity))
            for _, call, torchs, ours in self.done
            if quantity in ours and quantity in torchs
        ]
        return len(returned) >= POOL and all(returned)

    def evidence(self, quantity: str, least: int, most: int) -> Evidence:
        failing: list[Entry] = []
        passing: list[Entry] = []
        self.most = most
        for lane, call, torchs, ours in self:
            if len(failing) >= POOL:
                break
            if self.drawn == MOST_CASES and len(failing) < least:
                self.most = MORE_CASES
            if quantity in ours and quantity in torchs:
                got, theirs = np.asarray(ours[quantity]), torchs[quantity]
                entry = Entry(call.of_quantity(quantity), got, theirs, lane != "bound")
                (failing if entry.fails else passing).append(entry)
        failing = sorted(chosen(failing, FAILING), key=lambda entry: (_is_huge(entry), -entry.ours.size))
        return Evidence(failing, chosen(passing, PASSING))


class Observation:
    """An implementation's results in one lane, and the explanations already found for some of its quantities.

    Args:
        row: the row that defines the comparison.
        op: the implementation, as an op.
        lane: the lane that found a difference; the structure lane is replaced by the row's numerical one.
        supports: the cases that the implementation accepts.
    """

    def __init__(self, row: Row, op: Op, lane: Lane, supports: Supports | None = None) -> None:
        self.row, self.op, self.supports = row, op, supports
        self.lane: Lane = lane if lane != "structure" else "exact" if "exact" in row.lanes else "bound"
        self.explained: list[Explanation] = []
        # Real numbers besides integers, where a cap at 1 looks like a sign. In float64 rounding is far below
        # any mistake; mistakes that only float32 shows are searched for in float32 afterwards.
        lanes: list[Lane] = [self.lane]
        lanes += ["bound"] if self.lane == "exact" and "bound" in row.lanes else []
        doubles = [True, False] if self.lane == "bound" else [True]
        self._runs = [_Runs(row, op, lanes, supports, in_double) for in_double in doubles]

    def entry(self, case: Case, lane: Lane, quantity: str) -> Entry | None:
        """A quantity of one case; None if it is not returned or equals the oracle's.

        Real numbers are in double precision if the difference shows there too: in single precision, the roundoff
        of a normalization far from 0 may hide that an explanation reproduces the result.
        """
        entry = self._entry(replace(case, dtype="float64"), lane, quantity) if lane == "bound" else None
        if entry is None or not entry.fails:
            entry = self._entry(case, lane, quantity)
        return entry if entry is not None and entry.fails else None

    def _entry(self, case: Case, lane: Lane, quantity: str) -> Entry | None:
        try:
            expected = expect(self.row, case, lane)
            ours = _returned(self._runs[0].op, expected)
        except (ImplementationError, Declined, RuntimeError, ValueError, IndexError):
            return None
        if quantity not in ours or quantity not in expected.theirs:
            return None
        probe, got = Probe.of(expected, quantity), np.asarray(ours[quantity])
        return Entry(probe, got, expected.theirs[quantity], lane != "bound")

    def around(self, quantity: str, case: Case, lane: Lane) -> Evidence:
        """Evidence from a case of a rare size: the same with other numbers, and with other sizes."""
        failing: list[Entry] = []
        passing: list[Entry] = []
        for other in _beside(case):
            entry = self._entry(other, lane, quantity) if self._accepts(other) else None
            if entry is not None:
                (failing if entry.fails else passing).append(entry)
        return Evidence(failing, passing)

    def _accepts(self, case: Case) -> bool:
        supports = self.supports
        return (supports(case) if callable(supports) else fits(case, supports or {})) and self.row.valid(case)

    def cases(self, lane: Lane, first: Case) -> Iterator[Case]:
        """This case, and others of the lane that the implementation supports."""
        yield first
        strategy = narrow(self.row.strategy(lane=lane), self.supports)
        yield from islice(_cases(self.row, strategy, self.supports), MOST_CASES)

    def right_so_far(self, quantity: str) -> bool:
        """Whether the quantity agreed with the oracle in every case so far, in enough cases."""
        return self._runs[0].right_so_far(quantity)

    def evidence(self, quantity: str, least: int, most: int = MOST_CASES) -> Evidence | None:
        """At least `least` failing cases of a quantity, and passing ones; None if `most` cases have fewer."""
        for runs in self._runs:
            evidence = runs.evidence(quantity, least, most)
            if len(evidence.failing) >= least:
                return evidence
        return None


def agree(a: Array, b: Array, probe: Probe) -> bool:
    """Whether two results are equal up to a few roundings of the largest entry.

    The coarser precision of result and input counts: float32 numbers returned as float64 have been rounded. In
    double precision the largest number that they are computed from counts too: a difference of large numbers
    rounds to an arbitrary tiny one, and a normalization divides it by √(σ² + ε), where σ may be 0.
    """
    return a.shape == b.shape and bool(near(a, b, probe).all())


def near(a: Array, b: Array, probe: Probe) -> Array:
    """A mask of the entries that are equal up to a few roundings, as in `agree`."""
    eps = max(
        float(np.finfo(array.dtype).eps) for array in (a, probe.first, np.empty(0)) if array.dtype.kind == "f"
    )
    scale = _largest(b)
    if eps == np.finfo(np.float64).eps:
        scale = max(scale, _scale(probe))
    with np.errstate(all="ignore"):
        roundings = max(ROUNDINGS, _longest_axis(probe))
        close = np.abs(a.astype(np.float64) - b) <= roundings * eps * scale
        return np.asarray(close | (a == b) | (np.isnan(a) & np.isnan(b)))


def _is_huge(entry: Entry) -> bool:
    """Whether a case is so large that only explanations that fit the other cases are computed on it."""
    return max(entry.ours.size, entry.probe.first.size, entry.probe.dy.size) > HUGE


def _longest_axis(probe: Probe) -> int:
    arrays = [array for array in (*probe.arrays.values(), probe.dy) if array is not None]
    return max((size for array in arrays for size in array.shape), default=1)


def _scale(probe: Probe) -> float:
    """The largest number from which a result is computed, times the magnification by a normalization."""
    largest, eps = _largest(probe.first if probe.is_output else probe.dy), probe.options.get("eps")
    if not eps or "lr" in probe.options:  # not a normalization, or an optimizer's epsilon
        return largest
    weight = probe.arrays.get("weight")
    factor = max(1.0, 0.0 if weight is None else _largest(weight)) * max(1.0, _largest(probe.dy))
    return max(largest, _largest(probe.first)) * factor / float(np.sqrt(eps))


def _largest(array: Array) -> float:
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max(initial=0.0))


def chosen(entries: list[Entry], count: int) -> list[Entry]:
    """Choose a third in order, and otherwise cases with few sizes and options of 1, which hide mistakes."""
    first, others = entries[: count // 3], entries[count // 3 :]
    return first + sorted(others, key=lambda entry: _ones(entry.probe))[: count - len(first)]


def _ones(probe: Probe) -> int:
    sizes = [size for array in probe.arrays.values() if array is not None for size in array.shape]
    return sizes.count(1) + sum(value in (1, (1, 1)) for value in probe.options.values() if _counts(value))


def _counts(value: object) -> bool:
    return isinstance(value, int | tuple) and not isinstance(value, bool)


def _returned(op: Op, expected: Expected) -> Quantities:
    try:
        return quantities(op, expected.inputs.private(), expected.dy.copy())
    except ImplementationError as error:
        if not error.in_pullback:
            raise
        return quantities(op, expected.inputs.private())


def _cases(row: Row, strategy: st.SearchStrategy[Case], supports: Supports | None) -> Iterator[Case]:
    if not draws_plainly(strategy):  # a user's own strategy
        yield from sample(strategy, FAILING + PASSING)
        return
    yield from _with_larger_batches(row, _drawn(strategy), supports)


def _drawn(strategy: st.SearchStrategy[Case]) -> Iterator[Case]:
    generator = random.Random(0)
    try:
        while True:
            yield draw_plainly(strategy, generator)[0]
    except Nothing:
        return


def _in_turns(lanes: Sequence[tuple[Lane, Iterator[Case]]]) -> Iterator[tuple[Lane, Case]]:
    """Yield a case of each lane in turn until one lane is exhausted."""
    while True:
        for lane, cases in lanes:
            case = next(cases, None)
            if case is None:
                return
            yield lane, case


def _with_larger_batches(row: Row, cases: Iterable[Case], supports: Supports | None) -> Iterator[Case]:
    """Enlarge the batch of one case in five, to reveal a factor N and the order of samples."""
    for count, case in enumerate(cases):
        if count % EVERY == EVERY - 1:
            larger = _with_batch(case)
            accepted = supports(larger) if callable(supports) else fits(larger, supports or {})
            case = larger if accepted and row.valid(larger) else case
        yield case


def _with_batch(case: Case) -> Case:
    """The case with at least LARGER_BATCH samples of its input and target."""
    shape = case.arrays[0].shape
    return case if not shape or shape[0] >= LARGER_BATCH else _with_size(case, 0, LARGER_BATCH)


def _with_size(case: Case, axis: int, size: int) -> Case:
    """The case with another size of an axis of its input, and of its target: an axis, or the number of classes."""
    shape = case.arrays[0].shape or ()
    counts = any(spec.name == "target" and spec.kind == "classes" for spec in case.arrays)
    of_classes = counts and axis == min(1, len(shape) - 1)

    def resized(spec: ArraySpec) -> ArraySpec:
        if spec.shape is None:
            return spec
        if of_classes and spec.name == "target":
            return replace(spec, classes=size, ignored=None)  # an ignored target shows nothing
        if of_classes and spec.name == "weight":
            return replace(spec, shape=(size,))
        if spec.name in ("input", "target") and spec.shape[: axis + 1] == shape[: axis + 1]:
            return replace(spec, shape=(*spec.shape[:axis], size, *spec.shape[axis + 1 :]))
        return spec

    return replace(case, arrays=tuple(map(resized, case.arrays)))


def _beside(case: Case) -> Iterator[Case]:
    """The case with other numbers, and with one axis of another size, of which blocks leave other remainders."""
    magnitude = max(case.magnitude, LEAST_MAGNITUDE)
    seeds = (case.seed ^ again for again in range(1, AGAIN + 1))
    others = [replace(case, seed=seed, values=None, magnitude=magnitude) for seed in seeds]
    yield from others
    for axis, size in enumerate(case.arrays[0].shape or ()):
        sizes = {size + 1, size - 1, *(size // divisor + 1 for divisor in HALVED)} - {size, 0}
        if 1 < size <= LONGEST:  # a part that ends at a fixed index is not the remainder of blocks
            sizes.add(2 * size - 1)
        for place, other in enumerate(sorted(sizes, reverse=True)):
            yield from (_with_size(others[(place + draw) % AGAIN], axis, other) for draw in range(DRAWS))
