"""Element-wise functions, computed in pieces that fit in the cache.

    y[i] = f(x[i], …)

A function of k NumPy calls passes over its array k times. If the array is larger than the cache, each pass waits
for memory. With 65,536 numbers at a time it does not, and k passes cost about as much as k additions. The pieces
are one-dimensional and follow the memory order, so the layout is kept and no inner loop is short.

Source: M. Lam, E. Rothberg and M. Wolf, The cache performance and optimizations of blocked algorithms (1991).
"""

from collections.abc import Callable
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
    order = sorted(range(first.ndim), key=lambda axis: -abs(first.strides[axis]))
    flat = [a.transpose(order).reshape(-1) for a in arrays]
    results = tuple(np.empty(first.size, first.dtype) for _ in range(outputs))
    work = np.result_type(first.dtype, np.float32)
    for start in range(0, first.size, PIECE):
        piece = slice(start, start + PIECE)
        if work == first.dtype and first.dtype.isnative:
            f(*(a[piece] for a in flat), *(y[piece] for y in results))
        else:
            outs = [np.empty(y[piece].shape, work) for y in results]
            f(*(a[piece].astype(work) for a in flat), *outs)
            for y, out in zip(results, outs, strict=True):
                y[piece] = out
    shape, back = [first.shape[axis] for axis in order], np.argsort(order)
    shaped = tuple(y.reshape(shape).transpose(back) for y in results)
    return shaped[0] if outputs == 1 else shaped
