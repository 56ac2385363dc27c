"""Fuzzing with a time budget: a seeded loop without Hypothesis, which runs more cases per second.

Hypothesis takes longer to draw a case than both sides take to compute it. Here the same strategies draw from
Python's own generator and record their choices. When a case fails, Hypothesis starts from these choices and
shrinks them.
"""

import random
import time
from typing import TYPE_CHECKING

from hypothesis.errors import UnsatisfiedAssumption

from numpy_cnn.common.spec.errors import UserError
from parity.cases.primitives import Nothing, draw_plainly, draws_plainly
from parity.cases.torch_op import own_kernels
from parity.lanes.comparison import Mismatch
from parity.running.single_example import SingleExample

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
