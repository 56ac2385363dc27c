"""Many cases without Hypothesis: a seeded loop, a thousand cases a second and more, that hands what fails to it.

Hypothesis takes longer to draw a case than both sides take to compute it. Here the same strategies draw from
Python's own generator. The choices made on the way are kept: where a case fails, Hypothesis is started from just
these choices and shrinks them.
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
    from parity.running.lane import Search


def soak(search: "Search", seconds: float, seed: int, shrinking: int = 200) -> Mismatch | None:
    """Compare cases for so many seconds, or until one fails; the smallest mismatch then, shrunk by Hypothesis.

    Args:
        search: of one lane; its report counts the cases.
        seconds: when to stop.
        seed: the same seed draws the same cases, as many as fit.
        shrinking: cases that Hypothesis may try besides the one handed to it.

    Raises:
        UserError: the strategy can be drawn by Hypothesis alone.
    """
    if not draws_plainly(search.strategy):
        raise UserError(f"{search.row.name}: its cases are drawn by Hypothesis alone, so there is no soak of them")
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
    return search.run(shrinking, seed, Handed(choices)) or found


class Handed(ExampleDatabase):
    """A database that holds one example, whatever test asks for it."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        super().__init__()
        self.choices = choices

    def fetch(self, key: bytes) -> Iterable[bytes]:  # noqa: ARG002  # there is but one
        """The example, in Hypothesis' encoding."""
        try:
            from hypothesis.database import choices_to_bytes
        except ImportError:  # another version: Hypothesis then looks for a failure of its own
            return
        # One choice more than are needed: what fits exactly is taken for shrunk already, and left as it is.
        yield choices_to_bytes((*self.choices, 0))

    def save(self, key: bytes, value: bytes) -> None:
        """Nothing is kept: a failure is seen again by its case."""

    def delete(self, key: bytes, value: bytes) -> None:
        """Nothing is kept."""
