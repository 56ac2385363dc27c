"""Convolutions with one mistake."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from parity.exam.bug import planted
from parity.exam.edits import Called, edited, forward_of, mixed
from parity.exam.windows import Windows, conv_windows, cropped, gather, pair, scatter, swapped, wide_zeros


def textbook(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    patches: Callable[[Array, Windows], Array] = gather,  # in the forward
    patches_of_dw: Callable[[Array, Windows], Array] | None = None,
    back: Callable[[Array, Windows], Array] = scatter,
    kernels_of_dx: Callable[[Array], Array] = lambda w: w,
) -> Called:
    """im2col, a product of matrices a group, col2im: right as it is, and open to mistakes in each part."""
    at = conv_windows(x, w, stride, padding, dilation)
    n, o = len(x), len(w)

    def matrix(kernels: Array) -> Array:
        return kernels.reshape(groups, o // groups, w[0].size)

    def columns(p: Array) -> Array:
        return p.reshape(n, groups, w[0].size, at.outputs[0] * at.outputs[1])

    cols = columns(patches(x, at))
    y = (matrix(w) @ cols).reshape(n, o, *at.outputs)
    if b is not None:
        y = y + b[:, None, None]

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        u = dy.reshape(n, groups, o // groups, cols.shape[-1])
        of_dw = cols if patches_of_dw is None else columns(patches_of_dw(x, at))
        dw = (u @ of_dw.swapaxes(2, 3)).sum(axis=0).reshape(w.shape)
        dcols = matrix(kernels_of_dx(w)).swapaxes(1, 2) @ u
        dx = back(dcols.reshape(n, x.shape[1], at.kernel[0] * at.kernel[1], *at.outputs), at)
        return dx, dw, None if b is None else dy.sum(axis=(0, 2, 3))

    return y, pullback


# The kernel


@planted("conv2d", explained=("kernel-flipped",))
def conv_kernel_flipped(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """A true convolution with the kernel flipped, output and gradients alike."""
    return edited(ops.conv2d(x, w[:, :, ::-1, ::-1], b, **options), dw=lambda g: g[:, :, ::-1, ::-1])


@planted("conv2d", explained=("kernel-flipped",))
def conv_output_kernel_flipped(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """The output flips the kernel, the gradients do not."""
    return forward_of(ops.conv2d(x, w[:, :, ::-1, ::-1], b, **options), ops.conv2d(x, w, b, **options))


@planted("conv2d", explained=("kernel-flipped",))
def conv_dx_kernel_flipped(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """dx correlates where it should convolve: the kernel is flipped in it."""
    return textbook(x, w, b, **options, kernels_of_dx=lambda w: w[:, :, ::-1, ::-1])


@planted("conv2d", explained=("result-flipped", "kernel-flipped"))
def conv_dw_flipped(*arrays: Any, **options: Any) -> Called:
    """dw comes out rotated by 180 degrees."""
    return edited(ops.conv2d(*arrays, **options), dw=lambda g: g[:, :, ::-1, ::-1])


@planted("conv2d", explained=("kernel-flipped-height",))
def conv_kernel_flipped_in_height(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """The taps run upwards in the height and rightwards in the width, in the output alone."""
    return forward_of(ops.conv2d(x, w[:, :, ::-1], b, **options), ops.conv2d(x, w, b, **options))


@planted("conv2d", explained=("kernel-flipped-width",))
def conv_dx_kernel_flipped_in_width(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """dx flips the kernel in the width alone."""
    return textbook(x, w, b, **options, kernels_of_dx=lambda w: w[..., ::-1])


@planted("conv2d", explained=("kernel-transposed",))
def conv_taps_column_major(*arrays: Any, **options: Any) -> Called:
    """im2col lists the taps column by column while the kernel is stored row by row."""
    return textbook(*arrays, **options, patches=lambda x, at: _column_major(gather(x, at), at))


def _column_major(patches: Array, at: Windows) -> Array:
    order = np.arange(patches.shape[2]).reshape(at.kernel).T.ravel()
    return patches[:, :, order]


@planted("conv2d", explained=("kernel-transposed",))
def conv_dx_taps_column_major(*arrays: Any, **options: Any) -> Called:
    """col2im lists the taps column by column, im2col row by row."""

    def back(patches: Array, at: Windows) -> Array:
        order = np.arange(patches.shape[2]).reshape(at.kernel).T.ravel()
        return scatter(patches[:, :, order], at)

    return textbook(*arrays, **options, back=back)


@planted("conv2d", explained=("last-tap-lost",))
def conv_last_tap_lost(*arrays: Any, **options: Any) -> Called:
    """The loop over taps ends one early, in the output alone."""

    def patches(x: Array, at: Windows) -> Array:
        p = gather(x, at)
        p[:, :, -1] = 0
        return p

    return textbook(*arrays, **options, patches=patches, patches_of_dw=gather)


@planted("conv2d", explained=("last-channel-lost",))
def conv_last_channel_lost(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """The loop over a kernel's channels ends one early, in the output alone."""
    fewer = w.copy()
    fewer[:, -1] = 0
    return forward_of(ops.conv2d(x, fewer, b, **options), ops.conv2d(x, w, b, **options))


