"""Pooling over windows."""

from functools import lru_cache
from typing import TypeAlias

import numpy as np

from numpy_cnn.arguments import Array, IntPair, Pullback, check_floats, cotangent, pair
from numpy_cnn.ops.fast.bits import has_negative_zero, select
from numpy_cnn.ops.fast.windows import Axis, batch_first, batch_last

__all__ = ["max_pool2d"]

Index: TypeAlias = tuple[slice, slice, slice]


def max_pool2d(
    input: Array,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
) -> tuple[Array, Pullback]:
    """Take the largest value of each window, as `torch.nn.functional.max_pool2d`.

        y[n,c,p,q] = max_{i,j} x[n, c, p·s − pad + i·d, q·s − pad + j·d]

    over the taps (i, j) inside the image: the padding is −∞ and never wins. All of dy[n,c,p,q] goes to the one
    tap that won. Of equal taps the first in row-major order wins; of several NaN the last, as in torch.

    Args:
        input: x, images (N, C, H, W), or one image (C, H, W).
        kernel_size: size of the window in taps, one int or (height, width).
        stride: step of the window in pixels; None for the kernel's size.
        padding: pixels on each side, at most half the kernel's size.
        dilation: distance of neighbouring taps in pixels.
        ceil_mode: let a last window reach over the edge, if it begins inside the image or its leading padding.

    Returns:
        y (N, C, oh, ow) with oh = ⌊(H + 2·pad − d·(kh−1) − 1) / s⌋ + 1 (⌈·⌉ in ceil_mode), and the pullback
        dy → (dx,).

    Raises:
        ValueError: shapes, dtype or options do not fit, or a window meets no pixel at all (torch would answer
            −∞ there, and its backward would write outside of the image: pytorch#114216).
    """
    check_floats("max_pool2d", input=input)
    x = input
    if x.ndim == 3:
        y, batch_pullback = max_pool2d(x[None], kernel_size, stride, padding, dilation, ceil_mode)
        return y[0], lambda dy: (batch_pullback(cotangent("max_pool2d", dy, y[0])[None])[0][0],)
    kernel = pair("max_pool2d", "kernel_size", kernel_size, at_least=1)
    strides = pair("max_pool2d", "stride", kernel if stride is None else stride, at_least=1)
    paddings = pair("max_pool2d", "padding", padding, at_least=0)
    dilations = pair("max_pool2d", "dilation", dilation, at_least=1)
    oh, ow, taps, whole, overlap, tiled = _geometry(x.shape, kernel, strides, paddings, dilations, bool(ceil_mode))
    x = batch_last(x)  # every tap of all windows is then one slice, of runs as long as the batch
    # The largest so far, after each tap. They are kept: on the way back they tell at which tap y was reached.
    met: list[tuple[Index, Index, Array]] = []
    if not whole:
        y = np.full((len(x), oh, ow, x.shape[3]), -np.inf, dtype=x.dtype)
    for out, into in taps:
        best = np.maximum(y[out], x[into]) if met else x[into].copy()  # NaN, once there, stays
        met.append((out, into, best))
        if whole:
            y = best
        else:
            y[out] = best
    if has_negative_zero(x):  # of −0.0 and 0.0 np.maximum may answer either; the first one has the say
        for out, into in reversed(taps):
            np.copyto(y[out], x[into], where=(y[out] == 0) & (x[into] == 0))

    def pullback(dy: Array) -> tuple[Array]:
        u = batch_last(cotangent("max_pool2d", dy, batch_first(y)))
        # Where windows tile the image each pixel is written to once, and zeros to begin with would be for nothing.
        dx = np.empty(x.shape, dtype=y.dtype) if tiled else np.zeros(x.shape, dtype=y.dtype)
        reached = np.zeros(y.shape, dtype=bool)
        for out, into, best in met:
            now = best == y[out]
            won = now ^ reached[out]  # once reached y stays so: of those that tie the first wins
            if whole:
                reached = now
            else:
                reached[out] = now
            if overlap:
                dx[into] += select(u[out], won)
            else:  # nobody else wrote there
                select(u[out], won, out=dx[into])
        if np.count_nonzero(reached) < y.size:  # NaN equals nothing
            waiting = ~reached
            for out, into in reversed(taps):  # its last one wins, so the first met from behind
                won = waiting[out] & np.isnan(x[into])
                waiting[out] ^= won
                dx[into] += select(u[out], won)
        return (batch_first(dx),)

    return batch_first(y), pullback


@lru_cache
def _geometry(
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    paddings: tuple[int, int],
    dilations: tuple[int, int],
    ceil_mode: bool,
) -> tuple[int, int, tuple[tuple[Index, Index], ...], bool, bool, bool]:
    """(oh, ow, taps, whole, overlap, tiled), once everything is known to fit.

    A tap is (outputs, inputs). `whole` says that each tap meets every window, `overlap` that a pixel may lie in
    several windows, `tiled` that each lies in just one. All is the same in every step of a training, and so kept.
    """
    if len(shape) != 4 or min(shape[1:]) < 1:
        raise ValueError(f"max_pool2d: expected (N, C, H, W) with C, H and W at least 1, got {shape}")

    def along(i: int) -> Axis:
        size, k, s, p, d = shape[2 + i], kernel[i], strides[i], paddings[i], dilations[i]
        name = ("height", "width")[i]
        if 2 * p > k:  # half of the kernel without its dilation, though torch's message says "effective"
            raise ValueError(f"max_pool2d: padding {p} is more than half of the kernel's {name} {k}")
        room = size + 2 * p - d * (k - 1) - 1
        windows = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (windows - 1) * s >= size + p:
            windows -= 1  # the last window would begin behind the image
        if windows < 1:
            raise ValueError(
                f"max_pool2d: the kernel spans {d * (k - 1) + 1} pixels along the {name}, the padded input only "
                f"{size + 2 * p} (size {size}, padding {p}, dilation {d}): input {shape}"
            )
        axis = Axis(size, windows, k, s, p, d)
        if not axis.taps():  # then it is the only window: another would begin in the image
            raise ValueError(
                f"max_pool2d: the window along the {name} meets no pixel: its taps lie {d} apart from {-p} on, "
                f"the image has {size} (kernel {k}, stride {s}, padding {p})"
            )
        return axis

    rows, columns = along(0), along(1)
    taps = tuple(
        ((slice(None), out_rows, out_columns), (slice(None), in_rows, in_columns))
        for _, out_rows, in_rows in rows.taps()
        for _, out_columns, in_columns in columns.taps()
    )  # row-major
    oh, ow = rows.windows, columns.windows
    whole = all(out == (slice(None), slice(0, oh), slice(0, ow)) for out, _ in taps)
    overlap = rows.overlap or columns.overlap
    tiled = whole and not overlap and len(taps) * oh * ow == shape[2] * shape[3]
    return oh, ow, taps, whole, overlap, tiled
