"""Patches: what each window sees as a column, so that a convolution is a product of matrices.

They are kernel-size times as large as the image. So they are made block after block, of a size that stays in the
cache between being written and being multiplied.
"""

import math
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from numpy_cnn.arguments import Array
from numpy_cnn.ops.fast.blocking import BYTES, SHORT, cut
from numpy_cnn.ops.fast.geometry import Axis, Framed, sliding
from numpy_cnn.ops.fast.scratch import Room

LONG = 2048  # positions of an output row at most: more are cut
ROWS = 8  # of a block at least, where neighbouring blocks both copy the lines between them

Block: TypeAlias = tuple[slice, slice, slice]  # groups, output rows, output columns


def blocks(x: Framed, rows: Axis, columns: Axis, groups: int) -> Iterator[tuple[Block, Array]]:
    """Blocks of the output, and their patches (groups, matrices, k, positions), which hold until the next ones.

    k counts a patch's numbers: (tap row, channel of the group, tap column). Matrices and positions together count
    the block's (row, column, image), in this order.
    """
    images = x.numbers.shape[3]
    if not images:
        return iter(())
    stacked = rows.kernel > 1 and rows.dilation == 1 and columns.windows * images >= SHORT
    return (_stacked if stacked else _copied)(x, rows, columns, groups)


def _stacked(x: Framed, rows: Axis, columns: Axis, groups: int) -> Iterator[tuple[Block, Array]]:
    """A matrix of patches for each output row, which shares its lines with that of the next.

    An image row is copied as a matrix of (channel, tap column) × positions. Such matrices lie one below the other,
    and kh of them are the patches of an output row as they stand: kw copies do instead of kh·kw.

    Source: M. Cho and D. Brand, MEC: memory-efficient convolution for deep neural networks (2017).
    """
    windows = sliding(x, rows.lines(), columns)[:, 0]
    windows = windows.reshape(groups, -1, *windows.shape[1:]).transpose(0, 3, 1, 2, 4, 5)  # (g, h, c, j, q, n)
    _, height, channels, taps, width, images = windows.shape
    line, size, room = channels * taps, windows.itemsize, Room()
    cut_width = min(width, max(1, LONG // images))
    of_row = line * cut_width * images * size
    for g in cut(groups, BYTES // (of_row * height)):
        for p in cut(rows.windows, max(ROWS, BYTES // (of_row * rows.stride))):
            h = slice(p.start * rows.stride, (p.stop - 1) * rows.stride + rows.kernel)
            for q in cut(width, cut_width):
                lines = room.copy(windows[g, h, :, :, q])
                run = (q.stop - q.start) * images
                shape = len(lines), p.stop - p.start, rows.kernel * line, run
                steps = lines[0].size, rows.stride * line * run, run, 1
                yield (g, p, q), np.ndarray(shape, lines.dtype, lines, 0, tuple(step * size for step in steps))


def _copied(x: Framed, rows: Axis, columns: Axis, groups: int) -> Iterator[tuple[Block, Array]]:
    """One matrix of patches for a block, every tap a copy: where lines have gaps between them, or are short."""
    windows = sliding(x, rows, columns)
    windows = windows.reshape(groups, -1, *windows.shape[1:]).swapaxes(1, 2)  # (g, i, c, j, p, q, n)
    _, *patch, height, width, images = windows.shape
    k, room = math.prod(patch), Room()
    fit = BYTES // (k * images * windows.itemsize)  # output pixels
    for g in cut(groups, fit // (width * height)):
        for p in cut(height, fit // width):  # whole rows, or a part of one
            for q in cut(width, fit):
                block = room.copy(windows[g, ..., p, q, :])
                yield (g, p, q), block.reshape(len(block), 1, k, -1)
