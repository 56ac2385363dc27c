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


def batch_last(x: Array) -> Array:
    """x (N, C, H, W) as contiguous (C, H, W, N): x itself, seen from another side, where it lies so already."""
    turned = x.transpose(1, 2, 3, 0)
    if turned.flags.c_contiguous:
        return turned
    copy = np.empty(turned.shape, dtype=x.dtype)
    for start in range(0, len(x), LINE):
        copy[..., start : start + LINE] = turned[..., start : start + LINE]
    return copy


def batch_first(x: Array) -> Array:
    """x (C, H, W, N) under the shape (N, C, H, W); nothing is moved."""
    return x.transpose(3, 0, 1, 2)
