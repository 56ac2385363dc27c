"""Average pooling: the mean of each window."""

import numpy as np

from numpy_cnn.arguments import Array, IntPair, Pullback, check_floats, cotangent, flag, integer, pair
from numpy_cnn.ops.fast.pool_windows import adaptive_size, pool_strides, pool_windows, shares
from numpy_cnn.ops.fast.windows import batch_first, batch_last

__all__ = ["adaptive_avg_pool2d", "avg_pool2d"]


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

    k is the number of pixels that the window covers: with `count_include_pad` also those of the padding, but never
    those beyond it.

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
    strides = pool_strides("avg_pool2d", stride, kernel)
    paddings = pair("avg_pool2d", "padding", padding, at_least=0)
    if divisor_override is not None and not integer("avg_pool2d", "divisor_override", divisor_override):
        raise ValueError(f"avg_pool2d: divisor_override must be an int other than 0, got {divisor_override!r}")
    flag("avg_pool2d", "count_include_pad", count_include_pad)
    beyond = flag("avg_pool2d", "ceil_mode", ceil_mode)
    oh, ow, taps, *_ = pool_windows("avg_pool2d", x.shape, kernel, strides, paddings, (1, 1), beyond)

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
    oh, ow = adaptive_size("adaptive_avg_pool2d", x.shape, output_size)
    rows, columns = shares(x.shape[-2], oh), shares(x.shape[-1], ow)
    k = np.multiply.outer([r.stop - r.start for r in rows], [c.stop - c.start for c in columns]).astype(x.dtype)
    with np.errstate(invalid="ignore"):
        # einsum takes a third of the time of sum over short axes.
        summed = np.stack([np.einsum("...hw->...w", x[..., r, :]) for r in rows], axis=-2)
        y = np.stack([np.einsum("...w->...", summed[..., c]) for c in columns], axis=-1) / k

    def pullback(dy: Array) -> tuple[Array]:
        u = cotangent("adaptive_avg_pool2d", dy, y) / k
        with np.errstate(invalid="ignore"):
            return (_spread(_spread(u, columns, x.ndim - 1), rows, x.ndim - 2),)

    return y, pullback


def _spread(u: Array, windows: list[slice], axis: int) -> Array:
    """Σ u[p] over the windows p that contain an entry, for each entry of an axis; those windows are neighbours."""
    starts, stops = np.array([w.start for w in windows]), np.array([w.stop for w in windows])
    entry = np.arange(stops[-1])
    first = np.searchsorted(stops, entry, "right")
    count = np.searchsorted(starts, entry, "right") - first
    found = u.take(first, axis)
    for place in range(1, count.max()):
        some = np.flatnonzero(count > place)
        found[(slice(None),) * axis + (some,)] += u.take(first[some] + place, axis)
    return found
