"""The three sums of a convolution, each computed by the faster path that keeps the terms of the formula.

    y[o,p]  = b[o] + Σ_k w[o,k] · x[k,p]        `correlate`: k counts channels and taps, p output pixels
    dw[o,k] = Σ_p u[o,p] · x[k,p]               `correlate_weight`
    dx[c,h] = Σ w[o,k] · u[o,p]                 `spread`: over the p whose tap falls on h

`numpy_cnn.ops.fast.rows` leaves out some products with zeros, or adds some. This changes nothing unless a number
is not finite, because 0 · ∞ is NaN. In that case `numpy_cnn.ops.fast.patches` computes the sum, with exactly the
terms of the formula.
"""

from functools import lru_cache
from itertools import product

import numpy as np

from numpy_cnn.arguments import Array
from numpy_cnn.ops.fast import patches
from numpy_cnn.ops.fast import rows as by_rows
from numpy_cnn.ops.fast.windows import Axis, Framed, Phase, frame


def spread(u: Framed, rows: Axis, columns: Axis, weight: Array, groups: int) -> Array:
    """Σ_{o,i,j} w[o,c,i,j] · u[n,o,p,q] over the (p,q) whose tap (i,j) falls on (h,v), as (C, H, W, N).

    With channels and kernels swapped, each phase of the inputs is a convolution of u with the taps that meet it:
    nothing is scattered, and every input is written once. u is framed by `framed_outputs`.
    """
    if not _finite(weight):
        return patches.scatter(u.inside, rows, columns, weight, groups)
    back = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    back = back.reshape(groups * weight.shape[1], -1, *weight.shape[2:])
    phases = _phases(rows, columns)
    dx = np.empty((len(back), rows.size, columns.size, u.inside.shape[3]), dtype=weight.dtype)
    for (in_rows, row_taps, r), (in_columns, column_taps, c) in phases:
        taps = back[:, :, row_taps, column_taps]
        if not taps.size:  # the stride is longer than the kernel: no window covers these inputs
            dx[:, in_rows, in_columns] = 0
        elif len(phases) == 1:
            dx = correlate(u, r, c, taps, None, groups)
        else:
            dx[:, in_rows, in_columns] = correlate(u, r, c, taps, None, groups)
    return dx


def framed_outputs(u: Array, rows: Axis, columns: Axis, spread_follows: bool) -> Framed:
    """u (N, O, oh, ow), framed for `spread` if it will be called."""
    phases = _phases(rows, columns) if spread_follows else ()
    return frame(u, *((r, c) for (_, _, r), (_, _, c) in phases))


@lru_cache(maxsize=1024)
def _phases(rows: Axis, columns: Axis) -> tuple[tuple[Phase, Phase], ...]:
    return tuple(product(rows.phases(), columns.phases()))


@np.errstate(invalid="ignore")  # 0 · ∞ is NaN by the formula, so do not warn
def correlate(x: Framed, rows: Axis, columns: Axis, weight: Array, bias: Array | None, groups: int) -> Array:
    """y by the faster path. `by_rows` skips the rows of padding, which is wrong for 0 · ∞."""
    channels, kernels = weight.shape[1], len(weight) // groups
    if by_rows.is_faster(x, rows, columns, channels, kernels) and _finite(weight):
        return by_rows.correlate(x, rows, columns, weight, bias, groups)
    return patches.correlate(x, rows, columns, weight, bias, groups)


@np.errstate(invalid="ignore")
def correlate_weight(x: Framed, rows: Axis, columns: Axis, u: Array, groups: int) -> Array:
    """dw by the faster path.

    `by_rows` skips the rows of padding and multiplies rows of outputs that do not exist. Both matter only if x or
    u is not finite, and then dw is not finite either: checking dw, which is small, is enough.
    """
    channels, kernels = len(x.numbers) // groups, len(u) // groups
    if by_rows.is_faster(x, rows, columns, channels, kernels) and rows.always_met:
        dw = by_rows.correlate_weight(x, rows, columns, u, groups)
        if _finite(dw):
            return dw
    return patches.correlate_weight(x, rows, columns, u, groups)


def _finite(x: Array) -> bool:
    return bool(np.isfinite(x).all())
