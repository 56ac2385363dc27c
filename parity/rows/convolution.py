"""Rows for the convolutions."""

from typing import Any, NamedTuple

import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops
from parity.bounds.derived import BoundInputs, ErrorBounds, bilinear
from parity.bounds.fast import by_transforms
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.op import Array
from parity.cases.primitives import booleans, composite, integers, sampled
from parity.cases.sizes import FLAT, HUGE, LONG, MANY, RARELY, SELDOM, TIMES, at_most, batch, extent, numbers, pair
from parity.rows.row import Row

KERNELS = sampled((1, 1, 2, 3, 3, 3, 4, 5, 7))  # 3x3 has its own fast paths: one case in ten
STRIDES, GROUPS = sampled((1, 2, 3, 4)), sampled((1, 2, 3))
FAST = sampled(("", "", "", "pointwise", "rows"))  # geometries for which numpy_cnn has a faster path than patches
DEEP = sampled(
    ((1, 1), (MANY, 1), (1, MANY), (MANY, 1), (1, MANY))
)  # factors for the numbers of channels and of kernels


class Window(NamedTuple):
    """One axis of a sliding window."""

    size: int
    kernel: int
    stride: int
    padding: int
    dilation: int


@composite
def conv_windows(draw: st.DrawFn, long: bool = False) -> Window:
    """An axis of one window and up to 8 more pixels: further windows, or a remainder that is dropped."""
    kernel, stride, dilation = draw(KERNELS), draw(STRIDES), draw(sampled((1, 2, 3)))
    more, padding = draw(integers(0, 8)), draw(integers(0, 3))
    if long:
        return Window(max(draw(LONG), dilation * (kernel - 1) + 1), kernel, stride, padding, dilation)
    if draw(RARELY):  # a single pixel, with enough padding for each tap to cover it
        return Window(1, min(kernel, padding + 1), stride, padding, 1)
    padded = dilation * (kernel - 1) + 1 + more
    padding = min(padding, (padded - 1) // 2)
    return Window(padded - 2 * padding, kernel, stride, padding, dilation)


def by_default(window: Window) -> Window:
    """The same axis with stride 1, no padding and no dilation; it still has as many pixels as the kernel."""
    return Window(max(window.size, window.kernel), window.kernel, 1, 0, 1)


def fast_window(path: str, size: int) -> Window:
    """A short axis for a path of `FAST`."""
    kernel = 1 if path == "pointwise" else 3
    return Window(min(size, 6), kernel, 1, kernel // 2, 1)


@composite
def conv2d(draw: st.DrawFn, lane: Lane) -> Case:
    """Non-square images and kernels, strides beyond the kernel, remainders, groups, dilation, no bias."""
    # The special lane takes rare paths more often, because they are where mistakes with special values would be.
    fast = draw(FAST) if lane == "special" else ""
    long = draw(RARELY) and not fast  # a row of pixels, of one channel to keep it cheap
    rows, columns = draw(conv_windows()), draw(conv_windows(long))
    groups, channels, kernels = draw(GROUPS), draw(extent(3)), draw(extent(3))
    few, times = draw(batch(lane)), draw(TIMES)
    plain = draw(SELDOM) and not fast  # all options at their defaults
    if plain:
        rows, columns, groups = by_default(rows), by_default(columns), 1
    if long:
        groups = channels = 1
    if columns.size >= HUGE:
        rows, columns = Window(1, 1, 1, 0, 1), columns._replace(size=FLAT)  # indices of pixels are flat
        kernels, few, times = 1, min(few, 1), 1
    if fast:
        rows, columns = fast_window(fast, rows.size), fast_window(fast, columns.size)
    mode = "numbers" if fast or plain else draw(sampled(["numbers", "numbers", "numbers", "same", "valid"]))
    padding: Any = pair(draw, rows.padding, columns.padding)
    if mode == "same":
        rows, columns = rows._replace(stride=1), columns._replace(stride=1)
        padding = "same"
    elif mode == "valid":  # the padding becomes part of the image
        rows, columns = (w._replace(size=w.size + 2 * w.padding) for w in (rows, columns))
        padding = "valid"
    pixels = groups * rows.size * columns.size
    if fast == "rows":  # this path is for many images with many channels
        times, channels, kernels = MANY, MANY * channels, MANY * kernels
    elif times > 1:  # usually with many channels or kernels too, for which other paths are fast
        more_channels, more_kernels = draw(DEEP)
        channels = at_most(channels, more_channels, pixels * max(1, few))
        kernels = at_most(kernels, more_kernels, groups * channels * rows.kernel * columns.kernel)
    images = at_most(few, times, channels * pixels)
    arrays = (
        ArraySpec("input", (images, channels * groups, rows.size, columns.size)),
        ArraySpec("weight", (kernels * groups, channels, rows.kernel, columns.kernel)),
        ArraySpec("bias", (kernels * groups,) if draw(booleans) else None),
    )
    options = {
        "stride": pair(draw, rows.stride, columns.stride),
        "padding": padding,
        "dilation": pair(draw, rows.dilation, columns.dilation),
        "groups": groups,
    }
    return Case("conv2d", arrays, options, *numbers(draw))


@composite
def conv1d(draw: st.DrawFn, lane: Lane) -> Case:
    """Sequences with strides, padding, dilation and groups."""
    fast = draw(FAST) if lane == "special" else ""
    long = draw(RARELY) and not fast
    window = draw(conv_windows(long))
    groups, channels, kernels = draw(GROUPS), draw(extent(3)), draw(extent(3))
    plain = draw(SELDOM) and not fast
    if plain:
        window, groups = by_default(window), 1
    if long:
        groups = channels = 1
    if fast:
        window = fast_window(fast, window.size)
    mode = "numbers" if fast or plain else draw(sampled(["numbers", "numbers", "same", "valid"]))
    padding: Any = window.padding
    if mode == "same":
        window, padding = window._replace(stride=1), "same"
    elif mode == "valid":
        window, padding = window._replace(size=window.size + 2 * window.padding), "valid"
    few, times = draw(batch(lane)), draw(TIMES)
    if fast == "rows":
        times, channels, kernels = MANY, MANY * channels, MANY * kernels
    if window.size >= HUGE:
        few, times = min(few, 1), 1  # more would not be exact
    samples = at_most(few, times, channels * groups * window.size)
    arrays = (
        ArraySpec("input", (samples, channels * groups, window.size)),
        ArraySpec("weight", (kernels * groups, channels, window.kernel)),
        ArraySpec("bias", (kernels * groups,) if draw(booleans) else None),
    )
    options = {"stride": window.stride, "padding": padding, "dilation": window.dilation, "groups": groups}
    return Case("conv1d", arrays, options, *numbers(draw))


@composite
def _transposed_windows(draw: st.DrawFn, long: bool = False) -> tuple[Window, int]:
    """An axis of the small image (`size`) and its output padding; the output has at least one pixel."""
    size, kernel, stride, dilation = (
        draw(LONG if long else extent(5)),
        draw(KERNELS),
        draw(sampled((1, 2, 3))),
        draw(sampled((1, 2, 3))),
    )
    extra = min(draw(integers(0, 2)), max(stride, dilation) - 1)
    full = (size - 1) * stride + dilation * (kernel - 1) + extra + 1
    return Window(size, kernel, stride, min(draw(integers(0, 3)), (full - 1) // 2), dilation), extra


@composite
def conv_transpose2d(draw: st.DrawFn, lane: Lane) -> Case:
    """Strides below and above the kernel, output padding, dilation, groups, no bias."""
    fast = draw(FAST) if lane == "special" else ""
    long = draw(RARELY) and not fast  # a row of pixels, of one channel to keep it cheap
    (rows, more_rows), (columns, more_columns) = draw(_transposed_windows()), draw(_transposed_windows(long))
    if fast:
        rows, columns = fast_window(fast, rows.size), fast_window(fast, columns.size)
        more_rows = more_columns = 0
    groups, channels, kernels = draw(GROUPS), draw(extent(3)), draw(extent(3))
    few, times = draw(batch(lane)), draw(TIMES)
    if draw(SELDOM) and not fast:  # all options at their defaults
        rows, columns, groups, more_rows, more_columns = by_default(rows), by_default(columns), 1, 0, 0
    if long:
        groups = channels = times = 1
    if columns.size >= HUGE:
        rows, more_rows, kernels, few = Window(1, 1, 1, 0, 1), 0, 1, min(few, 1)
    if fast == "rows":
        times, channels, kernels = MANY, MANY * channels, MANY * kernels
    elif times > 1:  # usually with more channels too, for which other paths are fast
        channels, kernels = (size * more for size, more in zip((channels, kernels), draw(DEEP), strict=True))
    larger = 1 if fast else 20  # factor by which the output may exceed the input
    samples = at_most(few, times, groups * max(channels, kernels) * rows.size * columns.size * larger)
    arrays = (
        ArraySpec("input", (samples, kernels * groups, rows.size, columns.size)),
        ArraySpec("weight", (kernels * groups, channels, rows.kernel, columns.kernel)),
        ArraySpec("bias", (channels * groups,) if draw(booleans) else None),
    )
    options = {
        "stride": pair(draw, rows.stride, columns.stride),
        "padding": pair(draw, rows.padding, columns.padding),
        "output_padding": pair(draw, more_rows, more_columns),
        "groups": groups,
        "dilation": pair(draw, rows.dilation, columns.dilation),
    }
    return Case("conv_transpose2d", arrays, options, *numbers(draw, draw(integers(1, 4))))


def conv2d_bound(s: BoundInputs) -> ErrorBounds:
    """y sums C/g·kh·kw products and the bias, dx at most O/g·kh·kw, dw and db N·oh·ow."""

    def lengths(w: Array, y: Array) -> tuple[int, int, int]:
        taps = w.shape[2] * w.shape[3]
        return w[0].size + 1, w.shape[0] // s.options["groups"] * taps, y[:, 0].size

    return bilinear(s, lengths)


def conv1d_bound(s: BoundInputs) -> ErrorBounds:
    """As for conv2d, with k taps."""

    def lengths(w: Array, y: Array) -> tuple[int, int, int]:
        return w[0].size + 1, w.shape[0] // s.options["groups"] * w.shape[2], y[:, 0].size

    return bilinear(s, lengths)


def conv_transpose2d_bound(s: BoundInputs) -> ErrorBounds:
    """y sums at most O/g·kh·kw products and the bias, dx C/g·kh·kw, dw N·H·W, and db N·oh·ow."""

    def lengths(w: Array, y: Array) -> tuple[int, int, int]:
        taps = w.shape[2] * w.shape[3]
        return w.shape[0] // s.options["groups"] * taps + 1, w[0].size, y[:, 0].size

    return bilinear(s, lengths)


_TAP = "p·s − pad + i·d, q·s − pad + j·d"

ROWS = (
    Row(
        "conv2d",
        ops.conv2d,
        F.conv2d,
        conv2d,
        conv2d_bound,
        bilinear=True,
        fast=by_transforms,
        formulas={
            "output": f"y[n,o,p,q] = b[o] + Σ_(c,i,j) w[o,c,i,j]·x[n, c, {_TAP}]",
            "grad_input": f"dx[n,c,h,v] = Σ w[o,c,i,j]·dy[n,o,p,q] over all o,i,j,p,q with (h,v) = ({_TAP})",
            "grad_weight": f"dw[o,c,i,j] = Σ_(n,p,q) dy[n,o,p,q]·x[n, c, {_TAP}]",
            "grad_bias": "db[o] = Σ_(n,p,q) dy[n,o,p,q]",
        },
    ),
    Row(
        "conv1d",
        ops.conv1d,
        F.conv1d,
        conv1d,
        conv1d_bound,
        bilinear=True,
        fast=by_transforms,
        formulas={
            "output": "y[n,o,p] = b[o] + Σ_(c,i) w[o,c,i]·x[n, c, p·s − pad + i·d]",
            "grad_input": "dx[n,c,h] = Σ w[o,c,i]·dy[n,o,p] over all o,i,p with h = p·s − pad + i·d",
            "grad_weight": "dw[o,c,i] = Σ_(n,p) dy[n,o,p]·x[n, c, p·s − pad + i·d]",
            "grad_bias": "db[o] = Σ_(n,p) dy[n,o,p]",
        },
    ),
    Row(
        "conv_transpose2d",
        ops.conv_transpose2d,
        F.conv_transpose2d,
        conv_transpose2d,
        conv_transpose2d_bound,
        bilinear=True,
        fast=by_transforms,
        formulas={
            "output": f"y[n,c,h,v] = b[c] + Σ w[o,c,i,j]·x[n,o,p,q] over all o,i,j,p,q with (h,v) = ({_TAP})",
            "grad_input": f"dx[n,o,p,q] = Σ_(c,i,j) w[o,c,i,j]·dy[n, c, {_TAP}]",
            "grad_weight": f"dw[o,c,i,j] = Σ_(n,p,q) x[n,o,p,q]·dy[n, c, {_TAP}]",
            "grad_bias": "db[c] = Σ_(n,h,v) dy[n,c,h,v]",
        },
    ),
)
