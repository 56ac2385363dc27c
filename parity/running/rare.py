"""Cases that random draws may miss, drawn on purpose: long axes, large windows, empty arrays.

A mistake with an 8-bit or 16-bit index is visible only if an axis is long enough. Hypothesis draws similar cases
one after another, and 200 of them may contain none of a rare kind.
"""

import math
import random
from collections.abc import Callable

from hypothesis import strategies as st

from parity.cases.case import Case, Lane
from parity.cases.primitives import Choice, Nothing, draw_plainly, draws_plainly
from parity.cases.restrict_windows import kernel_of, pair, weight_of

DRAWS = 400  # enough for most rows to have some of each kind
SHARE = 1 / 20  # the largest fraction of a lane's cases


def rare_cases(
    strategy: st.SearchStrategy[Case], lane: Lane, seed: int, examples: int
) -> list[tuple[Case, list[Choice]]]:
    """A few cases of different rare kinds, with the choices that make Hypothesis draw them.

    Args:
        strategy: of the cases; none are returned if only Hypothesis can draw from it.
        lane: the structure and special lanes, which call an implementation many times, get no huge case.
        seed: the same seed draws the same cases.
        examples: the number of cases of the lane, of which at most a twentieth are rare.
    """
    most = int(SHARE * examples)
    if not draws_plainly(strategy) or not most:
        return []
    kinds = [*_KINDS] if lane in ("exact", "bound") else [kind for kind in _KINDS if kind != "huge"]
    generator, found = random.Random(seed), dict[str, tuple[Case, list[Choice]]]()
    for _ in range(DRAWS):
        try:
            case, choices = draw_plainly(strategy, generator)
        except Nothing:
            break
        shown = [kind for kind in kinds if _KINDS[kind](_largest(case), case)]
        if shown:
            found.setdefault(repr(case), (case, choices))
            kinds = [kind for kind in kinds if kind not in shown]
        if not kinds or len(found) == most:
            break
    return [*found.values()]


_KINDS: dict[str, Callable[[int, Case], bool]] = {
    "huge": lambda size, _: size > 2**15,
    "long": lambda size, _: 2**8 < size < 2**15,
    "many taps": lambda _, case: _taps(case) > 2**7,
    "byte": lambda size, _: 2**7 < size < 2**8,
    "remainder": lambda size, _: 2**5 < size < 2**6 and size % 4 > 0,
    "vector": lambda size, _: 2**3 < size < 2**5 and size % 8 > 0,
    "empty": lambda _, case: any(0 in (spec.shape or ()) for spec in case.arrays),
}


def _largest(case: Case) -> int:
    return max((size for spec in case.arrays for size in spec.shape or ()), default=1)


def _taps(case: Case) -> int:
    """The number of taps of a window, in all its channels."""
    weight = weight_of(case)
    if weight is not None and weight.shape is not None and len(weight.shape) == 4:
        return math.prod(weight.shape[1:])
    return math.prod(pair(kernel_of(case.options, None)))
