"""Correlation by patches: the pixels of a window become a column, and the convolution a matrix product.

    y[o,p] = b[o] + Σ_k w[o,k] · patch[k,p]        dw[o,k] = Σ_p u[o,p] · patch[k,p]

where p counts (output row, output column, image) and k (tap row, channel, tap column). The patches are kernel-size
times as large as the image, so they are made block by block, and each block is still in the cache when it is
multiplied. The products are exactly the terms of the formula, including the zeros of the padding.

Source: K. Chellapilla, S. Puri and P. Simard, High performance convolutional neural networks for document
processing (2006). `_stacked`: M. Cho and D. Brand, MEC: memory-efficient convolution for deep neural networks
(2017).
"""

import math
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from numpy_cnn.arguments import Array
from numpy_cnn.ops.fast.matmul import BYTES, SHORT, Scratch, add_products, cut, multiply
from numpy_cnn.ops.fast.windows import Axis, Framed, sliding

LONG = 2048  # the most positions of an output row; longer rows are cut
ROWS = 8  # the fewest rows of a block, because neighbouring blocks both copy the lines that they share

Block: TypeAlias = tuple[slice, slice, slice]  # groups, output rows, output columns


def correlate(x: Framed, rows: Axis, columns: Axis, weight: Array, bias: Array | None, groups: int) -> Array:
    """y[o] = b[o] + Σ_k w[o,k] · patch[k], (O, oh, ow, N): the kernels of a group times its patches."""
    kernels = len(weight) // groups
    w = weight.reshape(groups, kernels, *weight.shape[1:]).swapaxes(2, 3)  # k: (tap row, channel, tap column)
    w = np.ascontiguousarray(w).reshape(groups, 1, kernels, -1)  # BLAS accepts no negative strides
    y = np.empty((groups, kernels, rows.windows, columns.windows, x.numbers.shape[3]), weight.dtype)
    for (g, p, q), patches in _blocks(x, rows, columns, groups):
        block = y[g, :, p, q].reshape(len(patches), kernels, patches.shape[1], patches.shape[3])
        multiply(w[g], patches, out=block.swapaxes(1, 2))
        if bias is not None:
            block += bias.reshape(groups, kernels, 1, 1)[g]
    return y.reshape(len(weight), *y.shape[2:])


def correlate_weight(x: Framed, rows: Axis, columns: Axis, u: Array, groups: int) -> Array:
    """dw[o,k] = Σ_p u[o,p] · patch[k,p], as patches · uᵀ: BLAS is faster with the long side (the taps) first."""
    channels, kernels = len(x.numbers) // groups, len(u) // groups
    dw = np.zeros((groups, rows.kernel * channels * columns.kernel, kernels), dtype=u.dtype)
    of_groups = u.reshape(groups, kernels, *u.shape[1:])
    for (g, p, q), patches in _blocks(x, rows, columns, groups):
        block = of_groups[g, :, p, q].reshape(len(patches), kernels, patches.shape[1], patches.shape[3])
        add_products(patches, block.swapaxes(1, 2), to=dw[g])
    dw = dw.reshape(groups, rows.kernel, channels, columns.kernel, kernels).transpose(0, 4, 2, 1, 3)
    return dw.reshape(len(u), channels, rows.kernel, columns.kernel)


@np.errstate(invalid="ignore")  # 0 · ∞ is NaN by the formula, so do not warn
def scatter(u: Array, rows: Axis, columns: Axis, weight: Array, groups: int) -> Array:
    """dx[c,h] = Σ_{o,k} w[o,c,k] · u[o,p], added tap by tap to the inputs that the tap meets (col2im).

    Slower than a convolution of u, but without outputs that do not exist: for weights that are not finite.
    """
    kernels, channels, images = len(weight) // groups, weight.shape[1], u.shape[3]
    w = weight.reshape(groups, kernels, *weight.shape[1:]).swapaxes(1, 2)
    of_groups = u.reshape(groups, kernels, *u.shape[1:])
    dx = np.zeros((groups, channels, rows.size, columns.size, images), u.dtype)
    for i, p, h in rows.taps():
        for j, q, v in columns.taps():
            some = of_groups[:, :, p, q]
            product = w[..., i, j] @ some.reshape(groups, kernels, -1)
            dx[:, :, h, v] += product.reshape(groups, channels, *some.shape[2:])
    return dx.reshape(groups * channels, *dx.shape[2:])


def _blocks(x: Framed, rows: Axis, columns: Axis, groups: int) -> Iterator[tuple[Block, Array]]:
    """Blocks of the output, and their patches (groups, matrices, k, positions), valid until the next block.

    Matrices and positions together count the block's (row, column, image), in this order.
    """
    images = x.numbers.shape[3]
    if not images:
        return iter(())
    stacked = rows.kernel > 1 and rows.dilation == 1 and columns.windows * images >= SHORT
    return (_stacked if stacked else _copied)(x, rows, columns, groups)


def _stacked(x: Framed, rows: Axis, columns: Axis, groups: int) -> Iterator[tuple[Block, Array]]:
    """A matrix of patches for each output row, which shares its lines with the next matrix.

    An image row is copied as a matrix of (channel, tap column) × positions. Such matrices are stored one below the
    other, and kh consecutive ones are the patches of an output row: kw copies instead of kh·kw.
    """
    windows = sliding(x, rows.covered(), columns)[:, 0]
    windows = windows.reshape(groups, -1, *windows.shape[1:]).transpose(0, 3, 1, 2, 4, 5)  # (g, h, c, j, q, n)
    _, height, channels, taps, width, images = windows.shape
    line, size, scratch = channels * taps, windows.itemsize, Scratch()
    cut_width = min(width, max(1, LONG // images))
    of_row = line * cut_width * images * size
    for g in cut(groups, BYTES // (of_row * height)):
        for p in cut(rows.windows, max(ROWS, BYTES // (of_row * rows.stride))):
            h = slice(p.start * rows.stride, (p.stop - 1) * rows.stride + rows.kernel)
            for q in cut(width, cut_width):
                lines = scratch.copy(windows[g, h, :, :, q])
                run = (q.stop - q.start) * images
                shape = len(lines), p.stop - p.start, rows.kernel * line, run
                steps = lines[0].size, rows.stride * line * run, run, 1
                yield (g, p, q), np.ndarray(shape, lines.dtype, lines, 0, tuple(step * size for step in steps))


def _copied(x: Framed, rows: Axis, columns: Axis, groups: int) -> Iterator[tuple[Block, Array]]:
    """One matrix of patches per block, copied tap by tap: for lines that are short or have gaps."""
    windows = sliding(x, rows, columns)
    windows = windows.reshape(groups, -1, *windows.shape[1:]).swapaxes(1, 2)  # (g, i, c, j, p, q, n)
    _, *patch, height, width, images = windows.shape
    k, scratch = math.prod(patch), Scratch()
    fit = BYTES // (k * images * windows.itemsize)  # output pixels
    for g in cut(groups, fit // (width * height)):
        for p in cut(height, fit // width):  # whole rows, or a part of one
            for q in cut(width, fit):
                block = scratch.copy(windows[g, ..., p, q, :])
                yield (g, p, q), block.reshape(len(block), 1, k, -1)
