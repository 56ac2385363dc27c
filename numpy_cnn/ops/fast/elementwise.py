"""Element-wise functions, computed in pieces that fit in the cache.

    y[i] = f(x[i], …)

A function of k NumPy calls passes over its array k times. If the array is larger than the cache, each pass waits
for memory. With 65,536 numbers at a time it does not, and k passes cost about as much as k additions. The pieces
are one-dimensional and follow the memory order, so the layout is kept and no inner loop is short.

A sum of such a function need not store its values: only one piece of them exists at a time.

Source: M. Lam, E. Rothberg and M. Wolf, The cache performance and optimizations of blocked algorithms (1991).
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array

PIECE = 1 << 16  # numbers at a time: 256 kB in float32


@np.errstate(all="ignore")  # exp may overflow on the way to a finite result; NaN and ∞ follow the formula
def elementwise(f: Callable[..., Any], *arrays: Array, outputs: int = 1) -> Any:
    """New arrays in the layout of the first one, which f(*pieces, *outs) fills piece by piece.

    Half precision and non-native byte orders are computed in native float32 or float64. An array without axes is
    one piece of one number. Returns one array, or a tuple for several `outputs`.
    """
    first = arrays[0]
    order = _memory_order(first)
    results = tuple(np.empty(first.size, first.dtype) for _ in range(outputs))
    work = np.result_type(first.dtype, np.float32)
    for piece, parts in _pieces(arrays, order, work):
        if work == first.dtype and first.dtype.isnative:
            f(*parts, *(y[piece] for y in results))
        else:
            outs = [np.empty(y[piece].shape, work) for y in results]
            f(*parts, *outs)
            for y, out in zip(results, outs, strict=True):
                y[piece] = out
    shape, back = [first.shape[axis] for axis in order], np.argsort(order)
    shaped = tuple(y.reshape(shape).transpose(back) for y in results)
    return shaped[0] if outputs == 1 else shaped


@np.errstate(all="ignore")
def elementwise_sum(f: Callable[..., Any], *arrays: Array) -> np.float64:
    """The sum of what f(*pieces, out) writes, pairwise within a piece and then in double precision."""
    first = arrays[0]
    work = np.result_type(first.dtype, np.float32)
    values, total = np.empty(min(PIECE, first.size), work), np.float64(0)
    for _, parts in _pieces(arrays, _memory_order(first), work):
        out = values[: len(parts[0])]
        f(*parts, out)
        total += out.sum()
    return total


def _memory_order(x: Array) -> list[int]:
    """The axes from the outermost to the innermost in memory."""
    return sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))


def _pieces(
    arrays: tuple[Array, ...], order: list[int], work: np.dtype[Any]
) -> Iterator[tuple[slice, list[Array]]]:
    """Pieces of the arrays, flattened in that order of the axes, in the native dtype `work`."""
    flat = [a.transpose(order).reshape(-1) for a in arrays]
    for start in range(0, flat[0].size, PIECE):
        piece = slice(start, start + PIECE)
        yield piece, [a[piece].astype(work, copy=False) for a in flat]


def logistic(x: Array, y: Array) -> None:
    """y ← 1 / (1 + e⁻ˣ) of a piece."""
    np.negative(x, out=y)
    np.exp(y, out=y)
    y += 1
    np.divide(1, y, out=y)  # np.reciprocal takes four times as long
