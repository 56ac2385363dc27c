"""Well-known choices other than torch's, recognised by their numbers: a mean where torch has a sum, and the like.

Nothing is guessed. The implementation is called on cases of its own, with batches of 2 and 4 so that a division is
exact; a convention is recognised if its formula, applied to torch's result, gives the implementation's result to
the bit on every case (within the bound, for ops that have no exact lane), and torch's own result differs from it
on three of them at least.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from parity.adapters import Declined, ImplementationError
from parity.cases import Case, Lane
from parity.comparison import Difference, quantities
from parity.expectation import Expected, expect
from parity.lanes.bound import referee_and_bounds
from parity.oracle import Array, Op
from parity.registry import Row
from parity.supports import Supports, narrow

CASES, LEAST_TELLING = 12, 3


@dataclass(frozen=True)
class Convention:
    """What an implementation does instead."""

    name: str  # for accept=[…]
    sentence: str
    applies: Callable[[Row, str], bool]  # to this quantity of a row
    result: Callable[[Expected, str], tuple[Array, float]]  # instead of torch's, and the factor of the bound


def recognised(row: Row, op: Op, difference: Difference, supports: Supports | None) -> Convention | None:
    """The convention that explains a quantity that differs, or None."""
    quantity = difference.quantity
    possible = [c for c in CONVENTIONS if c.applies(row, quantity)]
    if not possible:
        return None
    lane: Lane = "exact" if "exact" in row.lanes else "bound"
    telling = dict.fromkeys((c.name for c in possible), 0)
    for case in [*_cases(row, lane, supports)]:
        try:
            expected = expect(row, case, lane)
            ours = quantities(op, expected.inputs.private(), expected.dy.copy()).get(quantity)
        except (ImplementationError, Declined):
            return None
        theirs = expected.theirs.get(quantity)
        if theirs is None:  # a case without a bias
            continue
        if ours is None or np.shape(ours) != theirs.shape:
            return None
        allowed = np.zeros(())
        if lane == "bound":
            allowed = referee_and_bounds(row, expected.inputs, expected.dy, expected.theirs)[1][quantity]
        for convention in [*possible]:
            result, factor = convention.result(expected, quantity)
            if not _agree(np.asarray(ours), result, 2 * factor * allowed):
                possible.remove(convention)
            elif not _agree(theirs, result, 2 * factor * allowed):
                telling[convention.name] += 1
    return next((c for c in possible if telling[c.name] >= LEAST_TELLING), None)


def _cases(row: Row, lane: Lane, supports: Supports | None) -> Iterator[Case]:
    """Cases that the implementation supports, with batches of 2 and of 4."""
    strategy = narrow(row.strategy(lane=lane), supports)
    yield from sample(narrow(strategy, {"batch": 2}), CASES // 2)
    yield from sample(narrow(strategy, {"batch": 4}), CASES // 2)


def sample(strategy: st.SearchStrategy[Case], count: int, seed: int = 0) -> list[Case]:
    """So many cases, the same each time; fewer where the strategy has no more."""
    drawn: list[Case] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count, deadline=None, database=None, phases=(Phase.generate,), derandomize=False,
        suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet,
    )  # fmt: skip
    @hypothesis.given(strategy)
    def draw(case: Case) -> None:
        drawn.append(case)

    try:
        draw()
    except Unsatisfiable:
        return []
    return drawn


def _agree(a: Array, b: Array, allowed: Array) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(np.all((np.abs(a.astype(np.float64) - b) <= allowed) | (a == b) | (np.isnan(a) & np.isnan(b))))


def _samples(expected: Expected) -> int:
    x = expected.inputs.arrays[0]
    return x.shape[0] if x is not None and x.ndim else 1


def _targets(expected: Expected) -> int:
    target = expected.inputs.arrays[1]
    return 1 if target is None else target.size


def _scaled(factor: Callable[[Expected], float]) -> Callable[[Expected, str], tuple[Array, float]]:
    def result(expected: Expected, quantity: str) -> tuple[Array, float]:
        f = factor(expected)
        return expected.theirs[quantity] * expected.theirs[quantity].dtype.type(f), f

    return result


def _loss(row: Row, quantity: str) -> bool:  # noqa: ARG001  # the output and the gradients alike
    return row.name.endswith(("_loss", "cross_entropy"))


def _gradient(row: Row, quantity: str) -> bool:  # noqa: ARG001  # of any op
    return quantity.startswith("grad_")


def _softmax_gradient(row: Row, quantity: str) -> bool:
    return row.name in ("softmax", "log_softmax") and quantity == "grad_input"


CONVENTIONS = (
    Convention(
        "softmax-passes-dy",
        "a convention: its backward passes dy through, the softmax's own derivative being left to the loss",
        _softmax_gradient,
        lambda expected, _: (expected.dy, 0.0),
    ),
    Convention(
        "batch-mean",
        "a convention: it divides by the batch size N where torch does not",
        lambda row, quantity: _gradient(row, quantity) or _loss(row, quantity),
        _scaled(lambda e: 1 / _samples(e)),
    ),
    Convention(
        "batch-sum",
        "a convention: it sums over the batch where torch divides by the batch size N",
        _loss,
        _scaled(_samples),
    ),
    Convention(
        "feature-sum",
        "a convention: it sums over the features and divides by N alone, where torch divides by all entries",
        _loss,
        _scaled(lambda e: _targets(e) / _samples(e)),
    ),
    Convention(
        "sum",
        "a convention: it sums over all entries where torch takes their mean",
        _loss,
        _scaled(_targets),
    ),
    Convention(
        "mean",
        "a convention: it divides by the number of entries where torch does not",
        _loss,
        _scaled(lambda e: 1 / max(_targets(e), 1)),
    ),
    Convention(
        "half",
        "a convention: half of torch's, as of a loss defined with the factor ½",
        _loss,
        _scaled(lambda _: 0.5),
    ),
    Convention(
        "half-sum",
        "a convention: half of the sum over all entries, where torch takes their mean",
        _loss,
        _scaled(lambda e: _targets(e) / 2),
    ),
    Convention(
        "half-batch-mean",
        "a convention: half of the sum over the features divided by N, where torch divides by all entries",
        _loss,
        _scaled(lambda e: _targets(e) / _samples(e) / 2),
    ),
)
