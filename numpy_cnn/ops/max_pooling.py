"""Max-pooling: the largest value of each window."""

from typing import Any

import numpy as np

from numpy_cnn.arguments import Array, IntPair, Pullback, check_floats, cotangent, flag, pair
from numpy_cnn.ops.fast.bits import has_negative_zero, select
from numpy_cnn.ops.fast.pool_windows import Index, adaptive_size, pool_strides, pool_windows, shares
from numpy_cnn.ops.fast.windows import batch_first, batch_last

__all__ = ["adaptive_max_pool2d", "max_pool2d"]


def max_pool2d(
    input: Array,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Any, Pullback]:
    """Take the largest value of each window, as `torch.nn.functional.max_pool2d`.

        y[n,c,p,q] = max_{i,j} x[n, c, p·s − pad + i·d, q·s − pad + j·d]
        dx[n,c,h,v] = Σ dy[n,c,p,q]        over the windows (p,q) whose maximum is at (h,v)

    Only taps (i, j) inside the image count: the padding is −∞ and never wins. Of equal taps the first in row-major
    order wins; of several NaN the last, as in torch.

    Args:
        input: x, images (N, C, H, W), or one image (C, H, W).
        kernel_size: size of the window in taps, one int or (height, width).
        stride: step of the window in pixels; None for the kernel's size.
        padding: pixels on each side, at most half the kernel's size.
        dilation: spacing of the taps in pixels.
        ceil_mode: allow a last window to extend over the edge, if it begins inside the image or its leading
            padding.
        return_indices: whether to return the positions of the maxima as well: int64, h · W + v, of y's shape.

    Returns:
        y (N, C, oh, ow) with oh = ⌊(H + 2·pad − d·(kh−1) − 1) / s⌋ + 1 (⌈·⌉ in ceil_mode), and the pullback
        dy → (dx,). With return_indices, ((y, indices), pullback).

    Raises:
        ValueError: shapes, dtype or options are invalid, or a window covers no pixel at all (torch would return
            −∞ there, and its backward would write outside the image: pytorch#114216).

    Source: K. Yamaguchi et al., A neural network for speaker-independent isolated word recognition (1990).
    """
    check_floats("max_pool2d", input=input)
    x = input
    if x.ndim == 3:
        found, batch_pullback = max_pool2d(
            x[None], kernel_size, stride, padding, dilation, ceil_mode, return_indices
        )
        y = found[0][0] if return_indices else found[0]
        of_one = (y, found[1][0]) if return_indices else y
        return of_one, lambda dy: (batch_pullback(cotangent("max_pool2d", dy, y)[None])[0][0],)
    kernel = pair("max_pool2d", "kernel_size", kernel_size, at_least=1)
    strides = pool_strides("max_pool2d", stride, kernel)
    paddings = pair("max_pool2d", "padding", padding, at_least=0)
    dilations = pair("max_pool2d", "dilation", dilation, at_least=1)
    oh, ow, taps, whole, overlap, tiled = pool_windows(
        "max_pool2d", x.shape, kernel, strides, paddings, dilations, flag("max_pool2d", "ceil_mode", ceil_mode)
    )
    x = batch_last(x)  # one tap of all windows is then one slice, in runs as long as the batch
    # The running maximum after each tap. From these the pullback finds the tap at which y was reached.
    met: list[tuple[Index, Index, Array]] = []
    if not whole:
        y = np.full((len(x), oh, ow, x.shape[3]), -np.inf, dtype=x.dtype)
    for out, into in taps:
        best = np.maximum(y[out], x[into]) if met else x[into].copy()  # NaN stays
        met.append((out, into, best))
        if whole:
            y = best
        else:
            y[out] = best
    if has_negative_zero(x):  # of −0.0 and 0.0 np.maximum may return either; here the first one wins
        for out, into in reversed(taps):
            np.copyto(y[out], x[into], where=(y[out] == 0) & (x[into] == 0))

    def pullback(dy: Array) -> tuple[Array]:
        u = batch_last(cotangent("max_pool2d", dy, batch_first(y)))
        # Where windows tile the image, each pixel is written exactly once, so dx need not start from zeros.
        dx = np.empty(x.shape, dtype=y.dtype) if tiled else np.zeros(x.shape, dtype=y.dtype)
        reached = np.zeros(y.shape, dtype=bool)
        for out, into, best in met:
            now = best == y[out]
            won = now ^ reached[out]  # true only at the tap that reached y first: of equal taps the first wins
            if whole:
                reached = now
            else:
                reached[out] = now
            if overlap:
                dx[into] += select(u[out], won)
            else:  # no other window contains these pixels
                select(u[out], won, out=dx[into])
        if np.count_nonzero(reached) < y.size:  # NaN equals nothing
            waiting = ~reached
            for out, into in reversed(taps):  # the last NaN wins, which is the first one in reversed order
                won = waiting[out] & np.isnan(x[into])
                waiting[out] ^= won
                dx[into] += select(u[out], won)
        return (batch_first(dx),)

    if return_indices:
        pixels = np.arange(x.shape[1] * x.shape[2]).reshape(1, *x.shape[1:3], 1)
        index = np.zeros(y.shape, dtype=np.int64)
        for out, into, best in reversed(met):  # reversed, so that the first tap that reached y is written last
            np.copyto(index[out], pixels[into], where=best == y[out])
        for out, into in taps:  # of several NaN the last one stays
            np.copyto(index[out], pixels[into], where=np.isnan(x[into]))
        return (batch_first(y), batch_first(index)), pullback
    return batch_first(y), pullback


