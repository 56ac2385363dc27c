"""Convolutions with one mistake."""

from functools import partial
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array
from parity.cases.op import Op
from parity.exam import im2col, stateful
from parity.exam.bug import plant
from parity.exam.call import Call, Change, kept, leftover, zeroed
from parity.exam.changes import array, both, in_dtype, only, option, options, output, result, upstream
from parity.exam.im2col import dw_at, dx_at, dx_cropped, part
from parity.exam.windows import gather, pair, scatter, swapped

conv = partial(plant, "conv2d")


def _flipped(*axes: int) -> Change:
    return array("w", lambda w, _: np.flip(w, axes), lambda g, _: np.flip(g, axes))


def _first_of_pair(value: Any) -> Any:
    return value if isinstance(value, str) else pair(value)[0]


def _by_position(y: Array, _: Call) -> Array:
    """Read the columns of the matrix (O, N·P·Q) as (O, P·Q·N)."""
    n, o, p, q = y.shape
    return np.ascontiguousarray(y.transpose(1, 0, 2, 3)).reshape(o, p, q, n).transpose(3, 0, 1, 2)


def _around(c: Call) -> tuple[tuple[int, int], tuple[int, int]]:
    """The padding of "same" before and after each axis, with the larger half before."""
    rows, columns = (d * (k - 1) for d, k in zip(pair(c.options["dilation"]), c.w.shape[2:], strict=True))
    return (rows - rows // 2, rows // 2), (columns - columns // 2, columns // 2)


def _cropped(g: Array, c: Call) -> Array:
    (top, _), (left, _) = _around(c)
    return g[:, :, top : top + c.x.shape[2], left : left + c.x.shape[3]]


# ---- channels and groups


def _groups(a: Array, c: Call, axis: int = 0) -> Array:
    groups = c.options["groups"]
    return a.reshape(*a.shape[:axis], groups, a.shape[axis] // groups, *a.shape[axis + 1 :])


def _first_group(x: Array, c: Call) -> Array:
    return np.tile(x[:, : c.w.shape[1]], (1, c.options["groups"], 1, 1))


def _into_first_group(g: Array, c: Call) -> Array:
    first = np.zeros_like(g)
    first[:, : c.w.shape[1]] = _groups(g, c, 1).sum(axis=1)
    return first


def _kernels_misread(w: Array, c: Call) -> Array:
    g = w.reshape(c.options["groups"], w.shape[1], -1, *w.shape[2:])
    return np.ascontiguousarray(g.swapaxes(1, 2)).reshape(w.shape)


def _summed_over_groups(dw: Array, c: Call) -> Array:
    each = _groups(dw, c)
    return np.broadcast_to(each.sum(axis=0), each.shape).reshape(dw.shape)


def _channels_in_turn(a: Array, c: Call) -> Array:
    """Order the channels as (index in the group, group) instead of (group, index)."""
    return _groups(a, c, 1).swapaxes(1, 2).reshape(a.shape)


def _group_by_group(a: Array, c: Call, axis: int = 0) -> Array:
    """Move kernel o, of group o mod G, next to the others of its group."""
    return np.take(a, np.arange(len(c.w)).reshape(-1, c.options["groups"]).T.ravel(), axis)


def _back_in_turn(a: Array, c: Call, axis: int = 0) -> Array:
    return np.take(a, np.argsort(_group_by_group(np.arange(len(c.w)), c)), axis)


IN_OTHER_GROUPS = both(
    array("w", _group_by_group, _back_in_turn),
    array("b", _group_by_group, _back_in_turn),
    upstream(lambda dy, c: _group_by_group(dy, c, 1)),
    output(lambda c: _back_in_turn(c.y, c, 1)),
)

# fmt: off
conv("conv-kernel-flipped", "kernel-flipped", _flipped(-1, -2), "y dx dw")
conv("conv-output-kernel-flipped", "kernel-flipped", _flipped(-1, -2), "y")
conv("conv-dx-kernel-flipped", "kernel-flipped", _flipped(-1, -2), "dx")
conv("conv-dw-flipped", "kernel-flipped result-flipped", result(lambda g, _: g[..., ::-1, ::-1]), "dw")
conv("conv-kernel-flipped-in-height", "kernel-flipped-height", _flipped(-2), "y")
conv("conv-dx-kernel-flipped-in-width", "kernel-flipped-width", _flipped(-1), "dx")
conv("conv-taps-column-major", "taps-column-major taps-row-major",
     part(patches=lambda x, at: im2col.column_major(gather(x, at), at)), "y dw")
conv("conv-dx-taps-column-major", "taps-column-major taps-row-major",
     part(back=lambda p, at: scatter(im2col.column_major(p, at), at)), "dx")
conv("conv-last-tap-lost", "last-tap-lost", array("w", zeroed(..., -1, -1)), "y")
conv("conv-last-channel-lost", "last-input-channel-lost", array("w", zeroed(slice(None), -1)), "y")
conv("conv-stride-swapped", "stride-swapped", option("stride", swapped))
conv("conv-stride-of-height-for-both", "stride-height-only", option("stride", _first_of_pair))
conv("conv-padding-swapped", "padding-swapped", option("padding", swapped))
conv("conv-padding-of-height-for-both", "padding-height-only", option("padding", _first_of_pair),
     description="The height's padding is used for both axes.")
conv("conv-padding-ignored", "padding-ignored", option("padding", lambda _: 0))
conv("conv-dilation-swapped", "dilation-swapped option-swapped", option("dilation", swapped))
conv("conv-dilation-ignored", "dilation-ignored option-ignored", option("dilation", lambda _: 1))
conv("conv-dx-stride-ignored", "stride-ignored", dx_at(stride=lambda _: (1, 1)), "dx")
conv("conv-dw-stride-ignored", "stride-ignored", dw_at(stride=lambda _: (1, 1)), "dw")
conv("conv-dx-stride-swapped", "stride-swapped", dx_at(stride=lambda at: at.stride[::-1]), "dx")
conv("conv-dw-stride-of-height-for-both", "stride-height-only", dw_at(stride=lambda at: (at.stride[0],) * 2), "dw")
conv("conv-dw-dilation-ignored", "dilation-ignored", dw_at(dilation=lambda _: (1, 1)), "dw")
conv("conv-dx-dilation-swapped", "dilation-swapped", dx_at(dilation=lambda at: at.dilation[::-1]), "dx")
conv("conv-dx-padding-swapped", "padding-swapped", dx_at(padding=lambda at: at.padding[::-1]), "dx")
conv("conv-dx-cropped-at-the-wrong-end", "padding-ignored", dx_at(padding=lambda _: (0, 0)), "dx")
conv("conv-dx-cropped-by-minus-zero", "cropped-at-minus-zero", part(back=im2col.minus_zero), "dx")
conv("conv-dx-without-the-remainder", "remainder-dropped", dx_cropped(im2col.covered), "dx")
conv("conv-dx-remainder-in-front", "remainder-in-front result-shifted",
     dx_cropped(im2col.remainder_in_front), "dx")
conv("conv-dx-remainder-and-padding", "last-row-lost", dx_cropped(im2col.cut_by_the_padding), "dx",
     "dx is cropped by the padding counted from its last window, although a remainder follows that window.")
conv("conv-dx-shifted-for-even-kernels", "result-shifted",
     dx_cropped(lambda dx, at: np.roll(dx, [1 - k % 2 for k in at.kernel], axis=(2, 3))), "dx",
     "dx is cropped around the kernel's centre, so for an even kernel it is off by one pixel.")
conv("conv-dx-overlap-overwritten", "overlap-overwritten", part(back=im2col.assigned), "dx")
conv("conv-dx-channel-index", "", part(back=im2col.by_tap), "dx",
     "dx is written to the channel with the index of the tap: the index of another loop.")
conv("conv-dx-upstream-squared", "upstream-squared", upstream(lambda dy, _: np.square(dy)), "dx")
conv("conv-dx-of-the-first-image", "first-sample-for-all", result(lambda g, _: g[:1].repeat(len(g), 0)), "dx")
conv("conv-dw-cut-from-the-end", "result-shifted", part(patches=im2col.of_longer_kernel), "dw",
     "dw, as a convolution of x with dy, is too large if there is a remainder, and is cropped at the front.")
conv("conv-dw-batch-mean", "batch-mean", result(lambda g, c: g / g.dtype.type(len(c.x))), "dw")
conv("conv-dw-last-sample-only", "last-sample-only", upstream(lambda dy, _: kept(dy, slice(-1, None))), "dw")
conv("conv-db-last-sample-only", "last-sample-only", upstream(lambda dy, _: kept(dy, slice(-1, None))), "db")
conv("conv-db-averaged", "divided-by-outputs",
     result(lambda g, c: g / g.dtype.type(c.y.size // c.y.shape[1])), "db")
conv("conv-dw-last-row-lost", "last-row-lost", upstream(zeroed(..., -1, slice(None))), "dw")
conv("conv-same-pads-in-front", "same-pads-in-front result-shifted",
     only(lambda c: c.options["padding"] == "same",
          both(option("padding", lambda _: 0),
               array("x", lambda x, c: np.pad(x, ((0, 0), (0, 0), *_around(c))), _cropped))))
conv("conv-padding-replicates", "replicate-padding", part(patches=im2col.replicated), "y dw")
conv("conv-columns-ordered-by-sample", "columns-misordered", result(_by_position), "y", order="ordered by sample")
conv("conv-bias-missing", "bias-missing", array("b", lambda *_: None), "y")
conv("conv-bias-doubled", "bias-doubled", array("b", lambda b, _: 2 * b), "y")

conv("conv-first-group-only", "first-group-only", array("x", _first_group, _into_first_group), what="channel")
conv("conv-dw-first-group-only", "first-group-only", array("x", _first_group), "dw", what="channel",
     description="dw correlates every kernel with the channels of the first group.")
conv("conv-groups-interleaved", "kernels-in-other-groups groups-interleaved", IN_OTHER_GROUPS)
conv("conv-dx-groups-interleaved", "groups-interleaved", result(_channels_in_turn), "dx", what="channel",
     description="dx returns the channels in the order (channel, group) instead of (group, channel).")
conv("conv-dx-group-kernels-not-transposed", "kernels-misread", array("w", _kernels_misread), "dx")
conv("conv-depthwise-multiplier", "outputs-interleaved outputs-deinterleaved groups-interleaved",
     only(lambda c: c.w.shape[1] == 1, result(_channels_in_turn)), "y",
     "The depthwise path orders its outputs as (multiplier, channel): wrong for several kernels per channel.")
conv("conv-dw-summed-over-groups", "summed-over-groups", result(_summed_over_groups), "dw")

conv("conv-patches-overwritten", "stale", stateful.by_call(stateful.emptied), "dw",
     "The pullback overwrites the patches that dw needs, so a second call is wrong.")
conv("conv-cache-scaled", "stale", stateful.by_call(stateful.scaled), "dw",
     "The pullback doubles its patches in place: successive calls return dw, 2 dw, 4 dw.")
conv("conv-dw-accumulates", "accumulates", stateful.by_call(stateful.accumulated), "dw")
conv("conv-patches-shared", "shared-state", stateful.of_last_call(), "dw",
     "The patches are kept at module level: dw is that of the last call.")
conv("conv-upstream-scaled-in-place", "mutates-upstream", stateful.overwriting_upstream(lambda dy, _: dy * 2))
conv("conv-float32-inside", "float32-inside", in_dtype(np.float32))
conv("conv-float16-in-dx", "float16-inside", result(lambda g, _: g.astype(np.float16).astype(g.dtype)), "dx")

# Mistakes that only some geometries show.
conv("conv-large-kernel-cut", "argument-cut", array("w", zeroed(slice(None), slice(None), slice(4, None))), "y",
     "An unrolled loop covers four rows of taps and ignores the rest.")
conv("conv-pointwise-dx-without-stride", "stride-ignored",
     only(lambda c: c.w.shape[2:] == (1, 1), dx_at(stride=lambda _: (1, 1))), "dx",
     "The fast path for 1x1 kernels, a single matrix product, ignores the stride in dx.")
conv("conv-dilation-ignored-for-3x3", "dilation-ignored",
     only(lambda c: c.w.shape[2:] == (3, 3), dw_at(dilation=lambda _: (1, 1))), "dw",
     "The fast path for 3x3 kernels ignores the dilation in dw.")
conv("conv-blocks-of-eight-columns", "tail-lost", result(lambda y, _: np.where(leftover(y, axis=-1), 0, y)), "y",
     "The output is computed in blocks of eight columns; the remaining columns stay 0.")
conv("conv-images-beyond-a-block", "rest-lost", result(lambda y, _: np.concatenate([y[:64], 0 * y[64:]])), "y",
     "A buffer has room for 64 images; the others stay 0.")
conv("conv-dw-in-one-buffer", "shares-memory", stateful.by_call(stateful.in_one_buffer), "dw",
     "All calls of a pullback return dw in the same array.")
conv("conv-third-image-repeats-the-second", "",
     result(lambda y, _: np.concatenate([y[:-1], y[-2:-1]]) if len(y) % 2 and len(y) > 1 else y), "y",
     "Images are processed in pairs; an unpaired last one gets the result of the one before.")
conv("conv-dw-of-a-narrow-image", "first-tap-column-lost", part(patches=im2col.without_first_column), "dw",
     "For a padded image one pixel wide, dw lacks the first column of taps.")
plant("conv2d", "conv-dw-divided-by-groups", "divided-by-option",
      result(lambda g, c: g / g.dtype.type(c.options["groups"])), "dw", option="groups")
plant("conv2d", "conv-bias-along-columns", "bias-along-other-axis",
      output(lambda c: c.y - c.b[:, None, None] + c.b if c.b is not None and c.y.shape[-1] == len(c.b) else c.y),
      "y")
# fmt: on


def _spatially_flipped(w: Array, _: Call) -> Array:
    return np.flip(w, tuple(range(2, w.ndim)))


def _mean(g: Array, c: Call) -> Array:
    return np.asarray(g * g.dtype.type(g.size / max(c.y.size, 1)))


def _added_rows(c: Call) -> Array:
    """A mask of the output padding."""
    rows, columns = pair(c.options["output_padding"])
    mask = np.ones(c.y.shape[-2:], bool)
    mask[: c.y.shape[-2] - rows, : c.y.shape[-1] - columns] = False
    return mask


def _taps(c: Call) -> int:
    rows, columns = pair(c.options["kernel_size"])
    return rows * columns


def _channels_by_remainder(kernels: bool) -> Change:
    """Groups of every G-th channel and output, by one convolution for each group."""

    def convolved(
        x: Array, w: Array, b: Array | None = None, *, op: Op, groups: int, **options: Any
    ) -> tuple[Array, Any]:
        each, per = [], len(w) // groups
        for g in range(groups):
            own = slice(g, None, groups) if kernels else slice(g * per, (g + 1) * per)
            bias = None if b is None else b[g::groups]
            each.append((g, own, *op(np.ascontiguousarray(x[:, g::groups]), w[own], bias, **options)))
        y = np.empty((len(x), len(w), *each[0][2].shape[2:]), x.dtype)
        for g, _, of_group, _ in each:
            y[:, g::groups] = of_group

        def pullback(dy: Array) -> tuple[Array | None, ...]:
            dx, dw = np.zeros_like(x), np.zeros_like(w)
            for g, own, _, back in each:
                dx[:, g::groups], dw[own], _ = back(np.ascontiguousarray(dy[:, g::groups]))
            return dx, dw, None if b is None else dy.sum(axis=(0, 2, 3))

        return y, pullback

    return lambda op, _: partial(convolved, op=op)


conv("conv-groups-by-remainder", "groups-by-remainder", _channels_by_remainder(kernels=True))
conv("conv-groups-in-turns", "groups-in-turns", _channels_by_remainder(kernels=False))
conv("conv-same-without-dilation", "same-without-dilation",
     only(lambda c: c.options["padding"] == "same",
          options(lambda o, c: o | {"padding": (c.w.shape[2] // 2, c.w.shape[3] // 2)})), "y")  # fmt: skip
plant("conv_transpose2d", "conv-transpose2d-no-bias-in-output-padding", "bias-missing-in-output-padding",
      only(lambda c: c.b is not None,
           result(lambda y, c: np.where(_added_rows(c), y - c.b[:, None, None], y))), "y")  # fmt: skip
plant("conv_transpose2d", "conv-transpose2d-output-padding-zero", "output-padding-left-zero",
      result(lambda y, c: np.where(_added_rows(c), 0, y)), "y")  # fmt: skip
plant("avg_pool2d", "avg-pool2d-dx-override-ignored", "override-ignored-in-divisor",
      only(lambda c: c.options["divisor_override"] is not None,
           result(lambda g, c: g * g.dtype.type(c.options["divisor_override"]) / g.dtype.type(_taps(c)))),
      "dx")  # fmt: skip

for _row in ("conv1d", "conv_transpose2d"):
    _prefix = _row.replace("_", "-")
    plant(
        _row, f"{_prefix}-kernel-flipped", "argument-flipped", array("w", _spatially_flipped), "y", array="weight"
    )
    plant(_row, f"{_prefix}-db-mean", "entries-mean", result(_mean), "db")
