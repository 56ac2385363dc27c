"""The convolution with kernels of one tap: a dense layer on every pixel."""

import math

import numpy as np

from numpy_cnn.arguments import Array, Pullback, cotangent
from numpy_cnn.ops.fast.products import add_products, multiply


def conv2d_of_pixels(x: Array, weight: Array, bias: Array | None, groups: int) -> tuple[Array, Pullback]:
    """`conv2d` with kernels of one tap, stride 1 and no padding.

    A pixel is its own patch. So no patch is made, and the pixels stay in the order in which they lie: those of one
    image, or where the batch is innermost of all images at once or of a row of them, are the columns of a matrix.

        y = w · x + b        dx = wᵀ · u        dw = u · xᵀ        db = Σ u
    """
    # Axes of the images as they lie: what stands before the channels are matrices, what stands behind them is the
    # columns of each. Images that lie in no such way are copied into the first one.
    orders = [(0, 1, 2, 3), (1, 2, 3, 0), (2, 1, 3, 0)]
    order = next((order for order in orders if x.transpose(order).flags.c_contiguous), orders[0])
    before = order.index(1)
    kernels, channels = len(weight) // groups, weight.shape[1]
    w = np.ascontiguousarray(weight).reshape(groups, kernels, channels)

    def pixels(a: Array) -> Array:
        """(N, C, H, W) as (matrices, groups, channels of a group, pixels)."""
        a = np.ascontiguousarray(a.transpose(order))
        sizes = a.shape[:before], a.shape[before + 1 :]
        return a.reshape(math.prod(sizes[0]), groups, a.shape[before] // groups, math.prod(sizes[1]))

    def images(a: Array) -> Array:
        """The way back."""
        sizes = [x.shape[axis] for axis in order]
        sizes[before] = a.shape[1] * a.shape[2]
        return a.reshape(sizes).transpose(np.argsort(order))

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
