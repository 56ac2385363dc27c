"""Sizes, dtypes and seeds that many strategies draw.

Every integer shrinks to its simplest value, so a failure shrinks to few channels, a small kernel, stride 1. What
is drawn, and from how wide a range, hardly ever depends on what was drawn before: then Hypothesis can lower one
number and leave the others as they are.
"""

from hypothesis import strategies as st

from parity.cases.case import Dtype, Lane
from parity.cases.primitives import booleans, integers, sampled

SEEDS = integers(0, 2**32 - 1)
DTYPES: st.SearchStrategy[Dtype] = sampled(("float32", "float64"))
RARELY = sampled([False] * 7 + [True])
REDUCTIONS = ("none", "sum", "mean")
MANY, MOST_NUMBERS = 16, 50_000
TIMES = sampled([1] * 11 + [MANY])


def batch(lane: Lane) -> st.SearchStrategy[int]:
    """Images in a batch; only the structure lane has empty ones: they prove nothing about numbers."""
    return integers(0, 2) if lane == "structure" else integers(1, 3)


def images(draw: st.DrawFn, lane: Lane, size: int) -> int:
    """A few images of `size` numbers; seldom many, since a loop over them may be unrolled, or cut into blocks.

    No more than leave sums exact: `parity.lanes.exact.guard`.
    """
    return at_most(draw(batch(lane)), draw(TIMES), size)


def at_most(few: int, times: int, size: int) -> int:
    """`few` × `times`, or fewer where that many of `size` numbers each would be too many."""
    return min(few * times, max(few, MOST_NUMBERS // size))


def numbers(draw: st.DrawFn, magnitude: int | None = None) -> tuple[Dtype, int, int]:
    """The last fields of a case: dtype, magnitude and seed."""
    return draw(DTYPES), magnitude or draw(integers(1, 8)), draw(SEEDS)


def pair(draw: st.DrawFn, a: int, b: int) -> int | tuple[int, int]:
    """An option of both axes: a pair, or one number where they are equal."""
    as_pair = draw(booleans)
    return (a, b) if as_pair or a != b else a


def shape(draw: st.DrawFn, lane: Lane, least: int, most: int, largest: int = 4) -> tuple[int, ...]:
    """From `least` to `most` axes."""
    axes = draw(integers(least, most))
    return tuple(draw(integers(0 if lane == "structure" else 1, largest)) for _ in range(axes))


def dyadic(lane: Lane) -> st.SearchStrategy[int]:
    """Powers of two: dividing by them is exact."""
    return sampled((0, 1, 2, 4) if lane == "structure" else (1, 2, 4))
