"""Patches: what each window sees as a column, so that a convolution is a product of matrices.

They are kernel-size times as large as the image. So they are made block after block, of a size that stays in the
second-level cache between being written and being multiplied.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from numpy_cnn.ops.arguments import Array
from numpy_cnn.ops.room import Room
from numpy_cnn.ops.windows import Axis, Framed, sliding

BYTES = 1 << 20  # of a block

# Positions of an output row, columns · images: so few are better joined with those of the next row, and more than
# so many are cut.
SHORT, LONG = 64, 2048

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
    for g in _cut(groups, BYTES // (of_row * height)):
        for p in _cut(rows.windows, max(ROWS, BYTES // (of_row * rows.stride))):
            h = slice(p.start * rows.stride, (p.stop - 1) * rows.stride + rows.kernel)
            for q in _cut(width, cut_width):
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
    for g in _cut(groups, fit // (width * height)):
        for p in _cut(height, fit // width):  # whole rows, or a part of one
            for q in _cut(width, fit):
                block = room.copy(windows[g, ..., p, q, :])
                yield (g, p, q), block.reshape(len(block), 1, k, -1)


@lru_cache(maxsize=1024)
def _cut(size: int, most: int) -> tuple[slice, ...]:
    """Slices that make up `size`, each of `most` at most but of one at least, as even as can be."""
    step = -(-size // -(-size // max(1, most)))
    return tuple(slice(start, min(start + step, size)) for start in range(0, size, step))
