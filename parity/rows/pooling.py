"""Rows for the poolings."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops
from parity.bounds.derived import BoundInputs, ErrorBounds, copies, gamma
from parity.bounds.fast import by_running_sums
from parity.cases.case import ArraySpec, Case, Kind, Lane
from parity.cases.inputs import conflicts
from parity.cases.primitives import booleans, composite, integers, sampled
from parity.cases.sizes import HUGE, LONG, RARELY, SELDOM, TAILS, batch, extent, images, numbers, pair
from parity.rows.convolution import STRIDES, Window, by_default
from parity.rows.row import INEXACT, Row

MANY_TAPS = (129, 257)
NEAR: tuple[Kind, ...] = ("real", "near")
LARGE = 2**17  # beyond the numbers, such as −10⁵, from which a search for a maximum may start


@composite
def kernels(draw: st.DrawFn) -> int:
    """One side of a window; rarely so long that a square window exceeds a 7-bit or 8-bit index."""
    return draw(sampled((12, 17)) if draw(RARELY) and draw(RARELY) else extent(7))


@composite
def pool_windows(draw: st.DrawFn, ceil_mode: bool, long: bool = False) -> Window:
    """The same for pooling: padding up to half of the kernel; in ceil_mode windows may extend past the edge."""
    kernel, stride, dilation = draw(kernels()), draw(STRIDES), draw(sampled((1, 2, 3)))
    span, more = dilation * (kernel - 1) + 1, draw(integers(-3, 8))
    if long:
        return draw(long_window(kernel, stride, dilation))
    # In ceil_mode even a single window may extend past the edge, by fewer pixels than the stride.
    padded = max(span + more, 1, span - (stride - 1 if ceil_mode else 0))
    padding = min(draw(integers(0, 2)), kernel // 2, (padded - 1) // 2)
    if dilation > padded - 2 * padding:
        padding = 0  # otherwise a window could skip the whole image, which max_pool2d rejects
    return Window(padded - 2 * padding, kernel, stride, padding, dilation)


@composite
def long_window(draw: st.DrawFn, kernel: int, stride: int, dilation: int) -> Window:
    """A long axis; rarely a window that exceeds a 7-bit or 8-bit index."""
    kernel = draw(sampled((kernel, kernel, *MANY_TAPS)))
    dilation = 1 if kernel in MANY_TAPS else dilation
    return Window(max(draw(LONG), dilation * (kernel - 1) + 1), kernel, stride, 0, dilation)


@composite
def max_pool2d(draw: st.DrawFn, lane: Lane) -> Case:
    """Windows apart, adjacent and overlapping; padding, dilation, ceil_mode; ties, because values are few."""
    ceil_mode = draw(booleans)
    long = draw(RARELY)
    rows, columns = draw(pool_windows(ceil_mode)), draw(pool_windows(ceil_mode, long))
    if columns.size >= HUGE:
        rows = Window(1, 1, 1, 0, 1)
    plain = draw(SELDOM)  # all options at their defaults
    if plain:
        rows, columns, ceil_mode = by_default(rows), by_default(columns), False
    kernel = pair(draw, rows.kernel, columns.kernel)
    options: dict[str, Any] = {
        "kernel_size": kernel,
        "stride": pair(draw, rows.stride, columns.stride),
        "padding": pair(draw, rows.padding, columns.padding),
        "dilation": pair(draw, rows.dilation, columns.dilation),
        "ceil_mode": ceil_mode,
    }
    if plain or (rows.stride, columns.stride) == (rows.kernel, columns.kernel):
        options["stride"] = None
    channels = 1 if long else draw(extent(3))
    samples = images(draw, lane, channels * rows.size * columns.size)
    image = ArraySpec("input", (samples, channels, rows.size, columns.size), maxima(draw, lane))
    return rarely_large(draw, Case("max_pool2d", (image,), options, *numbers(draw)))


@composite
def avg_pool2d(draw: st.DrawFn, lane: Lane) -> Case:
    """Windows apart, adjacent and overlapping; padding counted or not, ceil_mode, a given divisor."""
    ceil_mode = draw(booleans)
    long = draw(RARELY)
    rows, columns = draw(avg_windows(ceil_mode)), draw(avg_windows(ceil_mode, long))
    if columns.size >= HUGE:
        rows = Window(1, 1, 1, 0, 1)
    plain = draw(SELDOM)
    if plain:
        rows, columns, ceil_mode = by_default(rows), by_default(columns), False
    options: dict[str, Any] = {
        "kernel_size": pair(draw, rows.kernel, columns.kernel),
        "stride": pair(draw, rows.stride, columns.stride),
        "padding": pair(draw, rows.padding, columns.padding),
        "ceil_mode": ceil_mode,
        "count_include_pad": draw(booleans),
        "divisor_override": draw(sampled([None, None, 3, -2])),
    }
    if plain:
        options |= {"count_include_pad": True, "divisor_override": None}
    if plain or (rows.stride, columns.stride) == (rows.kernel, columns.kernel):
        options["stride"] = None
    channels = 1 if long else draw(extent(3))
    samples = images(draw, lane, channels * rows.size * columns.size)
    image = ArraySpec("input", (samples, channels, rows.size, columns.size))
    return Case("avg_pool2d", (image,), options, *numbers(draw))


@composite
def avg_windows(draw: st.DrawFn, ceil_mode: bool, long: bool = False) -> Window:
    """As for max-pooling, without dilation."""
    kernel, stride = draw(kernels()), draw(STRIDES)
    if long:
        return draw(long_window(kernel, stride, 1))
    more = draw(integers(-3, 8))
    padded = max(kernel + more, 1, kernel - (stride - 1 if ceil_mode else 0))
    padding = min(draw(integers(0, 2)), kernel // 2, (padded - 1) // 2)
    return Window(padded - 2 * padding, kernel, stride, padding, 1)


@composite
def adaptive_avg_pool2d(draw: st.DrawFn, lane: Lane) -> Case:
    """Fewer windows than pixels, equally many, or more; one size for both axes, or None for the input's."""
    height, width = draw(extent(9)), draw(LONG if draw(RARELY) else extent(9))
    size = draw(extent(9)), draw(sampled(TAILS) if draw(RARELY) else extent(9))
    height = 1 if width == HUGE else height
    output_size = draw(sampled([size, size, size[0], (None, size[1]), (size[0], None)]))
    channels = min(draw(extent(3)), 1 if width == HUGE else 3)
    image = ArraySpec("input", (images(draw, lane, channels * height * width), channels, height, width))
    return Case("adaptive_avg_pool2d", (image,), {"output_size": output_size}, *numbers(draw))


