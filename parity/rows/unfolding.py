"""Rows for im2col and col2im."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops
from parity.bounds.derived import BoundInputs, ErrorBounds, gamma
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.primitives import composite
from parity.cases.sizes import HUGE, RARELY, SELDOM, batch, extent, numbers, pair
from parity.rows.convolution import Window, by_default, conv_windows
from parity.rows.row import Row


@composite
def _windows(draw: st.DrawFn, row: str, lane: Lane) -> Case:
    """Windows apart and overlapping, padding, dilation, pixels that no window meets."""
    long = draw(RARELY)
    rows, columns = draw(conv_windows()), draw(conv_windows(long))
    channels, samples = 1 if long else draw(extent(3)), draw(batch(lane))
    if draw(SELDOM):  # all options at their defaults
        rows, columns = by_default(rows), by_default(columns)
    if long:  # more would not be exact
        rows = Window(1, 1, 1, 0, 1)
    if columns.size >= HUGE:
        columns, samples = Window(columns.size, 1, columns.stride, 0, 1), min(samples, 1)
    options: dict[str, Any] = {
        "kernel_size": pair(draw, rows.kernel, columns.kernel),
        "dilation": pair(draw, rows.dilation, columns.dilation),
        "padding": pair(draw, rows.padding, columns.padding),
        "stride": pair(draw, rows.stride, columns.stride),
    }
    size = rows.size, columns.size
    if row == "fold":
        options = {"output_size": pair(draw, *size), **options}
    shape = (channels, *size) if row == "unfold" else columns_of(channels, size, rows, columns)
    return Case(row, (ArraySpec("input", (samples, *shape)),), options, *numbers(draw))


def columns_of(channels: int, size: Sequence[int], rows: Window, columns: Window) -> tuple[int, int]:
    """The shape of an image's columns: channels and taps, windows."""
    windows = (
        (pixels + 2 * w.padding - w.dilation * (w.kernel - 1) - 1) // w.stride + 1
        for pixels, w in zip(size, (rows, columns), strict=True)
    )
    down, along = windows
    return channels * rows.kernel * columns.kernel, down * along


def unfold_bound(s: BoundInputs) -> ErrorBounds:
    """y copies; dx sums over the taps that meet a pixel, at most kh·kw."""
    y, pullback = s.op(*s.arrays, **s.options)
    (dx,) = pullback(np.abs(s.dy))
    return np.zeros_like(y), (gamma(_taps(s), s.u) * dx,)


def fold_bound(s: BoundInputs) -> ErrorBounds:
    """y sums over the taps that meet a pixel, at most kh·kw; dx copies."""
    x = s.arrays[0]
    assert x is not None
    y, _ = s.op(np.abs(x), **s.options)
    return gamma(_taps(s), s.u) * y, (np.zeros_like(x),)


def _taps(s: BoundInputs) -> int:
    kernel = s.options["kernel_size"]
    return int(kernel**2 if isinstance(kernel, int) else kernel[0] * kernel[1])


ROWS = (
    Row(
        "unfold",
        ops.unfold,
        F.unfold,
        partial(_windows, "unfold"),
        unfold_bound,
        formulas={
            "output": "y[n, (c·kh + i)·kw + j, p·ow + q] = x[n, c, p·s − pad + i·d, q·s − pad + j·d]",
            "grad_input": "dx = fold(dy): the sum over the taps (i,j) and windows (p,q) that meet a pixel",
        },
        selects=True,
    ),
    Row(
        "fold",
        ops.fold,
        F.fold,
        partial(_windows, "fold"),
        fold_bound,
        formulas={
            "output": "y[n,c,h,v] = Σ x[n, (c·kh + i)·kw + j, p·ow + q] over the taps (i,j) that meet the pixel",
            "grad_input": "dx = unfold(dy): each number is the cotangent of its pixel",
        },
    ),
)
