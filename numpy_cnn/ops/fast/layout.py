"""The layout in which images are worked on: channel, row, column, and the batch innermost.

With the batch innermost a row of pixels of all images is one run of W·N neighbouring numbers, and a column still
one of N, so every slice of pixels is long enough for the vector unit; in (N, C, H, W) the runs are W = 26 numbers,
or single ones behind a stride. Arrays are handed on as transposed views under the shape (N, C, H, W): the next op
finds them as it wants them, and nobody else sees a difference. The channels may lie outside of the rows or inside:
either way a row of pixels is one run.

Source: A. Krizhevsky, cuda-convnet (2012), which kept its images so.
"""

import numpy as np

from numpy_cnn.arguments import Array


def batch_last(x: Array, frame: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Array:
    """x (N, C, H, W) as (C, H, W, N): x itself, seen from another side, where it lies so already.

    frame: rows of zeros above and below, columns of zeros left and right.
    """
    turned = x.transpose(1, 2, 3, 0)
    innermost = turned.flags.c_contiguous or turned.swapaxes(0, 1).flags.c_contiguous
    if innermost and not any(frame):
        return turned
    channels, height, width, images = turned.shape
    above, below, left, right = frame
    framed = np.empty((channels, above + height + below, left + width + right, images), dtype=x.dtype)
    inside = framed[:, above : above + height, left : left + width]
    if any(frame):
        framed[:, :above] = framed[:, above + height :] = 0
        framed[:, :, :left] = framed[:, :, left + width :] = 0
    # Images are turned some at a time, so that the cache holds a line of each. Of images a multiple of 1 kB apart
    # it holds only 8: they compete for the same places.
    step = images if innermost else 64 if x.strides[0] % 1024 else 8
    for start in range(0, images, max(1, step)):
        inside[..., start : start + step] = turned[..., start : start + step]
    return framed


def batch_first(x: Array) -> Array:
    """x (C, H, W, N) under the shape (N, C, H, W); nothing is moved."""
    return x.transpose(3, 0, 1, 2)
