"""The layout in which images are worked on: channel, row, column, and the batch innermost.

With the batch innermost a row of pixels of all images is one run of W·N neighbouring numbers, and a column still
one of N, so every slice of pixels is long enough for the vector unit; in (N, C, H, W) the runs are W = 26 numbers,
or single ones behind a stride. Arrays are handed on as transposed views under the shape (N, C, H, W): the next op
finds them as it wants them, and nobody else sees a difference.

Source: A. Krizhevsky, cuda-convnet (2012), which kept its images so.
"""

import numpy as np

from numpy_cnn.ops.arguments import Array

# Images transposed at a time: 16 float32 fill a cache line, which is written whole while its sources stay near.
LINE = 16


def batch_last(x: Array, frame: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Array:
    """x (N, C, H, W) as contiguous (C, H, W, N): x itself, seen from another side, where it lies so already.

    frame: rows of zeros above and below, columns of zeros left and right.
    """
    turned = x.transpose(1, 2, 3, 0)
    if turned.flags.c_contiguous and not any(frame):
        return turned
    channels, height, width, images = turned.shape
    top, bottom, left, right = frame
    make = np.zeros if any(frame) else np.empty
    framed = make((channels, top + height + bottom, left + width + right, images), dtype=x.dtype)
    inside = framed[:, top : top + height, left : left + width]
    step = images if turned.flags.c_contiguous else LINE
    for start in range(0, images, max(1, step)):
        inside[..., start : start + step] = turned[..., start : start + step]
    return framed


def batch_first(x: Array) -> Array:
    """x (C, H, W, N) under the shape (N, C, H, W); nothing is moved."""
    return x.transpose(3, 0, 1, 2)
