"""Fuzzing with a time budget: a seeded loop without Hypothesis, which runs more cases per second.

Hypothesis takes longer to draw a case than both sides take to compute it. Here the same strategies draw from
Python's own generator and record their choices. When a case fails, Hypothesis starts from these choices and
shrinks them.
"""

import random
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from hypothesis.database import ExampleDatabase
from hypothesis.errors import UnsatisfiedAssumption

from numpy_cnn.common.spec.errors import UserError
from parity.cases.primitives import Choice, Nothing, draw_plainly, draws_plainly
from parity.cases.torch_op import own_kernels
from parity.lanes.comparison import Mismatch

if TYPE_CHECKING:
    from parity.running.lane import LaneSearch


def fuzz(search: "LaneSearch", seconds: float, seed: int, shrinking: int = 200) -> Mismatch | None:
    """Compare cases until the time is over or one fails; Hypothesis shrinks the failing one.

    Args:
        search: of one lane; its report counts the cases.
        seconds: the time budget.
        seed: the same seed draws the same cases; the time limits their number.
        shrinking: number of cases that Hypothesis may try.

    Returns:
        the smallest mismatch found, or None.

    Raises:
        UserError: only Hypothesis can draw from the strategy.
    """
    if not draws_plainly(search.strategy):
        raise UserError(
            f"{search.row.name}: --soak needs a strategy of the registry; only Hypothesis can draw its cases"
        )
    generator = random.Random(seed)
    until = time.monotonic() + seconds
    with own_kernels():
        while time.monotonic() < until:
            try:
                case, choices = draw_plainly(search.strategy, generator)
                search.check(case)
            except Nothing:
                return None
            except UnsatisfiedAssumption:  # declined
                continue
            except Mismatch as mismatch:
                found = mismatch
                break
        else:
            return None
    return search.run(shrinking, seed, SingleExample(choices)) or found


class SingleExample(ExampleDatabase):
    """A database that holds one example, for any test."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        super().__init__()
        self.choices = choices

    def fetch(self, key: bytes) -> Iterable[bytes]:  # noqa: ARG002  # there is only one
        """The example, in Hypothesis' encoding."""
        try:
            from hypothesis.database import choices_to_bytes
        except ImportError:  # with another version of Hypothesis, it searches for a failure itself
            return
        # One choice more than needed: Hypothesis does not shrink an example that has exactly the choices it needs.
        yield choices_to_bytes((*self.choices, 0))

    def save(self, key: bytes, value: bytes) -> None:
        """Ignore it: failures are replayed from parity's own JSON."""

    def delete(self, key: bytes, value: bytes) -> None:
        """Ignore it."""
