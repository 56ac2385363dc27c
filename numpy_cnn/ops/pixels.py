"""The convolution with kernels of one tap: a dense layer on every pixel."""

import math

import numpy as np

from numpy_cnn.ops.arguments import Array, Pullback, cotangent
from numpy_cnn.ops.layout import batch_first, batch_last
from numpy_cnn.ops.products import add_products, multiply


def conv2d_of_pixels(x: Array, weight: Array, bias: Array | None, groups: int) -> tuple[Array, Pullback]:
    """`conv2d` with kernels of one tap, stride 1 and no padding.

    A pixel is its own patch. So no patch is made, and the pixels stay in the order in which they lie: those of one
    image, or of all images at once where the batch is innermost, are the columns of a matrix.

        y = w · x + b        dx = wᵀ · u        dw = u · xᵀ        db = Σ u
    """
    innermost = x.transpose(1, 2, 3, 0).flags.c_contiguous
    kernels, channels = len(weight) // groups, weight.shape[1]
    w = np.ascontiguousarray(weight).reshape(groups, kernels, channels)

    def pixels(a: Array) -> Array:
        """(N, C, H, W) as (N, or 1 for all; groups, channels of a group, pixels)."""
        a = batch_last(a)[None] if innermost else np.ascontiguousarray(a)
        return a.reshape(len(a), groups, a.shape[1] // groups, math.prod(a.shape[2:]))

    def images(a: Array) -> Array:
        """The way back."""
        size = a.shape[1] * a.shape[2], *x.shape[2:]
        return batch_first(a.reshape(*size, len(x))) if innermost else a.reshape(len(x), *size)

    columns = pixels(x)
    y = np.empty((len(columns), groups, kernels, columns.shape[3]), dtype=x.dtype)
    multiply(w, columns, out=y)
    if bias is not None:
        y += bias.reshape(groups, kernels, 1)

    def pullback(
        dy: Array, needs_input_grad: tuple[bool, bool, bool] = (True, True, True)
    ) -> tuple[Array | None, Array | None, Array | None]:
        u = pixels(cotangent("conv2d", dy, images(y)))
        needs_dx, needs_dw, needs_db = needs_input_grad
        dx = dw = db = None
        if needs_dw:
            turned = np.zeros((groups, channels, kernels), dtype=x.dtype)
            add_products(columns.swapaxes(0, 1), u.swapaxes(0, 1), to=turned)
            dw = turned.swapaxes(1, 2).reshape(weight.shape)
        if needs_db and bias is not None:
            db = u.sum(axis=(0, 3)).reshape(-1)
        if needs_dx:
            dx = np.empty(columns.shape, dtype=x.dtype)
            multiply(np.ascontiguousarray(w.swapaxes(1, 2)), u, out=dx)
            dx = images(dx)
        return dx, dw, db

    return images(y), pullback
