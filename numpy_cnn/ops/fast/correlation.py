"""Correlation of framed images with kernels, and its gradient by the kernels, as products of matrices.

Of few channels by patches, of many by lines (`numpy_cnn.ops.fast.rows`): the numbers are the same.
"""

import numpy as np

from numpy_cnn.arguments import Array
from numpy_cnn.ops.fast import rows as lines
from numpy_cnn.ops.fast.geometry import Axis, Framed
from numpy_cnn.ops.fast.patches import blocks
from numpy_cnn.ops.fast.products import add_products, multiply


def correlate(x: Framed, rows: Axis, columns: Axis, weight: Array, bias: Array | None, groups: int) -> Array:
    """y[o] = b[o] + Σ_k w[o,k] · patch[k], (O, oh, ow, N): the kernels of a group times its patches."""
    kernels = len(weight) // groups
    if lines.pay(x, rows, columns, weight.shape[1]):
        return lines.correlate(x, rows, columns, weight, bias, groups)
    w = weight.reshape(groups, kernels, *weight.shape[1:]).swapaxes(2, 3)  # k: (tap row, channel, tap column)
    w = np.ascontiguousarray(w).reshape(groups, 1, kernels, -1)  # BLAS takes no taps that run backwards
    y = np.empty((groups, kernels, rows.windows, columns.windows, x.numbers.shape[3]), weight.dtype)
    for (g, p, q), patches in blocks(x, rows, columns, groups):
        block = y[g, :, p, q].reshape(len(patches), kernels, patches.shape[1], patches.shape[3])
        multiply(w[g], patches, out=block.swapaxes(1, 2))
        if bias is not None:
            block += bias.reshape(groups, kernels, 1, 1)[g]
    return y.reshape(len(weight), *y.shape[2:])


def correlate_weight(x: Framed, rows: Axis, columns: Axis, u: Array, groups: int) -> Array:
    """dw[o,k] = Σ_p u[o,p] · patch[k,p], as patches · uᵀ: BLAS is faster with the long side, the taps, first."""
    channels, kernels = len(x.numbers) // groups, len(u) // groups
    if lines.pay(x, rows, columns, channels):
        return lines.correlate_weight(x, rows, columns, u, groups)
    dw = np.zeros((groups, rows.kernel * channels * columns.kernel, kernels), dtype=u.dtype)
    of_groups = u.reshape(groups, kernels, *u.shape[1:])
    for (g, p, q), patches in blocks(x, rows, columns, groups):
        block = of_groups[g, :, p, q].reshape(len(patches), kernels, patches.shape[1], patches.shape[3])
        add_products(patches, block.swapaxes(1, 2), to=dw[g])
    dw = dw.reshape(groups, rows.kernel, channels, columns.kernel, kernels).transpose(0, 4, 2, 1, 3)
    return dw.reshape(len(u), channels, rows.kernel, columns.kernel)
