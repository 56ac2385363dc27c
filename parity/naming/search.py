"""Find the explanation that reproduces what an implementation returns, on every case of many.

Nothing is guessed. The implementation and the oracle run on random cases; an explanation fits if, on every case,
it gives what the implementation gives, those included on which the implementation is right. If none does, one that
reproduces every failing case is told as such; then pairs are tried. Where none fits, nothing is claimed.
"""

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from parity.cases.case import Lane
from parity.cases.restrict import Supports
from parity.cases.torch_op import Array, Op, own_kernels
from parity.lanes.facts import Explained
from parity.naming.catalogue import explanations_of
from parity.naming.explanation import Explanation, NoAnswer, Question
from parity.naming.observed import Seen, agree, observed
from parity.naming.precision import lost
from parity.rows.row import Row

LEAST_TELLING = 3  # failing cases that an explanation has to reproduce
PAIRED = 250  # explanations of which pairs are made: those of a whole network are too many
SECONDS = 4.0  # for all explanations of a quantity, pairs included


class _Fit(NamedTuple):
    """An explanation that fits, and on how much."""

    explanation: Explanation
    failing: int
    passing: int
    exactly: bool
    always: bool = True

    @property
    def explained(self) -> Explained:
        e = self.explanation
        return Explained(
            e.name, e.sentence, e.convention and self.always, self.failing, self.passing, self.exactly, self.always
        )


def explain(row: Row, op: Op, lane: Lane, quantity: str, supports: Supports | None = None) -> Explained | None:
    """The explanation of a quantity that differs, or None.

    Args:
        row: what is compared.
        op: the implementation, as an op.
        lane: the lane that found it.
        quantity: output, grad_input, …
        supports: what cases the implementation takes.
    """
    if lane == "structure":
        lane = "exact" if "exact" in row.lanes else "bound"
    with own_kernels():
        # Real numbers in float64: rounding is far from every mistake there. What needs float32 shows in float32.
        watched = observed(row, op, lane, supports, in_double=lane == "bound")
        seen = watched.quantity(quantity)
        if len(seen.failing) < LEAST_TELLING and lane == "bound":
            watched = observed(row, op, lane, supports)
            seen = watched.quantity(quantity)
        if len(seen.failing) < LEAST_TELLING:
            return None
        until = time.process_time() + SECONDS
        possible = [e for e in (*watched.fitting, *explanations_of(row)) if e.explains(quantity)]
        telling = [*_reproducing_first(possible, seen, until)]
        found = (
            _first_fitting(telling, seen)
            or _precision(seen)
            or _first_fitting(telling, seen, always=False)
            or _first_fitting(_pairs(possible[:PAIRED], seen, until), seen)
        )
        if found is not None and found.explanation not in watched.fitting:
            watched.fitting.append(found.explanation)
        return None if found is None else found.explained


def _precision(seen: Seen) -> _Fit | None:
    found = lost([(ours, theirs) for _, ours, theirs in seen.failing])
    return None if found is None else _Fit(found, len(seen.failing), 0, exactly=True)


def _reproducing_first(possible: Iterable[Explanation], seen: Seen, until: float) -> Iterator[Explanation]:
    """Those that reproduce the first failing case, as long as the time lasts."""
    question, ours, _ = seen.failing[0]
    for explanation in possible:
        if time.process_time() > until:
            return
        result = _result(explanation, question)
        if result is not None and agree(ours, result, question):
            yield explanation


def _first_fitting(possible: Iterable[Explanation], seen: Seen, always: bool = True) -> _Fit | None:
    for explanation in possible:
        fit = _fit(explanation, seen, always)
        if fit is not None:
            return fit
    return None


def _fit(explanation: Explanation, seen: Seen, always: bool) -> _Fit | None:
    """Whether it reproduces every case, or every failing one; a case without an answer is not explained."""
    exactly = True
    for question, ours, _ in (*seen.failing, *(seen.passing if always else ())):
        result = _result(explanation, question)
        if result is None or not agree(ours, result, question):
            return None
        exactly &= bool(np.array_equal(ours, result, equal_nan=True))
    return _Fit(explanation, len(seen.failing), len(seen.passing), exactly, always)


def _result(explanation: Explanation, question: Question) -> Array | None:
    try:
        with np.errstate(all="ignore"):
            return explanation.result(question)
    except NoAnswer:
        return None


def _pairs(possible: list[Explanation], seen: Seen, until: float) -> Iterator[Explanation]:
    """Two at once that reproduce the first failing case, of those that change anything in it."""
    question, _, theirs = seen.failing[0]
    telling = []
    for explanation in possible:
        if time.process_time() > until:
            return
        result = _result(explanation, question)
        if result is not None and not agree(result, theirs, question):
            telling.append(explanation)
    for first in telling:
        both = (first.with_another(second) for second in telling if second.name != first.name)
        yield from _reproducing_first((pair for pair in both if pair is not None), seen, until)
