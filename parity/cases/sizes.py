"""Sizes, dtypes and seeds that many strategies draw.

Every integer shrinks to its simplest value, so a failure shrinks to few channels, a small kernel and stride 1. The
draws and their ranges rarely depend on earlier draws, so Hypothesis can reduce one number without changing others.
"""

from collections.abc import Sequence
from functools import cache

from hypothesis import strategies as st

from parity.cases.case import Dtype, Lane
from parity.cases.primitives import booleans, integers, sampled

SEEDS = integers(0, 2**32 - 1)
DTYPES: st.SearchStrategy[Dtype] = sampled(("float32", "float64"))
RARELY = sampled([False] * 7 + [True])
SELDOM = sampled([False] * 31 + [True])
REDUCTIONS = ("none", "sum", "mean")
MANY, MOST_NUMBERS = 16, 50_000
TIMES = sampled([1] * 7 + [22])  # up to 66 images: more than a block of 64
# Sizes at which vector loops leave a remainder or a 7 or 8 bit index overflows. They are cheap along one axis.
TAILS = (4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 127, 128, 129, 255, 257)
HUGE = 32_769  # a signed 16-bit index overflows: cheap if every other axis is short
FLAT = 65_537  # an unsigned 16-bit index overflows
LONG = sampled((*TAILS, HUGE, HUGE))
DYADIC = sampled((4, 8, 16, 32, 64, 256, 512))  # those by which a division is exact


@cache
def extent(most: int) -> st.SearchStrategy[int]:
    """A size from 1 to `most`, above 1 in at least three of four draws: a factor of 1 hides mistakes."""
    above = [*range(2, most + 1)]
    return sampled((1, *above * (1 + 2 // (most - 1))))


def batch(lane: Lane) -> st.SearchStrategy[int]:
    """Images in a batch; only the structure lane draws empty batches, which prove nothing about numbers."""
    return sampled((1, 2, 3, 0, 2)) if lane == "structure" else extent(3)


def images(draw: st.DrawFn, lane: Lane, size: int) -> int:
    """A few images of `size` numbers; sometimes many, since a loop over them may be unrolled or split into blocks.

    At most as many as keep sums exact: see `parity.lanes.exact.guard`.
    """
    return at_most(draw(batch(lane)), draw(TIMES), size)


def at_most(few: int, times: int, size: int) -> int:
    """`few` × `times`, or fewer if that many images of `size` numbers are too many, but not none."""
    return min(few * times, max(1, MOST_NUMBERS // size))


def numbers(draw: st.DrawFn, magnitude: int | None = None) -> tuple[Dtype, int, int]:
    """The last fields of a case: dtype, magnitude and seed."""
    return draw(DTYPES), magnitude or draw(integers(1, 8)), draw(SEEDS)


def pair(draw: st.DrawFn, a: int, b: int) -> int | tuple[int, int]:
    """An option for both axes: a pair, or one number if they are equal."""
    as_pair = draw(booleans)
    return (a, b) if as_pair or a != b else a


def shape(
    draw: st.DrawFn, lane: Lane, least: int, most: int, largest: int = 4, tails: bool = True
) -> tuple[int, ...]:
    """From `least` to `most` axes; sometimes a long last one, and in the structure lane an empty one."""
    sizes = [draw(extent(largest)) for _ in range(draw(integers(least, most)))]
    if sizes and tails and draw(RARELY):
        sizes = tail(sizes, draw(LONG))
    if sizes and lane == "structure" and draw(RARELY):
        sizes[draw(integers(0, most)) % len(sizes)] = 0
    return tuple(sizes)


def tail(sizes: Sequence[int], last: int) -> list[int]:
    """The sizes with another last one; if it is huge, all others are 1."""
    return [*((1 for _ in sizes[:-1]) if last == HUGE else sizes[:-1]), last]


def short(leading: Sequence[int], inside: Sequence[int]) -> list[int]:
    """The leading sizes, at most 1 each before a huge axis."""
    return [min(size, 1) for size in leading] if HUGE in inside else [*leading]


def dyadic(lane: Lane) -> st.SearchStrategy[int]:
    """Powers of two: dividing by them is exact."""
    return sampled((1, 2, 4, 2, 0) if lane == "structure" else (1, 2, 4, 2))
