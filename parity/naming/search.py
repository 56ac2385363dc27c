"""Find the explanation that reproduces what an implementation returns, on every case of many.

Nothing is guessed. The implementation and the oracle run on random cases; an explanation fits if, on every case,
it gives what the implementation gives, those included on which the implementation is right. If none does, one that
reproduces every failing case is told as such; then pairs are tried. Where none fits, nothing is claimed.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from parity.cases.case import Lane
from parity.cases.restrict import Supports
from parity.cases.torch_op import Array, Op, own_kernels
from parity.naming.catalogue import explanations_of
from parity.naming.explanation import Explanation, NoAnswer, Question
from parity.naming.observed import Seen, agree, observed
from parity.naming.precision import lost
from parity.rows.row import Row

LEAST_TELLING = 3  # failing cases that an explanation has to reproduce
PAIRED = 250  # explanations of which pairs are made: those of a whole network are too many
SECONDS = 4.0  # for all explanations of a quantity, pairs included


@dataclass(frozen=True)
class Explained:
    """An explanation that fits, and on how much."""

    explanation: Explanation
    failing: int  # cases on which torch differs
    passing: int  # cases on which it does not
    exactly: bool  # to the bit, on all of them
    always: bool = True  # False: it reproduces the failing cases, and the others are right in another way

    @property
    def name(self) -> str:
        """Of a pair, both names with a + between them."""
        return self.explanation.name

    @property
    def convention(self) -> bool:
        """Whether it is another well-known choice, and no bug."""
        return self.explanation.convention and self.always

    def __str__(self) -> str:
        start = "a convention: " if self.convention else "" if self.always else "where it fails, "
        how = "to the bit" if self.exactly else "to the last digits"
        which = "random cases" if self.always else "failing cases"
        count = self.failing + self.passing if self.always else self.failing
        return f"{start}{self.explanation.sentence} (which reproduces all {count} {which} tried {how})"


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
        return found


def _precision(seen: Seen) -> Explained | None:
    found = lost([(ours, theirs) for _, ours, theirs in seen.failing])
    return None if found is None else Explained(found, len(seen.failing), 0, exactly=True)


def _reproducing_first(possible: Iterable[Explanation], seen: Seen, until: float) -> Iterator[Explanation]:
    """Those that reproduce the first failing case, as long as the time lasts."""
    question, ours, _ = seen.failing[0]
    for explanation in possible:
        if time.process_time() > until:
            return
        result = _result(explanation, question)
        if result is not None and agree(ours, result, question):
            yield explanation


def _first_fitting(possible: Iterable[Explanation], seen: Seen, always: bool = True) -> Explained | None:
    for explanation in possible:
        fit = _fit(explanation, seen, always)
        if fit is not None:
            return fit
    return None


def _fit(explanation: Explanation, seen: Seen, always: bool) -> Explained | None:
    """Whether it reproduces every case, or every failing one; a case without an answer is not explained."""
    exactly = True
    for question, ours, _ in (*seen.failing, *(seen.passing if always else ())):
        result = _result(explanation, question)
        if result is None or not agree(ours, result, question):
            return None
        exactly &= bool(np.array_equal(ours, result, equal_nan=True))
    return Explained(explanation, len(seen.failing), len(seen.passing), exactly, always)


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