def adaptive_max_pool2d(
    input: Array, output_size: int | tuple[int | None, int | None], return_indices: bool = False
) -> tuple[Any, Pullback]:
    """The maxima of oh × ow windows that cover the image, as `torch.nn.functional.adaptive_max_pool2d`.

        y[n,c,p,q] = max of x[n, c, ⌊p·H/oh⌋ : ⌈(p+1)·H/oh⌉, ⌊q·W/ow⌋ : ⌈(q+1)·W/ow⌉]
        dx[n,c,h,v] = Σ dy[n,c,p,q]        over the windows (p,q) whose maximum is at (h,v)

    Of equal pixels the first in row-major order wins; of several NaN the last.

    Args:
        input: x, images (N, C, H, W), or one image (C, H, W).
        output_size: (oh, ow), or one int for both; None for the input's size.
        return_indices: whether to return the positions of the maxima as well: int64, h · W + v, of y's shape.

    Returns:
        y (N, C, oh, ow), and the pullback dy → (dx,). With return_indices, ((y, indices), pullback).

    Raises:
        ValueError: shapes, dtype or output_size are invalid.

    Source: K. He, X. Zhang, S. Ren and J. Sun, Spatial pyramid pooling in deep convolutional networks (2014).
    """
    name = "adaptive_max_pool2d"
    check_floats(name, input=input)
    x = input
    oh, ow = adaptive_size(name, x.shape, output_size)
    planes = x.reshape(-1, *x.shape[-2:])
    every, index = np.arange(len(planes)), np.zeros((len(planes), oh, ow), dtype=np.int64)
    for p, rows in enumerate(shares(x.shape[-2], oh)):
        for q, columns in enumerate(shares(x.shape[-1], ow)):
            window = planes[:, rows, columns]
            flat = window.reshape(len(planes), window.shape[1] * window.shape[2])
            first = flat.argmax(axis=1)  # of NaN, if there are any
            for plane in np.flatnonzero(np.isnan(flat[every, first])):
                first[plane] = np.flatnonzero(np.isnan(flat[plane]))[-1]
            h, v = np.divmod(first, window.shape[2])
            index[:, p, q] = (rows.start + h) * x.shape[-1] + columns.start + v
    won = index.reshape(len(planes), oh * ow)
    y = planes.reshape(len(planes), x.shape[-2] * x.shape[-1])[every[:, None], won].reshape(*x.shape[:-2], oh, ow)

    def pullback(dy: Array) -> tuple[Array]:
        u = cotangent(name, dy, y).reshape(won.shape)
        dx = np.zeros((len(planes), x.shape[-2] * x.shape[-1]), dtype=x.dtype)
        for place in range(oh * ow):  # one window at a time: += with repeated indices would add only once
            dx[every, won[:, place]] += u[:, place]
        return (dx.reshape(x.shape),)

    return ((y, index.reshape(y.shape)) if return_indices else y), pullback
