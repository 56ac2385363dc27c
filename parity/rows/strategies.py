"""Hypothesis strategies that construct valid geometry: sizes follow from the outputs wanted, nothing is filtered.

Every integer shrinks to its simplest value, so a failure shrinks to few channels, a small kernel, stride 1. What
is drawn, and from how wide a range, hardly ever depends on what was drawn before: then Hypothesis can lower one
number and leave the others as they are.
"""

import math
from functools import partial
from typing import Any, NamedTuple

from hypothesis import strategies as st

from parity.cases.case import ArraySpec, Case, Dtype, Lane
from parity.cases.primitives import booleans, composite, integers, sampled

SEEDS = integers(0, 2**32 - 1)
KERNELS = sampled((1, 1, 2, 3, 3, 3, 4, 5, 7))  # 3x3 has fast ways of its own: one case in ten
RARELY = sampled([False] * 7 + [True])
MANY, MOST_NUMBERS = 16, 50_000
TIMES = sampled([1] * 11 + [MANY])
DEEP = sampled(((1, 1), (MANY, 1), (1, MANY), (MANY, 1), (1, MANY)))  # times as many channels, and kernels
DTYPES: st.SearchStrategy[Dtype] = sampled(("float32", "float64"))


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
def pool_windows(draw: st.DrawFn, ceil_mode: bool) -> Window:
    """The same for pooling: padding up to half of the kernel; in ceil_mode windows reach over the edge."""
    kernel, stride, dilation = draw(integers(1, 7)), draw(integers(1, 4)), draw(integers(1, 3))
    span, more = dilation * (kernel - 1) + 1, draw(integers(-3, 8))
    # In ceil_mode even the only window may lack pixels, fewer than the stride.
    padded = max(span + more, 1, span - (stride - 1 if ceil_mode else 0))
    padding = min(draw(integers(0, 2)), kernel // 2, (padded - 1) // 2)
    if dilation > padded - 2 * padding:
        padding = 0  # else a window could step over the whole image, which max_pool2d rejects
    return Window(padded - 2 * padding, kernel, stride, padding, dilation)


def batch(lane: Lane) -> st.SearchStrategy[int]:
    """Images in a batch; the empty batch belongs to the structure lane, for it proves nothing about numbers."""
    return integers(0, 2) if lane == "structure" else integers(1, 3)


def _images(draw: st.DrawFn, lane: Lane, size: int) -> int:
    """A few images of so many numbers; seldom many, for a loop over them may be unrolled, or cut into blocks.

    No more than leave sums exact: `parity.lanes.exact.guard`.
    """
    return _at_most(draw(batch(lane)), draw(TIMES), size)


def _at_most(few: int, times: int, size: int) -> int:
    return min(few * times, max(few, MOST_NUMBERS // size))


def _numbers(draw: st.DrawFn, magnitude: int | None = None) -> tuple[Dtype, int, int]:
    return draw(DTYPES), magnitude or draw(integers(1, 8)), draw(SEEDS)


def _pair(draw: st.DrawFn, a: int, b: int) -> int | tuple[int, int]:
    as_pair = draw(booleans)
    return (a, b) if as_pair or a != b else a


@composite
def conv2d(draw: st.DrawFn, lane: Lane) -> Case:
    """Non-square images and kernels, strides beyond the kernel, remainders, groups, dilation, no bias."""
    rows, columns = draw(conv_windows()), draw(conv_windows())
    groups, channels, kernels = draw(integers(1, 3)), draw(integers(1, 3)), draw(integers(1, 3))
    mode = draw(sampled(["numbers", "numbers", "numbers", "same", "valid"]))
    padding: Any = _pair(draw, rows.padding, columns.padding)
    if mode == "same":
        rows, columns = rows._replace(stride=1), columns._replace(stride=1)
        padding = "same"
    elif mode == "valid":  # the padding becomes part of the image
        rows, columns = (w._replace(size=w.size + 2 * w.padding) for w in (rows, columns))
        padding = "valid"
    few, times, pixels = draw(batch(lane)), draw(TIMES), groups * rows.size * columns.size
    if times > 1:  # then mostly so many more channels, too, or kernels: other ways are fast with them, loops slow
        more_channels, more_kernels = draw(DEEP)
        channels = _at_most(channels, more_channels, pixels * max(1, few))
        kernels = _at_most(kernels, more_kernels, groups * channels * rows.kernel * columns.kernel)
    images = _at_most(few, times, channels * pixels)
    arrays = (
        ArraySpec("input", (images, channels * groups, rows.size, columns.size)),
        ArraySpec("weight", (kernels * groups, channels, rows.kernel, columns.kernel)),
        ArraySpec("bias", (kernels * groups,) if draw(booleans) else None),
    )
    options = {
        "stride": _pair(draw, rows.stride, columns.stride),
        "padding": padding,
        "dilation": _pair(draw, rows.dilation, columns.dilation),
        "groups": groups,
    }
    return Case("conv2d", arrays, options, *_numbers(draw))


@composite
def max_pool2d(draw: st.DrawFn, lane: Lane) -> Case:
    """Windows apart, touching and overlapping; padding, dilation, ceil_mode; ties, for the numbers are few."""
    ceil_mode = draw(booleans)
    rows, columns = draw(pool_windows(ceil_mode)), draw(pool_windows(ceil_mode))
    kernel = _pair(draw, rows.kernel, columns.kernel)
    options: dict[str, Any] = {
        "kernel_size": kernel,
        "stride": _pair(draw, rows.stride, columns.stride),
        "padding": _pair(draw, rows.padding, columns.padding),
        "dilation": _pair(draw, rows.dilation, columns.dilation),
        "ceil_mode": ceil_mode,
    }
    if (rows.stride, columns.stride) == (rows.kernel, columns.kernel):
        options["stride"] = None
    channels = draw(integers(1, 3))
    images = _images(draw, lane, channels * rows.size * columns.size)
    image = ArraySpec("input", (images, channels, rows.size, columns.size))
    return Case("max_pool2d", (image,), options, *_numbers(draw))


def _shape(draw: st.DrawFn, lane: Lane, least: int, most: int, largest: int = 4) -> tuple[int, ...]:
    axes = draw(integers(least, most))
    return tuple(draw(integers(0 if lane == "structure" else 1, largest)) for _ in range(axes))


@composite
def relu(draw: st.DrawFn, lane: Lane) -> Case:
    """Any shape of up to four axes."""
    array = ArraySpec("input", _shape(draw, lane, 0, 4))
    return Case("relu", (array,), {}, *_numbers(draw))


@composite
def linear(draw: st.DrawFn, lane: Lane) -> Case:
    """Up to three leading axes, with a bias and without."""
    leading = _shape(draw, lane, 0, 3, 3)
    inside, outside = draw(integers(1, 8)), draw(integers(1, 8))
    arrays = (
        ArraySpec("input", (*leading, inside)),
        ArraySpec("weight", (outside, inside)),
        ArraySpec("bias", (outside,) if draw(booleans) else None),
    )
    return Case("linear", arrays, {}, *_numbers(draw))


@composite
def batch_norm(draw: st.DrawFn, lane: Lane) -> Case:
    """Rows, sequences, images and volumes, in training and out of it, near 0 and far from it."""
    training = draw(booleans)
    samples, channels = draw(integers(0 if lane == "structure" else 1, 8)), draw(integers(1, 3))
    around = [draw(integers(1, 3)) for _ in range(draw(integers(0, 3)))]
    if training and samples * math.prod(around) == 1:
        samples = 2  # one number has no variance, and torch rejects it
    has_statistics = draw(booleans) or not training
    each = (channels,)
    arrays = (
        ArraySpec("input", (samples, channels, *around), draw(sampled(["real", "shifted"]))),
        ArraySpec("running_mean", each if has_statistics else None),
        ArraySpec("running_var", each if has_statistics else None, "weights"),
        ArraySpec("weight", each if draw(booleans) else None),
        ArraySpec("bias", each if draw(booleans) else None),
    )
    options = {"training": training, "momentum": draw(sampled([0.1, 0.5])), "eps": draw(sampled(EPSILONS))}
    return Case("batch_norm", arrays, options, *_numbers(draw))


@composite
def flatten(draw: st.DrawFn, lane: Lane) -> Case:
    """Any run of axes, counted from the front or from the back."""
    shape = _shape(draw, lane, 0, 4)
    rank = max(len(shape), 1)
    start = draw(integers(0, rank - 1))
    end = draw(integers(start, rank - 1))
    options = {"start_dim": start, "end_dim": end - rank if draw(booleans) else end}
    return Case("flatten", (ArraySpec("input", shape),), options, *_numbers(draw))


@composite
def _softmax(draw: st.DrawFn, row: str, lane: Lane) -> Case:
    """Scores of up to three axes, small and so large that exp would overflow without the shift."""
    shape = _shape(draw, lane, 0, 3, 8)
    rank = max(len(shape), 1)
    options = {"dim": draw(integers(-rank, rank - 1))}
    magnitude = draw(sampled([1, 8, 200]))
    return Case(row, (ArraySpec("input", shape),), options, *_numbers(draw, magnitude))


EPSILONS = (1e-5, 1e-3, 0.1, 1.0)
REDUCTIONS = ("none", "sum", "mean")


def _dyadic(lane: Lane) -> st.SearchStrategy[int]:
    return sampled((0, 1, 2, 4) if lane == "structure" else (1, 2, 4))


@composite
def _classification(draw: st.DrawFn, row: str, lane: Lane) -> Case:
    """Scores (C,), (N, C) and (N, C, d1, …) with class indices, some ignored, with and without class weights."""
    classes = draw(integers(1, 8))
    reduction = draw(sampled(REDUCTIONS))
    # A mean divides, which is exact for a power of two alone: so many samples, none of them ignored.
    dyadic = lane != "bound" and reduction == "mean" and row == "nll_loss"
    size = _dyadic(lane) if dyadic else batch(lane)
    around = [draw(size) for _ in range(draw(integers(0, 3)))]
    ignored = None if draw(booleans) or dyadic else draw(sampled([-100, 0, classes]))
    weighted = draw(booleans) and not dyadic
    x = ArraySpec(
        "input", (*around[:1], classes, *around[1:]), "log" if row == "nll_loss" else "real"
    )  # fmt: skip
    target = ArraySpec("target", tuple(around), "classes", classes, ignored)
    weight = ArraySpec("weight", (classes,) if weighted else None, "weights", keyword=True)
    options = {"reduction": reduction} | ({} if ignored is None else {"ignore_index": ignored})
    magnitude = draw(integers(1, 8)) if row == "nll_loss" else draw(sampled([1, 8, 200]))
    return Case(row, (x, target, weight), options, *_numbers(draw, magnitude))


@composite
def mse_loss(draw: st.DrawFn, lane: Lane) -> Case:
    """Predictions and targets of any shape."""
    reduction = draw(sampled(REDUCTIONS))
    dyadic = lane != "bound" and reduction == "mean"
    axes = draw(integers(0, 3))
    size = _dyadic(lane) if dyadic else batch(lane)
    shape = tuple(draw(size) for _ in range(axes))
    arrays = ArraySpec("input", shape), ArraySpec("target", shape)
    return Case("mse_loss", arrays, {"reduction": reduction}, *_numbers(draw))


# Two rows each; a partial, for the row's name stands in the case.
softmax, log_softmax = partial(_softmax, "softmax"), partial(_softmax, "log_softmax")
nll_loss, cross_entropy = partial(_classification, "nll_loss"), partial(_classification, "cross_entropy")