@composite
def adaptive_max_pool2d(draw: st.DrawFn, lane: Lane) -> Case:
    """As for the averages; ties, because values are few."""
    case: Case = draw(adaptive_avg_pool2d(lane))
    image = replace(case.arrays[0], kind=maxima(draw, lane))
    return rarely_large(draw, replace(case, row="adaptive_max_pool2d", arrays=(image,)))


def maxima(draw: st.DrawFn, lane: Lane) -> Kind:
    """Real numbers, often with near ties; integers tie anyway."""
    return draw(sampled(NEAR)) if lane == "bound" else "real"


def rarely_large(draw: st.DrawFn, case: Case) -> Case:
    """The case, rarely with large numbers; their sums are exact in float64 only."""
    return replace(case, dtype="float64", magnitude=LARGE) if draw(RARELY) else case


@composite
def max_unpool2d(draw: st.DrawFn, lane: Lane) -> Case:
    """Windows apart and overlapping, padding; indices anywhere in the output, some of them equal.

    torch documents its result for equal indices with different numbers as non-deterministic. So equal indices are
    drawn with equal numbers, as max-pooling with overlapping windows returns them.
    """
    height, width = draw(extent(4)), draw(LONG if draw(RARELY) else extent(4))
    kernel, stride = draw(integers(2, 4)), draw(extent(4))
    height, stride = (1, min(stride, 2)) if width == HUGE else (height, stride)
    padding = draw(integers(0, kernel // 2)) if min(height, width) > 1 else 0
    sizes = [(side - 1) * stride - 2 * padding + kernel for side in (height, width)]
    if min(sizes) < 1:
        padding, sizes = 0, [size + 2 * padding for size in sizes]
    samples, channels = draw(batch(lane)), draw(extent(3))
    if width == HUGE:
        samples, channels = min(samples, 1), 1
    shape = (samples, channels, height, width)
    options: dict[str, Any] = {"kernel_size": kernel, "stride": stride, "padding": padding, "output_size": None}
    if draw(booleans):
        options["output_size"] = tuple(size + draw(integers(0, stride - 1)) for size in sizes)
    # Valid for the default size too, which is the smallest: an implementation may have no output_size.
    arrays = ArraySpec("input", shape), ArraySpec("indices", shape, "classes", sizes[0] * sizes[1])
    return Case("max_unpool2d", arrays, options, *numbers(draw))


def meets_pixels(case: Case) -> bool:
    """Whether each window covers a pixel: otherwise torch returns −∞ with an index outside the plane.

    Its backward then writes to the next plane, or past the buffer (pytorch#114216).
    """
    o, size = (
        {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, **case.options},
        case.arrays[0].shape,
    )
    assert size is not None
    for axis in (0, 1):
        kernel, stride, padding, dilation = (
            value if isinstance(value, int) else value[axis]
            for value in (
                o["kernel_size"],
                o.get("stride") or o["kernel_size"],
                o.get("padding", 0),
                o.get("dilation", 1),
            )
        )
        pixels = size[axis - 2]
        over = pixels + 2 * padding - dilation * (kernel - 1) - 1
        last = -(-over // stride) if o.get("ceil_mode") else over // stride
        if o.get("ceil_mode") and last * stride >= pixels + padding:
            last -= 1  # torch drops a window that begins after the image
        starts = (p * stride - padding for p in range(last + 1))
        if not all(any(0 <= start + i * dilation < pixels for i in range(kernel)) for start in starts):
            return False
    return True


def max_pool2d_bound(s: BoundInputs) -> ErrorBounds:
    """y is a selection; dx sums over the windows that a pixel has won, at most kh·kw."""
    y, pullback = s.op(*s.arrays, **s.options)
    (dx,) = pullback(np.abs(s.dy))
    return np.zeros_like(y), (gamma(_taps(s), s.u) * dx,)


def adaptive_max_pool2d_bound(s: BoundInputs) -> ErrorBounds:
    """y is a selection; dx sums over the windows that a pixel has won, at most oh·ow."""
    y, pullback = s.op(*s.arrays, **s.options)
    (dx,) = pullback(np.abs(s.dy))
    return np.zeros_like(y), (gamma(y[0, 0].size if y.size else 0, s.u) * dx,)


def average_bound(s: BoundInputs) -> ErrorBounds:
    """A sum of at most H·W numbers and a division; dx sums at most oh·ow quotients."""
    x = s.arrays[0]
    assert x is not None
    y, pullback = s.op(np.abs(x), **s.options)
    (dx,) = pullback(np.abs(s.dy))
    terms, windows = min(x[0, 0].size, _taps(s)) if x.size else 0, y[0, 0].size if y.size else 0
    return gamma(terms + 2, s.u) * np.abs(y), (gamma(windows + 2, s.u) * np.abs(dx),)


def _taps(s: BoundInputs) -> int:
    """The largest number of pixels in a window."""
    x = s.arrays[0]
    assert x is not None
    kernel = s.options.get("kernel_size", x.shape[-2:])
    return int(kernel**2 if isinstance(kernel, int) else kernel[0] * kernel[1])


ROWS = (
    Row(
        "max_pool2d",
        ops.max_pool2d,
        F.max_pool2d,
        max_pool2d,
        max_pool2d_bound,
        formulas={
            "output": "y[n,c,p,q] = max_(i,j) x[n, c, p·s − pad + i·d, q·s − pad + j·d], x = −∞ outside the image",
            "grad_input": "dx[n,c,h,v] = Σ dy[n,c,p,q] over the windows whose first maximum is (h,v)",
        },
        selects=True,
        sound=meets_pixels,
    ),
    Row(
        "avg_pool2d",
        ops.avg_pool2d,
        F.avg_pool2d,
        avg_pool2d,
        average_bound,
        INEXACT,
        fast=by_running_sums,
        formulas={
            "output": "y[n,c,p,q] = Σ_(i,j) x[n, c, p·s − pad + i, q·s − pad + j] / (pixels of the window)",
            "grad_input": "dx[n,c,h,v] = Σ dy[n,c,p,q] / (pixels of the window) over the windows with (h,v)",
        },
    ),
    Row(
        "adaptive_avg_pool2d",
        ops.adaptive_avg_pool2d,
        F.adaptive_avg_pool2d,
        adaptive_avg_pool2d,
        average_bound,
        INEXACT,
        fast=by_running_sums,
        formulas={
            "output": "y[n,c,p,q] = mean x[n, c, ⌊p·H/oh⌋ : ⌈(p+1)·H/oh⌉, ⌊q·W/ow⌋ : ⌈(q+1)·W/ow⌉]",
            "grad_input": "dx[n,c,h,v] = Σ dy[n,c,p,q] / (pixels of the window) over the windows with (h,v)",
        },
    ),
    Row(
        "adaptive_max_pool2d",
        ops.adaptive_max_pool2d,
        F.adaptive_max_pool2d,
        adaptive_max_pool2d,
        adaptive_max_pool2d_bound,
        formulas={
            "output": "y[n,c,p,q] = max x[n, c, ⌊p·H/oh⌋ : ⌈(p+1)·H/oh⌉, ⌊q·W/ow⌋ : ⌈(q+1)·W/ow⌉]",
            "grad_input": "dx[n,c,h,v] = Σ dy[n,c,p,q] over the windows whose first maximum is (h,v)",
        },
        selects=True,
    ),
    Row(
        "max_unpool2d",
        ops.max_unpool2d,
        F.max_unpool2d,
        max_unpool2d,
        copies,
        formulas={
            "output": "y[n, c, i[n,c,p,q]] = x[n,c,p,q], and 0 elsewhere",
            "grad_input": "dx[n,c,p,q] = dy[n, c, i[n,c,p,q]]",
        },
        selects=True,
        sound=lambda case: not conflicts(case),
    ),
)
