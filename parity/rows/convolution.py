"""Convolutions: a row for each."""

from typing import Any, NamedTuple

import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops
from parity.bounds.derived import BoundInputs, ErrorBounds, bilinear
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.primitives import booleans, composite, integers, sampled
from parity.cases.sizes import MANY, RARELY, TIMES, at_most, batch, numbers, pair
from parity.cases.torch_op import Array
from parity.rows.row import Row

KERNELS = sampled((1, 1, 2, 3, 3, 3, 4, 5, 7))  # 3x3 has fast ways of its own: one case in ten
DEEP = sampled(((1, 1), (MANY, 1), (1, MANY), (MANY, 1), (1, MANY)))  # times as many channels, and kernels


class Window(NamedTuple):
    """One axis of a sliding window."""

    size: int
    kernel: int
    stride: int
    padding: int
    dilation: int


@composite
def conv_windows(draw: st.DrawFn) -> Window:
    """An axis of a window and up to 8 pixels more: further windows, or a remainder that the floor drops."""
    kernel, stride, dilation = draw(KERNELS), draw(integers(1, 4)), draw(integers(1, 3))
    more, padding = draw(integers(0, 8)), draw(integers(0, 3))
    if draw(RARELY):  # a single pixel, with so much padding that each tap may meet it
        return Window(1, min(kernel, padding + 1), stride, padding, 1)
    padded = dilation * (kernel - 1) + 1 + more
    padding = min(padding, (padded - 1) // 2)
    return Window(padded - 2 * padding, kernel, stride, padding, dilation)


@composite
def conv2d(draw: st.DrawFn, lane: Lane) -> Case:
    """Non-square images and kernels, strides beyond the kernel, remainders, groups, dilation, no bias."""
    rows, columns = draw(conv_windows()), draw(conv_windows())
    groups, channels, kernels = draw(integers(1, 3)), draw(integers(1, 3)), draw(integers(1, 3))
    mode = draw(sampled(["numbers", "numbers", "numbers", "same", "valid"]))
    padding: Any = pair(draw, rows.padding, columns.padding)
    if mode == "same":
        rows, columns = rows._replace(stride=1), columns._replace(stride=1)
        padding = "same"
    elif mode == "valid":  # the padding becomes part of the image
        rows, columns = (w._replace(size=w.size + 2 * w.padding) for w in (rows, columns))
        padding = "valid"
    few, times, pixels = draw(batch(lane)), draw(TIMES), groups * rows.size * columns.size
    if times > 1:  # then mostly so many more channels, too, or kernels: other ways are fast with them, loops slow
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


def conv2d_bound(s: BoundInputs) -> ErrorBounds:
    """y sums C/g·kh·kw products and the bias, dx at most O/g·kh·kw, dw and db N·oh·ow."""

    def lengths(w: Array, y: Array) -> tuple[int, int, int]:
        taps = w.shape[2] * w.shape[3]
        return w[0].size + 1, w.shape[0] // s.options["groups"] * taps, y[:, 0].size

    return bilinear(s, lengths)


_TAP = "p·s − pad + i·d, q·s − pad + j·d"

ROWS = (
    Row(
        "conv2d",
        ops.conv2d,
        F.conv2d,
        conv2d,
        conv2d_bound,
        formulas={
            "output": f"y[n,o,p,q] = b[o] + Σ_(c,i,j) w[o,c,i,j]·x[n, c, {_TAP}]",
            "grad_input": f"dx[n,c,h,v] = Σ w[o,c,i,j]·dy[n,o,p,q] over all o,i,j,p,q with (h,v) = ({_TAP})",
            "grad_weight": f"dw[o,c,i,j] = Σ_(n,p,q) dy[n,o,p,q]·x[n, c, {_TAP}]",
            "grad_bias": "db[o] = Σ_(n,p,q) dy[n,o,p,q]",
        },
    ),
)
