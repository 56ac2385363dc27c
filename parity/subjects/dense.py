"""Which way round a hand-written dense layer takes its weights, found out by trying."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.cases.torch_op import Array
from parity.subjects.implementation import CANONICAL, Implementation

Run = Callable[[tuple[Array | None, ...], bool], tuple[Any, Callable[[Array], Any] | None]]


def orientation(implementation: Implementation, run: Run) -> bool:
    """Whether the weights are (in, out) instead of torch's (out, in); notes what else the layer does not take.

    `run(arrays, transposed)` gives y and a pullback. Sizes 3 and 5 leave no doubt which is which.
    """
    before = list(implementation.notes)
    transposed = not _fits(run, (2,), False) and _fits(run, (2,), True)
    matrices = _fits(run, (2,), transposed, backward=True)
    others = _fits(run, (), transposed, backward=True) and _fits(run, (2, 4), transposed, backward=True)
    implementation.notes[:] = before  # what is noted of calls that were only tries
    if transposed:
        implementation.note("its weights are (in, out): transposed on the way in and out")
    if matrices and not others:
        implementation.narrows["rank"] = 2
        implementation.note("it takes (N, in) alone: no other ranks of the input were checked")
    return transposed


def _fits(run: Run, lead: tuple[int, ...], transposed: bool, backward: bool = False) -> bool:
    """Whether all shapes come out right for inputs (…, 3), weights of 5 × 3, and a bias."""
    x, w, b = np.ones((*lead, 3), np.float32), np.ones((5, 3), np.float32), np.ones(5, np.float32)
    token = CANONICAL.set((x, w, b))
    try:
        y, pullback = run((x, w, b), transposed)
        if np.shape(y) != (*lead, 5):
            return False
        if backward and pullback is not None:
            gradients = pullback(np.ones((*lead, 5), np.float32))
            return all(np.shape(g) == a.shape for g, a in zip(gradients, (x, w), strict=False) if g is not None)
        return True
    except Exception:  # whatever it raises, it does not take this
        return False
    finally:
        CANONICAL.reset(token)
