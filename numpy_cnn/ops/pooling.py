"""Pooling over windows."""

from collections.abc import Callable

import numpy as np

from numpy_cnn.ops.arguments import Array, IntPair, Pullback, check_floats, cotangent, pair
from numpy_cnn.ops.layout import batch_first, batch_last
from numpy_cnn.ops.masks import choose, keep
from numpy_cnn.ops.windows import Axis


def max_pool2d(
    x: Array,
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
        x: images (N, C, H, W), or one image (C, H, W).
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
    check_floats("max_pool2d", x=x)
    if x.ndim == 3:
        y, batch_pullback = max_pool2d(x[None], kernel_size, stride, padding, dilation, ceil_mode)
        return y[0], lambda dy: (batch_pullback(cotangent("max_pool2d", dy, y[0])[None])[0][0],)
    rows, columns = _axes(x, kernel_size, stride, padding, dilation, ceil_mode)
    # The maximum of a window is the maximum of its rows' maxima. The first row that reaches it, and in that row
    # the first tap that does, is the first tap in row-major order; the other way round ties would break otherwise.
    of_rows, rows_pullback = _max_pool(batch_last(x), 2, columns)
    y, columns_pullback = _max_pool(of_rows, 1, rows)

    def pullback(dy: Array) -> tuple[Array]:
        u = batch_last(cotangent("max_pool2d", dy, batch_first(y)))
        return (batch_first(rows_pullback(columns_pullback(u))),)

    return batch_first(y), pullback


def _max_pool(x: Array, along: int, windows: Axis) -> tuple[Array, Callable[[Array], Array]]:
    """The largest value of the windows along one axis of x, and where its gradient goes."""
    before = (slice(None),) * along
    taps = [((*before, outputs), (*before, inputs)) for _, outputs, inputs in windows.taps()]
    y = np.full((*x.shape[:along], windows.windows, *x.shape[along + 1 :]), -np.inf, dtype=x.dtype)
    y[taps[0][0]] = x[taps[0][1]]
    for out, into in taps[1:]:
        # Greater and not np.maximum, which may answer either of −0.0 and 0.0: the first tap has the say in a tie.
        choose((x[into] > y[out]) | np.isnan(x[into]), x[into], out=y[out])

    def pullback(dy: Array) -> Array:
        dx = np.zeros(x.shape, dtype=x.dtype)
        nan = np.isnan(y)
        waiting = ~nan  # windows whose winner is not found yet
        for out, into in taps:
            won = x[into] == y[out]
            won &= waiting[out]
            waiting[out] ^= won
            dx[into] += keep(dy[out], won)
        if nan.any():
            for out, into in reversed(taps):  # the last NaN wins, so the first met from behind
                won = nan[out] & np.isnan(x[into])
                nan[out] ^= won
                dx[into] += keep(dy[out], won)
        return dx

    return y, pullback


def _axes(
    x: Array,
    kernel_size: IntPair,
    stride: IntPair | None,
    padding: IntPair,
    dilation: IntPair,
    ceil_mode: bool,
) -> tuple[Axis, Axis]:
    """The windows along height and width, once everything is known to fit."""
    if x.ndim != 4 or min(x.shape[1:]) < 1:
        raise ValueError(f"max_pool2d: expected (N, C, H, W) with C, H and W at least 1, got {x.shape}")
    kernel = pair("max_pool2d", "kernel_size", kernel_size, at_least=1)
    strides = pair("max_pool2d", "stride", kernel if stride is None else stride, at_least=1)
    paddings = pair("max_pool2d", "padding", padding, at_least=0)
    dilations = pair("max_pool2d", "dilation", dilation, at_least=1)

    def along(i: int) -> Axis:
        size, k, s, p, d = x.shape[2 + i], kernel[i], strides[i], paddings[i], dilations[i]
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
                f"{size + 2 * p} (size {size}, padding {p}, dilation {d}): input {x.shape}"
            )
        axis = Axis(size, windows, k, s, p, d)
        met = {o for _, out, _ in axis.taps() for o in range(out.start, out.stop)}
        if len(met) < windows:
            missed = min(set(range(windows)) - met)
            raise ValueError(
                f"max_pool2d: window {missed} along the {name} meets no pixel: its taps lie {d} apart from "
                f"{missed * s - p} on, the image has {size} (kernel {k}, stride {s}, padding {p})"
            )
        return axis

    return along(0), along(1)
