"""Which way round a hand-written dense layer takes its weights, found out by trying."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.adapters.implementation import CANONICAL, Implementation
from parity.oracle import Array

Run = Callable[[tuple[Array | None, ...], bool], Any]


def orientation(implementation: Implementation, run: Run) -> bool:
    """Whether the weights are (in, out) instead of torch's (out, in); notes what else the layer does not take.

    `run(arrays, transposed)` is one forward. Sizes 3 and 5 leave no doubt which is which.
    """
    w, b = np.ones((5, 3), np.float32), np.ones(5, np.float32)

    def fits(lead: tuple[int, ...], transposed: bool) -> bool:
        arrays = np.ones((*lead, 3), np.float32), w, b
        token = CANONICAL.set(arrays)
        try:
            return np.shape(run(arrays, transposed)) == (*lead, 5)
        except Exception:  # whatever it raises, it does not take this
            return False
        finally:
            CANONICAL.reset(token)

    transposed = not fits((2,), False) and fits((2,), True)
    if transposed:
        implementation.note("its weights are (in, out): transposed on the way in and out")
    if not (fits((), transposed) and fits((2, 4), transposed)) and fits((2,), transposed):
        implementation.narrows["rank"] = 2
        implementation.note("it takes (N, in) alone: no other ranks of the input were checked")
    return transposed
