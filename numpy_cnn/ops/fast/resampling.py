"""The inputs of each output of an interpolation along one axis, and their weights."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from numpy_cnn.arguments import Array, integer, real

# The numbers of axes that the input of each mode may have.
MODES = {
    "nearest": (3, 4, 5),
    "nearest-exact": (3, 4, 5),
    "area": (3, 4, 5),
    "linear": (3,),
    "bilinear": (4,),
    "trilinear": (5,),
    "bicubic": (4,),
}
LONG_RUN = 16  # outputs that read one input
CUBIC, SMOOTH_CUBIC = -0.75, -0.5  # the slope of the kernel at 1, torch's choice without and with antialiasing


class Taps(NamedTuple):
    """Output p is Σ_k weight[k,p] · x[inputs[k,p]]; with a weight of None, it is a copy."""

    inputs: Array
    weights: Sequence[Array | None]


def output_sizes(
    shape: tuple[int, ...], size: int | Sequence[int] | None, scale_factor: float | Sequence[float] | None
) -> tuple[list[int], list[float | None]]:
    """The output's lengths, and the scale factors if these are given."""
    if (size is None) == (scale_factor is None):
        raise ValueError(f"interpolate: give size or scale_factor, got {size!r} and {scale_factor!r}")
    given: Any = size if scale_factor is None else scale_factor
    each = list(given) if isinstance(given, (tuple, list)) else [given] * len(shape)
    if len(each) != len(shape):
        raise ValueError(f"interpolate: expected 1 number or {len(shape)}, one per axis, got {given!r}")
    scales: list[float | None] = [None] * len(shape)
    if scale_factor is None:
        sizes = [integer("interpolate", "size", n) for n in each]
    else:
        factors = [real("interpolate", "scale_factor", factor) for factor in each]
        if not np.isfinite(factors).all():
            raise ValueError(f"interpolate: scale_factor must be finite, got {given!r}")
        sizes = [math.floor(length * factor) for length, factor in zip(shape, factors, strict=True)]
        scales = [*factors]
    if min(sizes) < 1:
        raise ValueError(f"interpolate: the output {tuple(sizes)} of {shape} would have no pixels")
    return sizes, scales


@lru_cache
def taps(size: int, windows: int, factor: float | None, mode: str, align_corners: bool) -> Taps:
    """The taps of `windows` outputs over `size` inputs; `factor` replaces the quotient of both if it is given."""
    p = np.arange(windows)
    if mode.startswith("nearest"):
        # In single precision, as in torch: the last bit decides which way the floor goes.
        scale = np.float32(size) / np.float32(windows) if factor is None else np.float32(1 / factor)
        at = p.astype(np.float32) * scale if mode == "nearest" else ((p + 0.5) * scale).astype(np.float32)
        return Taps(np.minimum(np.floor(at).astype(int), size - 1)[None], [None])
    if align_corners:
        t = p * ((size - 1) / (windows - 1) if windows > 1 else 0.0)
    else:
        t = (p + 0.5) * (size / windows if factor is None else 1 / factor) - 0.5
    if mode != "bicubic":
        t = np.maximum(t, 0)
    first = np.minimum(np.floor(t).astype(int), size - 1)
    share = np.clip(t - first, 0, 1)
    if mode != "bicubic":
        index, weights = [first, first + 1], [1 - share, share]
    else:
        index = [first - 1, first, first + 1, first + 2]
        weights = [_beyond(1 + share), _within(share), _within(1 - share), _beyond(2 - share)]
    return Taps(np.clip(index, 0, size - 1), weights)


@lru_cache
def smooth_taps(size: int, windows: int, factor: float | None, mode: str, align_corners: bool) -> Taps:
    """The taps with antialiasing: if the axis shrinks, the kernel is as much wider as the inputs are denser."""
    if align_corners:
        scale = (size - 1) / (windows - 1) if windows > 1 else 0.0
    else:
        scale = size / windows if factor is None else 1 / factor
    wider = max(scale, 1.0)
    reach = (2 if mode == "bicubic" else 1) * wider
    centre = (np.arange(windows) + 0.5) * scale
    first = np.maximum((centre - reach + 0.5).astype(int), 0)
    last = np.minimum((centre + reach + 0.5).astype(int), size)
    index = first + np.arange((last - first).max())[:, None]
    distance = np.abs((index - centre + 0.5) / wider)
    kernel = _smooth_cubic(distance) if mode == "bicubic" else np.maximum(1 - distance, 0)
    weights = np.where(index < last, kernel, 0)
    return Taps(np.minimum(index, size - 1), list(weights / weights.sum(axis=0)))


def _smooth_cubic(a: Array) -> Array:
    """The cubic kernel, 0 from a = 2 on, with the slope that torch uses for antialiasing."""
    return np.where(a < 1, _within(a, SMOOTH_CUBIC), np.where(a < 2, _beyond(a, SMOOTH_CUBIC), 0))


def weighted(x: Array, places: Array, weight: Array | None, axis: int) -> Array:
    """x[places] along an axis, times one weight for each place."""
    found = x.take(places, axis)
    if weight is not None:
        found *= weight.astype(x.dtype).reshape(-1, *(1,) * (x.ndim - 1 - axis))
    return found


def add_runs(x: Array, weight: Array | None, index: Array, axis: int, to: Array) -> None:
    """to[index[p]] += weight[p] · x[p] along an axis, where the indices never decrease.

    So equal ones are neighbours: first those that begin a run are added, then the second of each run, and so on.
    `np.add.reduceat` does the same at 10 ns per number along the last axis; it is left for long runs.
    """
    read, first, length = np.unique(index, return_index=True, return_counts=True)
    around: tuple[Any, ...] = (slice(None),) * axis
    if length.max() > LONG_RUN:
        to[(*around, read)] += np.add.reduceat(weighted(x, np.arange(len(index)), weight, axis), first, axis)
        return
    for place in range(length.max()):
        longer = length > place
        places, inputs = first[longer] + place, read[longer]
        neighbours = inputs[-1] - inputs[0] + 1 == len(inputs)  # usual, and a slice is many times faster
        into: Any = slice(inputs[0], inputs[-1] + 1) if neighbours else inputs
        to[(*around, into)] += weighted(x, places, None if weight is None else weight[places], axis)


def _within(a: Array, slope: float = CUBIC) -> Array:
    """The cubic kernel at 0 ≤ a ≤ 1."""
    return ((slope + 2) * a - (slope + 3)) * a * a + 1


def _beyond(a: Array, slope: float = CUBIC) -> Array:
    """The cubic kernel at 1 ≤ a ≤ 2."""
    return ((slope * a - 5 * slope) * a + 8 * slope) * a - 4 * slope
