"""Correlation row by row: a row of the image meets all rows of the kernel in one product.

    y[o,p] = b[o] + Σ_i w[o,i] · line[p − pad + i·d]        dw[o,i] = Σ_h u[o, h + pad − i·d] · line[h]ᵀ

`line[h]` is row h of the image, copied once for each tap column: a matrix (channel, tap column) × positions.
Multiplied by all rows of all kernels, (tap row, kernel) × (channel, tap column), it gives what this row adds to
each of the kh output rows above it. A number is therefore copied kw times instead of kh·kw times, and the matrices
are kh times as tall, which BLAS prefers. The cost is kh additions to the output, which is small if a product has
many terms.

All channels of a row are stored together here, so that each sum is one long run of numbers and consecutive rows
form one matrix.

This path skips products with zeros that are in the formula (rows of padding), and `correlate_weight` adds some
that are not (output rows that do not exist). For finite numbers neither matters; for others
`numpy_cnn.ops.fast.correlation` takes the other path.

Source: A. Vasudevan, A. Anderson and D. Gregg, Parallel multi channel convolution using general matrix
multiplication (2017), who add up the tap columns in the same way.
"""

from collections.abc import Iterator

import numpy as np

from numpy_cnn.arguments import Array
from numpy_cnn.ops.fast import matmul
from numpy_cnn.ops.fast.matmul import BYTES, SHORT, Scratch, cut
from numpy_cnn.ops.fast.windows import Axis, Framed, sliding

DEEP = 32  # the fewest terms of a product: with fewer, the additions to the output cost more than they save

# With direct kernels (`matmul.DIRECT`) the thin products of patches are as fast as tall ones and need no additions
# to the output. Patches then win from this many kernels up to this many weights, measured in float32.
KERNELS, FEW_WEIGHTS = 16, 1 << 16


def is_faster(x: Framed, rows: Axis, columns: Axis, channels: int, kernels: int) -> bool:
    """Whether rows are faster than patches, with `channels` channels and `kernels` kernels in a group."""
    weights = channels * kernels * rows.kernel * columns.kernel
    if matmul.DIRECT and kernels >= KERNELS and weights <= FEW_WEIGHTS and rows.dilation == 1:
        return False
    wide = columns.windows * x.numbers.shape[3] >= SHORT
    used = 4 * rows.size <= 5 * rows.windows  # most rows of the image meet every row of the kernel
    return rows.stride == 1 and wide and used and channels * columns.kernel >= DEEP


def correlate(x: Framed, rows: Axis, columns: Axis, weight: Array, bias: Array | None, groups: int) -> Array:
    """y[o,p] = b[o] + Σ_i w[o,i] · line[p − pad + i·d]: every line h is added to the rows p = h + pad − i·d."""
    kernels = len(weight) // groups
    w = weight.reshape(groups, kernels, *weight.shape[1:]).transpose(0, 3, 1, 2, 4)  # (group, i, kernel, k)
    w = np.ascontiguousarray(w).reshape(groups, rows.kernel * kernels, -1)
    y = np.empty((rows.windows, groups, kernels, columns.windows, x.numbers.shape[3]), weight.dtype)
    y[...] = 0 if bias is None else bias.reshape(groups, kernels, 1, 1)
    for h, q, lines in _blocks(x, rows, columns, groups, kernels):
        each = (w @ lines).reshape(len(lines), groups, rows.kernel, kernels, *y[0, 0, 0, q].shape)
        for i in range(rows.kernel):
            first = h + rows.padding - i * rows.dilation  # the output row of the first line
            p = range(max(0, first), min(rows.windows, first + len(lines)))
            if p:
                y[p.start : p.stop, :, :, q] += each[p.start - first : p.stop - first, :, i]
    return y.reshape(rows.windows, len(weight), *y.shape[3:]).swapaxes(0, 1)


def correlate_weight(x: Framed, rows: Axis, columns: Axis, u: Array, groups: int) -> Array:
    """dw[o,i,k] = Σ_h u[o, h + pad − i·d] · line[h,k], for all taps i of a line h in one product.

    The rows of u that meet line h are stored one below the other, starting with the last tap.
    """
    kernels = len(u) // groups
    above = rows.span - rows.padding  # zeros before the first row of u, so that row h + i·d meets tap kh − 1 − i
    met = np.zeros((groups, rows.size + rows.span, kernels, *u.shape[2:]), u.dtype)
    p = slice(max(0, -above), min(rows.windows, rows.size + rows.padding))
    met[:, p.start + above : p.stop + above] = u.reshape(groups, kernels, *u.shape[1:])[:, :, p].swapaxes(1, 2)
    group, row, *inside = met.strides
    shape = rows.size, groups, rows.kernel, kernels, *u.shape[2:]
    met = np.ndarray(shape, u.dtype, met, 0, (row, group, rows.dilation * row, *inside))
    dw = np.zeros((groups, rows.kernel * kernels, len(x.numbers) // groups * columns.kernel), u.dtype)
    for h, q, lines in _blocks(x, rows, columns, groups, kernels):
        below = met[h : h + len(lines), ..., q, :].reshape(len(lines), *dw.shape[:2], lines.shape[3])
        dw += (below @ lines.swapaxes(2, 3)).sum(axis=0)
    dw = dw.reshape(groups, rows.kernel, kernels, -1, columns.kernel)
    return dw[:, ::-1].transpose(0, 2, 3, 1, 4).reshape(len(u), -1, rows.kernel, columns.kernel)


def _blocks(x: Framed, rows: Axis, columns: Axis, groups: int, kernels: int) -> Iterator[tuple[int, slice, Array]]:
    """The first line, the output columns, and lines (line, group, k, positions), valid until the next block.

    A block and its products fit in the cache together.
    """
    windows = sliding(x, rows.each(), columns)[:, 0]
    windows = windows.reshape(groups, -1, *windows.shape[1:]).transpose(3, 0, 1, 2, 4, 5)  # (h, g, c, j, q, n)
    height, _, channels, taps, width, images = windows.shape
    of_position = groups * (channels * taps + rows.kernel * kernels) * windows.itemsize
    fit = BYTES // of_position // max(1, images)  # columns of all images
    scratch = Scratch()
    for h in cut(height, fit // width):
        for q in cut(width, fit):
            lines = scratch.copy(windows[h, ..., q, :])
            yield h.start, q, lines.reshape(*lines.shape[:2], channels * taps, -1)
