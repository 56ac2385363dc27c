"""Pooling: the maximum or the mean of each window."""

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from numpy_cnn.arguments import Array, IntPair, Pullback, check_floats, cotangent, pair
from numpy_cnn.ops.fast.bits import has_negative_zero, select
from numpy_cnn.ops.fast.windows import Axis, batch_first, batch_last

__all__ = ["adaptive_avg_pool2d", "avg_pool2d", "max_pool2d"]

Index: TypeAlias = tuple[slice, slice, slice]


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
    strides = pair("max_pool2d", "stride", kernel if stride is None else stride, at_least=1)
    paddings = pair("max_pool2d", "padding", padding, at_least=0)
    dilations = pair("max_pool2d", "dilation", dilation, at_least=1)
    oh, ow, taps, whole, overlap, tiled = _geometry(
        "max_pool2d", x.shape, kernel, strides, paddings, dilations, bool(ceil_mode)
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


def avg_pool2d(
    input: Array,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> tuple[Array, Pullback]:
    """The mean of each window, as `torch.nn.functional.avg_pool2d`.

        y[n,c,p,q] = Σ_{i,j} x[n, c, p·s − pad + i, q·s − pad + j] / k[p,q]
        dx[n,c,h,v] = Σ dy[n,c,p,q] / k[p,q]        over the windows (p,q) that contain (h,v)

    k is how many pixels the window covers: with `count_include_pad` those of the padding too, but never those
    beyond it.

    Args:
        input: x, images (N, C, H, W), or one image (C, H, W).
        kernel_size: size of the window in pixels, one int or (height, width).
        stride: step of the window in pixels; None for the kernel's size.
        padding: zeros on each side, at most half the kernel's size.
        ceil_mode: allow a last window to extend over the edge, if it begins inside the image or its leading
            padding.
        count_include_pad: whether k counts the padding.
        divisor_override: used in place of every k, or None.

    Returns:
        y (N, C, oh, ow) with oh = ⌊(H + 2·pad − kh) / s⌋ + 1 (⌈·⌉ in ceil_mode), and the pullback dy → (dx,).

    Raises:
        ValueError: shapes, dtype or options are invalid.

    Source: Y. LeCun et al., Gradient-based learning applied to document recognition (1998).
    """
    check_floats("avg_pool2d", input=input)
    x = input
    if x.ndim == 3:
        options = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        y, batch_pullback = avg_pool2d(x[None], *options)
        return y[0], lambda dy: (batch_pullback(cotangent("avg_pool2d", dy, y[0])[None])[0][0],)
    kernel = pair("avg_pool2d", "kernel_size", kernel_size, at_least=1)
    strides = pair("avg_pool2d", "stride", kernel if stride is None else stride, at_least=1)
    paddings = pair("avg_pool2d", "padding", padding, at_least=0)
    if divisor_override is not None and (
        not isinstance(divisor_override, (int, np.integer)) or not divisor_override
    ):
        raise ValueError(f"avg_pool2d: divisor_override must be an int other than 0, got {divisor_override!r}")
    oh, ow, taps, *_ = _geometry("avg_pool2d", x.shape, kernel, strides, paddings, (1, 1), bool(ceil_mode))

    def counts(axis: int, windows: int) -> Array:
        size, k, s, p = x.shape[2 + axis], kernel[axis], strides[axis], paddings[axis]
        start = np.arange(windows) * s - p
        end = np.minimum(start + k, size + p)
        counted = (start, end) if count_include_pad else (np.maximum(start, 0), np.minimum(end, size))
        return np.asarray(counted[1] - counted[0])

    k = np.multiply.outer(counts(0, oh), counts(1, ow))[..., None]
    divisor = (k if divisor_override is None else np.array(divisor_override)).astype(x.dtype)
    x = batch_last(x)
    y = np.zeros((len(x), oh, ow, x.shape[3]), dtype=x.dtype)
    with np.errstate(invalid="ignore"):  # ∞ − ∞ is NaN as in torch, so do not warn
        for out, into in taps:
            y[out] += x[into]
        y /= divisor

    def pullback(dy: Array) -> tuple[Array]:
        u = batch_last(cotangent("avg_pool2d", dy, batch_first(y))) / divisor
        dx = np.zeros(x.shape, dtype=x.dtype)
        with np.errstate(invalid="ignore"):
            for out, into in taps:
                dx[into] += u[out]
        return (batch_first(dx),)

    return batch_first(y), pullback


def adaptive_avg_pool2d(input: Array, output_size: int | tuple[int | None, int | None]) -> tuple[Array, Pullback]:
    """The means of oh × ow windows that cover the image, as `torch.nn.functional.adaptive_avg_pool2d`.

        y[n,c,p,q] = mean of x[n, c, ⌊p·H/oh⌋ : ⌈(p+1)·H/oh⌉, ⌊q·W/ow⌋ : ⌈(q+1)·W/ow⌉]
        dx[n,c,h,v] = Σ dy[n,c,p,q] / k[p,q]        over the windows (p,q) that contain (h,v), of k pixels

    Computed as a sum over columns of sums over rows: oh + ow steps instead of oh · ow.

    Args:
        input: x, images (N, C, H, W), or one image (C, H, W).
        output_size: (oh, ow), or one int for both; None for the input's size.

    Returns:
        y (N, C, oh, ow), and the pullback dy → (dx,).

    Raises:
        ValueError: shapes, dtype or output_size are invalid.

    Source: K. He, X. Zhang, S. Ren and J. Sun, Spatial pyramid pooling in deep convolutional networks (2014).
    """
    check_floats("adaptive_avg_pool2d", input=input)
    x = input
    if x.ndim not in (3, 4) or min(x.shape[-3:]) < 1:
        raise ValueError(f"adaptive_avg_pool2d: expected (N, C, H, W) with C, H and W at least 1, got {x.shape}")
    sizes = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * 2
    if len(sizes) != 2:
        raise ValueError(f"adaptive_avg_pool2d: output_size must be an int or a pair, got {output_size!r}")
    height, width = (side if size is None else size for size, side in zip(sizes, x.shape[-2:], strict=True))
    oh, ow = pair("adaptive_avg_pool2d", "output_size", (height, width), at_least=1)
    rows, columns = shares(x.shape[-2], oh), shares(x.shape[-1], ow)
    k = np.multiply.outer([r.stop - r.start for r in rows], [c.stop - c.start for c in columns]).astype(x.dtype)
    with np.errstate(invalid="ignore"):
        summed = np.stack([x[..., r, :].sum(axis=-2) for r in rows], axis=-2)
        y = np.stack([summed[..., c].sum(axis=-1) for c in columns], axis=-1) / k

    def pullback(dy: Array) -> tuple[Array]:
        u = cotangent("adaptive_avg_pool2d", dy, y) / k
        wide = np.zeros((*u.shape[:-1], x.shape[-1]), dtype=x.dtype)
        dx = np.zeros(x.shape, dtype=x.dtype)
        with np.errstate(invalid="ignore"):
            for q, c in enumerate(columns):
                wide[..., c] += u[..., q, None]
            for p, r in enumerate(rows):
                dx[..., r, :] += wide[..., p, None, :]
        return (dx,)

    return y, pullback


def shares(size: int, windows: int) -> list[slice]:
    """⌊p·size/windows⌋ : ⌈(p+1)·size/windows⌉ for every p."""
    return [slice(p * size // windows, -(-(p + 1) * size // windows)) for p in range(windows)]


@lru_cache
def _geometry(
    op: str,
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    paddings: tuple[int, int],
    dilations: tuple[int, int],
    ceil_mode: bool,
) -> tuple[int, int, tuple[tuple[Index, Index], ...], bool, bool, bool]:
    """Check the arguments, and return (oh, ow, taps, whole, overlap, tiled).

    A tap is (outputs, inputs). `whole`: each tap is inside the image in every window; `overlap`: a pixel may
    belong to several windows; `tiled`: each belongs to exactly one. Cached, because the arguments are the same in
    every training step.
    """
    if len(shape) != 4 or min(shape[1:]) < 1:
        raise ValueError(f"{op}: expected (N, C, H, W) with C, H and W at least 1, got {shape}")

    def along(i: int) -> Axis:
        size, k, s, p, d = shape[2 + i], kernel[i], strides[i], paddings[i], dilations[i]
        name = ("height", "width")[i]
        if 2 * p > k:  # half of the kernel without its dilation, though torch's message says "effective"
            raise ValueError(f"{op}: padding {p} is more than half of the kernel's {name} {k}")
        room = size + 2 * p - d * (k - 1) - 1
        windows = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (windows - 1) * s >= size + p:
            windows -= 1  # the last window would begin beyond the image
        if windows < 1:
            raise ValueError(
                f"{op}: the kernel spans {d * (k - 1) + 1} pixels along the {name}, the padded input only "
                f"{size + 2 * p} (size {size}, padding {p}, dilation {d}): input {shape}"
            )
        axis = Axis(size, windows, k, s, p, d)
        if not axis.taps():  # then it is the only window: another one would begin in the image
            raise ValueError(
                f"{op}: the window along the {name} covers no pixel: its taps start at {-p}, {d} apart, "
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
