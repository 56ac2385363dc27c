"""Convolution with kernels of one tap: a dense layer applied to every pixel.

    y = w · x + b        dx = wᵀ · u        dw = u · xᵀ        db = Σ u

A pixel is its own patch, so no patches are copied, and the pixels keep their order in memory. The columns of a
matrix are the pixels of one image or, where the batch is innermost, of all images or of one row of all images.

Source: M. Lin, Q. Chen and S. Yan, Network in network (2014), for the layer.
"""

import math

import numpy as np

from numpy_cnn.arguments import Array, Pullback, cotangent
from numpy_cnn.ops.fast.matmul import add_products, multiply

# Orders of the axes (N, C, H, W) in memory: the axes before the channels count the matrices, the axes after them
# are the columns of each. Images in any other order are copied into the first one.
ORDERS = [(0, 1, 2, 3), (1, 2, 3, 0), (2, 1, 3, 0)]


@np.errstate(invalid="ignore")  # 0 · ∞ is NaN by the formula, so do not warn
def conv_1x1(x: Array, weight: Array, bias: Array | None, groups: int) -> tuple[Array, Pullback]:
    """`conv2d` with kernels of one tap, stride 1 and no padding."""
    order = next((order for order in ORDERS if x.transpose(order).flags.c_contiguous), ORDERS[0])
    before = order.index(1)
    kernels, channels = len(weight) // groups, weight.shape[1]
    w = np.ascontiguousarray(weight).reshape(groups, kernels, channels)

    def as_columns(a: Array) -> Array:
        """(N, C, H, W) as (matrices, groups, channels of a group, pixels)."""
        a = np.ascontiguousarray(a.transpose(order))
        sizes = a.shape[:before], a.shape[before + 1 :]
        return a.reshape(math.prod(sizes[0]), groups, a.shape[before] // groups, math.prod(sizes[1]))

    def as_images(a: Array) -> Array:
        """The inverse of `as_columns`."""
        sizes = [x.shape[axis] for axis in order]
        sizes[before] = a.shape[1] * a.shape[2]
        return a.reshape(sizes).transpose(np.argsort(order))

    pixels = as_columns(x)
    y = np.empty((len(pixels), groups, kernels, pixels.shape[3]), dtype=x.dtype)
    multiply(w, pixels, out=y)
    if bias is not None:
        y += bias.reshape(groups, kernels, 1)

    @np.errstate(invalid="ignore")
    def pullback(
        dy: Array, needs_input_grad: tuple[bool, bool, bool] = (True, True, True)
    ) -> tuple[Array | None, Array | None, Array | None]:
        u = as_columns(cotangent("conv2d", dy, as_images(y)))
        needs_dx, needs_dw, needs_db = needs_input_grad
        dx = dw = db = None
        if needs_dw:
            transposed = np.zeros((groups, channels, kernels), dtype=x.dtype)
            add_products(pixels.swapaxes(0, 1), u.swapaxes(0, 1), to=transposed)
            dw = transposed.swapaxes(1, 2).reshape(weight.shape)
        if needs_db and bias is not None:
            db = u.sum(axis=(0, 3)).reshape(-1)
        if needs_dx:
            dx = np.empty(pixels.shape, dtype=x.dtype)
            multiply(np.ascontiguousarray(w.swapaxes(1, 2)), u, out=dx)
            dx = as_images(dx)
        return dx, dw, db

    return as_images(y), pullback