@planted("conv2d")
def conv_large_kernel_cut(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """An unrolled loop has four rows of taps; a fifth is left out of the output."""
    fewer = w.copy()
    fewer[:, :, 4:] = 0
    return forward_of(ops.conv2d(x, fewer, b, **options), ops.conv2d(x, w, b, **options))


@planted("conv2d", explained=("stride-ignored",))
def conv_pointwise_dx_without_stride(*arrays: Any, **options: Any) -> Called:
    """The short way for 1x1 kernels is one product of matrices, and its dx forgets where the stride stepped."""
    if arrays[1].shape[2:] != (1, 1):
        return ops.conv2d(*arrays, **options)
    return textbook(*arrays, **options, back=lambda p, at: scatter(p, replace(at, stride=(1, 1))))


# Stride, padding, dilation


@planted("conv2d", explained=("stride-swapped",))
def conv_stride_swapped(x: Array, w: Array, b: Array | None = None, stride: Any = 1, **options: Any) -> Called:
    """stride is read as (width, height)."""
    return ops.conv2d(x, w, b, stride=swapped(stride), **options)


@planted("conv2d", explained=("stride-height-only",))
def conv_stride_of_height_for_both(
    x: Array, w: Array, b: Array | None = None, stride: Any = 1, **options: Any
) -> Called:
    """The stride of the height is used for the width as well."""
    return ops.conv2d(x, w, b, stride=pair(stride)[0], **options)


@planted("conv2d", explained=("padding-swapped",))
def conv_padding_swapped(x: Array, w: Array, b: Array | None = None, padding: Any = 0, **options: Any) -> Called:
    """padding is read as (width, height)."""
    return ops.conv2d(x, w, b, padding=swapped(padding), **options)


@planted("conv2d", explained=("padding-height-only",))
def conv_padding_of_height_for_both(
    x: Array, w: Array, b: Array | None = None, padding: Any = 0, **options: Any
) -> Called:
    """The padding of the height is used for the width as well."""
    return ops.conv2d(x, w, b, padding=padding if isinstance(padding, str) else pair(padding)[0], **options)


@planted("conv2d", explained=("padding-ignored",))
def conv_padding_ignored(*arrays: Any, **options: Any) -> Called:
    """The images are never padded."""
    return ops.conv2d(*arrays, **(options | {"padding": 0}))


@planted("conv2d", explained=("dilation-swapped",))
def conv_dilation_swapped(x: Array, w: Array, b: Array | None = None, dilation: Any = 1, **options: Any) -> Called:
    """dilation is read as (width, height)."""
    return ops.conv2d(x, w, b, dilation=swapped(dilation), **options)


@planted("conv2d", explained=("stride-ignored",))
def conv_dx_stride_ignored(*arrays: Any, **options: Any) -> Called:
    """col2im puts neighbouring windows one pixel apart."""
    return textbook(*arrays, **options, back=lambda p, at: scatter(p, replace(at, stride=(1, 1))))


@planted("conv2d", explained=("stride-ignored",), source="Kulbear/deep-learning-coursera#34")
def conv_dw_stride_ignored(*arrays: Any, **options: Any) -> Called:
    """dw reads the patches one pixel apart: the stride is missing in the backward."""
    return textbook(*arrays, **options, patches_of_dw=lambda x, at: gather(x, replace(at, stride=(1, 1))))


@planted("conv2d", explained=("stride-swapped",))
def conv_dx_stride_swapped(*arrays: Any, **options: Any) -> Called:
    """Zeros are stuffed between the rows of dy by the stride of the width, and the other way about."""
    return textbook(*arrays, **options, back=lambda p, at: scatter(p, replace(at, stride=at.stride[::-1])))


@planted("conv2d", explained=("dilation-ignored",))
def conv_dw_dilation_ignored(*arrays: Any, **options: Any) -> Called:
    """dw reads the taps next to each other."""
    return textbook(*arrays, **options, patches_of_dw=lambda x, at: gather(x, replace(at, dilation=(1, 1))))


@planted("conv2d", explained=("dilation-swapped",))
def conv_dx_dilation_swapped(*arrays: Any, **options: Any) -> Called:
    """dx spreads the taps by (width, height)."""
    return textbook(*arrays, **options, back=lambda p, at: scatter(p, replace(at, dilation=at.dilation[::-1])))


@planted("conv2d", explained=("padding-swapped",))
def conv_dx_padding_swapped(*arrays: Any, **options: Any) -> Called:
    """dx is cut out of its padded copy by (width, height)."""
    return textbook(*arrays, **options, back=lambda p, at: scatter(p, replace(at, padding=at.padding[::-1])))


@planted("conv2d", explained=("padding-not-cropped", "padding-ignored"))
def conv_dx_cropped_at_the_wrong_end(*arrays: Any, **options: Any) -> Called:
    """dx is the padded gradient's first rows and columns: the padding is cut off behind and not in front."""
    return textbook(*arrays, **options, back=lambda p, at: scatter(p, replace(at, padding=(0, 0))))


@planted("conv2d")
def conv_dx_cropped_by_minus_zero(*arrays: Any, **options: Any) -> Called:
    """dx is cut as [p:-p], which is empty where p is 0."""

    def back(patches: Array, at: Windows) -> Array:
        (top, left), wide = at.padding, scatter(patches, replace(at, padding=(0, 0), size=at.reach))
        return wide[:, :, top:-top, left:-left]

    return textbook(*arrays, **options, back=back)


@planted("conv2d", explained=("remainder-dropped",), source="f-dangel/backpack#30")
def conv_dx_without_the_remainder(*arrays: Any, **options: Any) -> Called:
    """The rows and columns that the floor of the output's size drops are missing in dx: its shape is too small."""

    def back(patches: Array, at: Windows) -> Array:
        met = [min(at.size[i], at.reach[i] - at.padding[i]) for i in (0, 1)]
        return scatter(patches, at)[:, :, : met[0], : met[1]]

    return textbook(*arrays, **options, back=back)


@planted("conv2d", explained=("result-shifted",), source="flagos-ai/FlagGems#1576")
def conv_dx_remainder_in_front(*arrays: Any, **options: Any) -> Called:
    """The zero rows and columns of dx that no window met stand in front instead of behind."""

    def back(patches: Array, at: Windows) -> Array:
        dx = scatter(patches, at)
        unmet = [max(0, at.size[i] + at.padding[i] - at.reach[i]) for i in (0, 1)]
        return np.roll(dx, unmet, axis=(2, 3))

    return textbook(*arrays, **options, back=back)


@planted("conv2d", explained=("border-lost", "last-row-lost"))
def conv_dx_remainder_and_padding(*arrays: Any, **options: Any) -> Called:
    """dx is cut by the padding behind its last window, which a remainder makes end before the padding."""

    def back(patches: Array, at: Windows) -> Array:
        dx = scatter(patches, at)
        for i in (0, 1):
            unmet = at.size[i] + 2 * at.padding[i] - at.reach[i]
            if unmet > 0 and at.padding[i]:
                lost = [slice(None)] * 4
                lost[2 + i] = slice(max(0, at.size[i] - unmet), None)
                dx[tuple(lost)] = 0
        return dx

    return textbook(*arrays, **options, back=back)


@planted("conv2d", explained=("result-shifted",), source="meta-pytorch/opacus#245")
def conv_dw_cut_from_the_end(*arrays: Any, **options: Any) -> Called:
    """dw as a convolution of x with dy is too large where a remainder is left, and is cut at the front."""

    def patches(x: Array, at: Windows) -> Array:
        unmet = [max(0, at.size[i] + 2 * at.padding[i] - at.reach[i]) // at.dilation[i] for i in (0, 1)]
        longer = replace(at, kernel=(at.kernel[0] + unmet[0], at.kernel[1] + unmet[1]))
        p = gather(x, longer).reshape(*x.shape[:2], *longer.kernel, *at.outputs)[:, :, unmet[0] :, unmet[1] :]
        return p.reshape(*x.shape[:2], at.kernel[0] * at.kernel[1], *at.outputs)

    return textbook(*arrays, **options, patches_of_dw=patches)


@planted("conv2d", explained=("same-pads-in-front", "result-shifted"))
def conv_same_pads_in_front(
    x: Array, w: Array, b: Array | None = None, padding: Any = 0, **options: Any
) -> Called:
    """Of an odd number of zeros, "same" puts the larger half above and to the left."""
    if padding != "same":
        return ops.conv2d(x, w, b, padding=padding, **options)
    total = [d * (k - 1) for d, k in zip(pair(options.get("dilation", 1)), w.shape[2:], strict=True)]
    (top, left), (bottom, right) = [t - t // 2 for t in total], [t // 2 for t in total]
    wide = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    return edited(
        ops.conv2d(wide, w, b, **options),
        dx=lambda g: g[:, :, top : top + x.shape[2], left : left + x.shape[3]],
    )


@planted("conv2d", explained=("replicate-padding",))
def conv_padding_replicates(*arrays: Any, **options: Any) -> Called:
    """The padding repeats the pixels at the edge instead of being 0, in the output and in dw."""

    def patches(x: Array, at: Windows) -> Array:
        behind = [max(0, at.reach[i] - at.size[i] - at.padding[i]) for i in (0, 1)]
        around = [(0, 0), (0, 0), (at.padding[0], behind[0]), (at.padding[1], behind[1])]
        wide = np.pad(x, around, mode="edge")
        return gather(wide, replace(at, size=(wide.shape[2], wide.shape[3]), padding=(0, 0)))

    return textbook(*arrays, **options, patches=patches)


@planted("conv2d", explained=("overlap-overwritten",))
def conv_dx_overlap_overwritten(*arrays: Any, **options: Any) -> Called:
    """col2im assigns where it should add: of overlapping windows the last tap stays."""

    def back(patches: Array, at: Windows) -> Array:
        wide = wide_zeros(patches, at)
        for tap, (i, j) in enumerate(at.taps()):
            wide[at.under(i, j)] = patches[:, :, tap]
        return cropped(wide, at)

    return textbook(*arrays, **options, back=back)


@planted("conv2d", explained=("last-row-lost",))
def conv_dw_last_row_lost(*arrays: Any, **options: Any) -> Called:
    """The loop over output rows ends one early in dw."""

    def patches(x: Array, at: Windows) -> Array:
        p = gather(x, at)
        p[..., -1, :] = 0
        return p

    return textbook(*arrays, **options, patches_of_dw=patches)


# Channels and groups


@planted("conv2d", explained=("first-group-only",), source="ebetica/autogradpp#53")
def conv_first_group_only(x: Array, w: Array, b: Array | None = None, groups: int = 1, **options: Any) -> Called:
    """groups is not handed on: every kernel sees the first group's channels."""
    y, pullback = ops.conv2d(x[:, : w.shape[1]], w, b, **options)

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        dx, dw, db = pullback(dy)
        return (
            np.concatenate([dx, np.zeros((len(x), dx.shape[1] * (groups - 1), *x.shape[2:]), x.dtype)], 1),
            dw,
            db,
        )

    return y, pulled


@planted("conv2d", explained=("groups-interleaved",))
def conv_groups_interleaved(x: Array, w: Array, b: Array | None = None, groups: int = 1, **options: Any) -> Called:
    """Kernel o belongs to group o mod groups, where it should be o // (kernels a group)."""
    order = np.arange(len(w)).reshape(-1, groups).T.ravel()
    there = np.argsort(order)
    bias = None if b is None else b[order]
    called = ops.conv2d(x, w[order], bias, groups=groups, **options)
    return edited(
        called, y=lambda y: y[:, there], dy=lambda u: u[:, order], dw=lambda g: g[there], db=lambda g: g[there]
    )


@planted("conv2d", explained=("groups-interleaved",))
def conv_dx_groups_interleaved(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """dx gives the channels back in the order (channel, group) instead of (group, channel)."""
    groups = options["groups"]
    order = np.arange(x.shape[1]).reshape(groups, -1).T.ravel()
    return edited(ops.conv2d(x, w, b, **options), dx=lambda g: g[:, order])


@planted("conv2d", explained=("channels-transposed",))
def conv_dx_group_kernels_not_transposed(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """dx reads each group's kernels as (channels, kernels) without transposing them."""
    groups = options["groups"]

    def misread(w: Array) -> Array:
        g = w.reshape(groups, w.shape[1], len(w) // groups, *w.shape[2:])
        return np.ascontiguousarray(g.swapaxes(1, 2)).reshape(w.shape)

    return textbook(x, w, b, **options, kernels_of_dx=misread)


@planted("conv2d", explained=("first-group-only",), source="pytorch/pytorch#51430")
def conv_dw_first_group_only(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """dw correlates every kernel with the channels of the first group."""

    def patches(x: Array, at: Windows) -> Array:
        return gather(np.tile(x[:, : w.shape[1]], (1, options["groups"], 1, 1)), at)

    return textbook(x, w, b, **options, patches_of_dw=patches)


@planted("conv2d", explained=("groups-interleaved",))
def conv_depthwise_multiplier(
    x: Array, w: Array, b: Array | None = None, groups: int = 1, **options: Any
) -> Called:
    """The depthwise way lays its outputs out as (multiplier, channel): wrong with several kernels a channel."""
    called = ops.conv2d(x, w, b, groups=groups, **options)
    if w.shape[1] != 1 or groups == 1:
        return called
    order = np.arange(len(w)).reshape(groups, -1).T.ravel()
    return edited(called, y=lambda y: y[:, order])


@planted("conv2d", source="NervanaSystems/neon#111")
def conv_dx_channel_index(*arrays: Any, **options: Any) -> Called:
    """dx is written to the channel that counts the taps, for another loop's index is used."""

    def back(patches: Array, at: Windows) -> Array:
        wide, channels = wide_zeros(patches, at), patches.shape[1]
        for tap, (i, j) in enumerate(at.taps()):
            wide[at.under(i, j)][:, tap % channels] += patches[:, :, tap].sum(axis=1)
        return cropped(wide, at)

    return textbook(*arrays, **options, back=back)


# The bias, the batch, the upstream gradient


@planted("conv2d", explained=("bias-missing",))
def conv_bias_missing(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """The bias is not added."""
    return forward_of(ops.conv2d(x, w, None, **options), ops.conv2d(x, w, b, **options))


@planted("conv2d", explained=("bias-doubled",))
def conv_bias_doubled(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """The bias is added by the product of matrices and once more behind it."""
    return edited(ops.conv2d(x, w, b, **options), y=lambda y: y if b is None else y + b[:, None, None])


@planted("conv2d", explained=("mean", "divided-by-positions", "divided-by-outputs"))
def conv_db_averaged(*arrays: Any, **options: Any) -> Called:
    """db is the mean of dy where it should be the sum."""
    y, pullback = ops.conv2d(*arrays, **options)
    count = y.size // y.shape[1]
    return edited((y, pullback), db=lambda g: g / g.dtype.type(count))


@planted("conv2d", explained=("batch-mean",))
def conv_dw_batch_mean(*arrays: Any, **options: Any) -> Called:
    """dw is divided by the batch, which the loss has done already."""
    return edited(ops.conv2d(*arrays, **options), dw=lambda g: g / g.dtype.type(len(arrays[0])))


@planted("conv2d", explained=("last-sample-only",), source="LBANN/lbann#1022")
def conv_dw_last_sample_only(*arrays: Any, **options: Any) -> Called:
    """dw is started afresh for each image of the batch: the last one's stays."""
    x, *parameters = arrays
    right = ops.conv2d(*arrays, **options)
    y, pullback = ops.conv2d(x[-1:], *parameters, **options)
    return mixed(right, (y, lambda dy: pullback(dy[-1:])), 1)


@planted("conv2d", explained=("upstream-ignored",))
def conv_dw_upstream_ignored(*arrays: Any, **options: Any) -> Called:
    """dw takes dy for ones."""
    return mixed(ops.conv2d(*arrays, **options), edited(ops.conv2d(*arrays, **options), dy=np.ones_like), 1)


@planted("conv2d", explained=("upstream-squared",))
def conv_dx_upstream_squared(*arrays: Any, **options: Any) -> Called:
    """dx is multiplied by dy twice."""
    return mixed(ops.conv2d(*arrays, **options), edited(ops.conv2d(*arrays, **options), dy=np.square), 0)


# Manners and precision


@planted("conv2d", explained=("stale",))
def conv_patches_overwritten(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """The pullback computes into the array of patches that dw needs: a second call finds it spoilt."""
    spoilt: list[bool] = []
    y, pullback = ops.conv2d(x, w, b, **options)

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        dx, dw, db = pullback(dy)
        dw = ops.conv2d(np.zeros_like(x), w, b, **options)[1](dy)[1] if spoilt else dw
        spoilt.append(True)
        return dx, dw, db

    return y, pulled


LAST: dict[str, Any] = {}  # what two of the bugs below keep at module level


@planted("conv2d", explained=("shared-state",))
def conv_patches_shared(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """The patches are kept at module level: a pullback differentiates whatever call came last."""
    at = conv_windows(x, w, options["stride"], options["padding"], options["dilation"])
    LAST["patches"] = x, at

    def kept(x: Array, at: Windows) -> Array:
        last, where = LAST["patches"]
        return gather(last, where) if (last.shape, where) == (x.shape, at) else gather(x, at)

    return textbook(x, w, b, **options, patches_of_dw=kept)


@planted("conv2d", explained=("accumulates",))
def conv_dw_accumulates(*arrays: Any, **options: Any) -> Called:
    """dw is added to what an earlier call of the pullback left: nobody calls zero_grad."""
    held = np.zeros_like(arrays[1])
    y, pullback = ops.conv2d(*arrays, **options)

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        dx, dw, db = pullback(dy)
        np.add(held, dw, out=held)
        return dx, held.copy(), db

    return y, pulled


@planted("conv2d", explained=("mutates-upstream",))
def conv_upstream_scaled_in_place(*arrays: Any, **options: Any) -> Called:
    """The pullback prepares dy in place, and spoils it for whoever holds it."""
    y, pullback = ops.conv2d(*arrays, **options)

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        gradients = pullback(dy.copy())
        dy *= 2
        return gradients

    return y, pulled


@planted("conv2d", explained=("float32-inside",))
def conv_float32_inside(*arrays: Any, **options: Any) -> Called:
    """Everything is computed in single precision and cast back."""
    return _in(np.float32, *arrays, **options)


@planted("conv2d", explained=("float16-inside",))
def conv_float16_in_dx(*arrays: Any, **options: Any) -> Called:
    """dx is rounded to half precision on its way."""
    dtype = arrays[0].dtype
    return edited(ops.conv2d(*arrays, **options), dx=lambda g: g.astype(np.float16).astype(dtype))


def _in(dtype: Any, *arrays: Any, **options: Any) -> Called:
    own = arrays[0].dtype
    narrow: Any = [a if a is None else a.astype(dtype) for a in arrays]
    return edited(
        ops.conv2d(*narrow, **options),
        y=lambda y: y.astype(own),
        dx=lambda g: g.astype(own),
        dw=lambda g: g.astype(own),
        db=lambda g: g.astype(own),
    )


@planted("conv2d", explained=("dtype-changed",))
def conv_dtype_changed(*arrays: Any, **options: Any) -> Called:
    """np.zeros without a dtype makes double precision of single."""
    return edited(ops.conv2d(*arrays, **options), dx=lambda g: g.astype(np.float64))


# Where only some geometry shows it


@planted("conv2d", explained=("dilation-ignored",))
def conv_dilation_ignored_for_3x3(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """The fast way for 3x3 kernels knows no dilation, in dw."""
    if w.shape[2:] != (3, 3):
        return ops.conv2d(x, w, b, **options)
    return textbook(x, w, b, **options, patches_of_dw=lambda x, at: gather(x, replace(at, dilation=(1, 1))))


@planted("conv2d", explained=("result-shifted",))
def conv_dx_shifted_for_even_kernels(*arrays: Any, **options: Any) -> Called:
    """dx is cut out around the kernel's middle, which an even kernel does not have: it is one pixel off."""

    def back(patches: Array, at: Windows) -> Array:
        shift = [1 - k % 2 for k in at.kernel]
        return np.roll(scatter(patches, at), shift, axis=(2, 3))

    return textbook(*arrays, **options, back=back)


@planted("conv2d")
def conv_blocks_of_eight_columns(*arrays: Any, **options: Any) -> Called:
    """The output is computed eight columns at a time, and what is left over is not."""

    def wide(y: Array) -> Array:
        y = y.copy()
        if y.shape[3] > 8:
            y[..., y.shape[3] // 8 * 8 :] = 0
        return y

    return edited(ops.conv2d(*arrays, **options), y=wide)


@planted("conv2d")
def conv_third_image_repeats_the_second(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """Images are computed in pairs; an odd one at the end gets the result of the one before."""

    def pairs(y: Array) -> Array:
        return np.concatenate([y[:-1], y[-2:-1]]) if len(y) > 1 and len(y) % 2 else y

    return edited(ops.conv2d(x, w, b, **options), y=pairs)


@planted("conv2d", explained=("stride-height-only",))
def conv_dw_stride_of_height_for_both(*arrays: Any, **options: Any) -> Called:
    """dw steps by the height's stride along the width as well."""
    return textbook(
        *arrays, **options, patches_of_dw=lambda x, at: gather(x, replace(at, stride=(at.stride[0], at.stride[0])))
    )


@planted("conv2d", explained=("summed-over-groups",))
def conv_dw_summed_over_groups(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """The groups add up to one dw, which every group then gets."""
    groups = options["groups"]

    def summed(dw: Array) -> Array:
        each = dw.reshape(groups, -1, *dw.shape[1:])
        return np.broadcast_to(each.sum(axis=0), each.shape).reshape(dw.shape)

    return edited(ops.conv2d(x, w, b, **options), dw=summed)


@planted("conv2d", explained=("last-sample-only",))
def conv_db_last_sample_only(*arrays: Any, **options: Any) -> Called:
    """db is that of the last image."""
    y, pullback = ops.conv2d(*arrays, **options)

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        dx, dw, db = pullback(dy)
        return dx, dw, None if db is None else dy[-1:].sum(axis=(0, 2, 3))

    return y, pulled


@planted("conv2d", explained=("first-sample-only", "first-sample-for-all"))
def conv_dx_of_the_first_image(*arrays: Any, **options: Any) -> Called:
    """Every image gets the dx of the first."""
    return edited(
        ops.conv2d(*arrays, **options), dx=lambda g: np.broadcast_to(g[:1], g.shape).copy() if len(g) else g
    )


@planted("conv2d", explained=("first-tap-column-lost",))
def conv_dw_of_a_narrow_image(*arrays: Any, **options: Any) -> Called:
    """Where an image is one pixel wide and padded, dw misses the first column of taps."""
    x = arrays[0]
    if x.shape[3] != 1:
        return ops.conv2d(*arrays, **options)

    def patches(x: Array, at: Windows) -> Array:
        p = gather(x, at).reshape(*x.shape[:2], *at.kernel, *at.outputs)
        if at.kernel[1] > 1 and at.padding[1]:
            p[:, :, :, 0] = 0
        return p.reshape(*x.shape[:2], at.kernel[0] * at.kernel[1], *at.outputs)

    return textbook(*arrays, **options, patches_of_dw=patches)
