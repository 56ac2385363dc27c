"""Convolutions with one mistake: tables of edits around numpy_cnn's op, and around a textbook's im2col."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from parity.cases.torch_op import Op
from parity.exam.bug import plant, planted
from parity.exam.edits import Called, Edit, edited, forward_of, mixed, option, reaching, results, upstream
from parity.exam.windows import Windows, conv_windows, cropped, gather, pair, scatter, swapped, wide_zeros

Back = Callable[[Array, Windows], Array]
conv2d: Op = ops.conv2d


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
    back: Back = scatter,
    kernels_of_dx: Callable[[Array], Array] = lambda w: w,
) -> Called:
    """im2col, one matrix product per group, col2im: right as it is, and open to mistakes in each part."""
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


def _textbook(**parts: Any) -> Op:
    return partial(textbook, **parts)


def _dx_at(**geometry: Callable[[Windows], Any]) -> Op:
    """col2im with other windows than im2col."""
    return _textbook(back=lambda p, at: scatter(p, replace(at, **{n: of(at) for n, of in geometry.items()})))


def _dw_at(**geometry: Callable[[Windows], Any]) -> Op:
    """dw from the patches of other windows."""
    return _textbook(
        patches_of_dw=lambda x, at: gather(x, replace(at, **{n: of(at) for n, of in geometry.items()}))
    )


def _dx_cropped(crop: Back) -> Op:
    """What is made of dx once it is scattered."""
    return _textbook(back=lambda p, at: crop(scatter(p, at), at))


def _kernels(edit: Edit, back: Edit | None = None) -> Op:
    """The weight edited in all results, and its gradient edited back."""

    def op(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
        called = ops.conv2d(x, np.ascontiguousarray(edit(w)), b, **options)
        return edited(called, dw=back or edit)

    return op


def _first_pair(value: Any) -> Any:
    return value if isinstance(value, str) else pair(value)[0]


def _zeroed(*index: Any) -> Edit:
    def edit(a: Array) -> Array:
        a = a.copy()
        a[index] = 0
        return a

    return edit


def _column_major(patches: Array, at: Windows) -> Array:
    return patches[:, :, np.arange(patches.shape[2]).reshape(at.kernel).T.ravel()]


def _met(g: Array, at: Windows) -> Array:
    ends = [min(at.size[i], at.reach[i] - at.padding[i]) for i in (0, 1)]
    return g[:, :, : ends[0], : ends[1]]


def _unmet_in_front(g: Array, at: Windows) -> Array:
    return np.roll(g, [max(0, at.size[i] + at.padding[i] - at.reach[i]) for i in (0, 1)], axis=(2, 3))


def _minus_zero(patches: Array, at: Windows) -> Array:
    (top, left), wide = at.padding, scatter(patches, replace(at, padding=(0, 0), size=at.reach))
    return wide[:, :, top:-top, left:-left]


def _assigned(patches: Array, at: Windows) -> Array:
    wide = wide_zeros(patches, at)
    for tap, (i, j) in enumerate(at.taps()):
        wide[at.under(i, j)] = patches[:, :, tap]
    return cropped(wide, at)


def _by_tap(patches: Array, at: Windows) -> Array:
    wide, channels = wide_zeros(patches, at), patches.shape[1]
    for tap, (i, j) in enumerate(at.taps()):
        wide[at.under(i, j)][:, tap % channels] += patches[:, :, tap].sum(axis=1)
    return cropped(wide, at)


def _mean_of_samples(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    return edited(ops.conv2d(x, w, b, **options), dw=lambda g: g / g.dtype.type(len(x)))


def _by_position(y: Array) -> Array:
    """The columns of the matrix (O, N·P·Q) read as (O, P·Q·N)."""
    n, o, p, q = y.shape
    return np.ascontiguousarray(y.transpose(1, 0, 2, 3)).reshape(o, p, q, n).transpose(3, 0, 1, 2)


FLIPPED, UPSIDE_DOWN, MIRRORED = (
    (lambda w: w[..., ::-1, ::-1]),
    (lambda w: w[..., ::-1, :]),
    (lambda w: w[..., ::-1]),
)
SQUARE: Edit = np.square

# name, explanations, op, what it makes wrong, where it was met
TABLE: tuple[tuple[Any, ...], ...] = (
    ("conv-kernel-flipped", "kernel-flipped", _kernels(FLIPPED), "y dx dw"),
    ("conv-output-kernel-flipped", "kernel-flipped", reaching(_kernels(FLIPPED), conv2d, "y"), "y"),
    ("conv-dx-kernel-flipped", "kernel-flipped", _textbook(kernels_of_dx=FLIPPED), "dx"),
    ("conv-dw-flipped", "kernel-flipped result-flipped", results(conv2d, dw=FLIPPED), "dw"),
    ("conv-kernel-flipped-in-height", "kernel-flipped-height", reaching(_kernels(UPSIDE_DOWN), conv2d, "y"), "y"),
    ("conv-dx-kernel-flipped-in-width", "kernel-flipped-width", _textbook(kernels_of_dx=MIRRORED), "dx"),
    (
        "conv-taps-column-major",
        "taps-column-major taps-row-major",
        _textbook(patches=lambda x, at: _column_major(gather(x, at), at)),
        "y dw",
    ),
    (
        "conv-dx-taps-column-major",
        "taps-column-major taps-row-major",
        _textbook(back=lambda p, at: scatter(_column_major(p, at), at)),
        "dx",
    ),
    ("conv-last-tap-lost", "last-tap-lost", reaching(_kernels(_zeroed(..., -1, -1)), conv2d, "y"), "y"),
    (
        "conv-last-channel-lost",
        "last-input-channel-lost",
        reaching(_kernels(_zeroed(slice(None), -1)), conv2d, "y"),
        "y",
    ),
    ("conv-stride-swapped", "stride-swapped", option(conv2d, "stride", swapped), ""),
    ("conv-stride-of-height-for-both", "stride-height-only", option(conv2d, "stride", _first_pair), ""),
    ("conv-padding-swapped", "padding-swapped", option(conv2d, "padding", swapped), ""),
    ("conv-padding-of-height-for-both", "padding-height-only", option(conv2d, "padding", _first_pair), ""),
    ("conv-padding-ignored", "padding-ignored", option(conv2d, "padding", lambda _: 0), ""),
    ("conv-dilation-swapped", "dilation-swapped", option(conv2d, "dilation", swapped), ""),
    ("conv-dilation-ignored", "dilation-ignored option-ignored", option(conv2d, "dilation", lambda _: 1), ""),
    ("conv-dx-stride-ignored", "stride-ignored", _dx_at(stride=lambda _: (1, 1)), "dx"),
    (
        "conv-dw-stride-ignored",
        "stride-ignored",
        _dw_at(stride=lambda _: (1, 1)),
        "dw",
        "Kulbear/deep-learning-coursera#34",
    ),
    ("conv-dx-stride-swapped", "stride-swapped", _dx_at(stride=lambda at: at.stride[::-1]), "dx"),
    (
        "conv-dw-stride-of-height-for-both",
        "stride-height-only",
        _dw_at(stride=lambda at: (at.stride[0],) * 2),
        "dw",
    ),
    ("conv-dw-dilation-ignored", "dilation-ignored", _dw_at(dilation=lambda _: (1, 1)), "dw"),
    ("conv-dx-dilation-swapped", "dilation-swapped", _dx_at(dilation=lambda at: at.dilation[::-1]), "dx"),
    ("conv-dx-padding-swapped", "padding-swapped", _dx_at(padding=lambda at: at.padding[::-1]), "dx"),
    ("conv-dx-cropped-at-the-wrong-end", "padding-ignored", _dx_at(padding=lambda _: (0, 0)), "dx"),
    ("conv-dx-cropped-by-minus-zero", "cropped-at-minus-zero", _textbook(back=_minus_zero), "dx"),
    ("conv-dx-without-the-remainder", "remainder-dropped", _dx_cropped(_met), "dx", "f-dangel/backpack#30"),
    (
        "conv-dx-remainder-in-front",
        "remainder-in-front result-shifted",
        _dx_cropped(_unmet_in_front),
        "dx",
        "flagos-ai/FlagGems#1576",
    ),
    ("conv-dx-overlap-overwritten", "overlap-overwritten", _textbook(back=_assigned), "dx"),
    ("conv-columns-ordered-by-sample", "columns-misordered", results(conv2d, y=_by_position), "y"),
    (
        "conv-bias-missing",
        "bias-missing",
        lambda x, w, b=None, **o: forward_of(ops.conv2d(x, w, None, **o), ops.conv2d(x, w, b, **o)),
        "y",
    ),
    (
        "conv-bias-doubled",
        "bias-doubled",
        lambda x, w, b=None, **o: edited(
            ops.conv2d(x, w, b, **o), y=lambda y: y if b is None else y + b[:, None, None]
        ),
        "y",
    ),
    ("conv-dw-batch-mean", "batch-mean", _mean_of_samples, "dw"),
    ("conv-dx-upstream-squared", "upstream-squared", upstream(conv2d, SQUARE, "dx"), "dx"),
    (
        "conv-dx-of-the-first-image",
        "first-sample-for-all",
        results(conv2d, dx=lambda g: np.broadcast_to(g[:1], g.shape).copy() if len(g) else g),
        "dx",
    ),
    (
        "conv-float16-in-dx",
        "float16-inside",
        results(conv2d, dx=lambda g: g.astype(np.float16).astype(g.dtype)),
        "dx",
    ),
    ("conv-dtype-changed", "dtype-changed", results(conv2d, dx=lambda g: g.astype(np.float64)), "dx"),
)
for line in TABLE:
    plant("conv2d", *line, order="ordered by sample")


@planted("conv2d", at="y")
def conv_large_kernel_cut(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """An unrolled loop has four rows of taps; a fifth is left out of the output."""
    return forward_of(
        ops.conv2d(x, _zeroed(slice(None), slice(None), slice(4, None))(w), b, **options),
        ops.conv2d(x, w, b, **options),
    )


@planted("conv2d", explained=("stride-ignored",), at="dx")
def conv_pointwise_dx_without_stride(*arrays: Any, **options: Any) -> Called:
    """The short way for 1x1 kernels is one matrix product, and its dx forgets where the stride stepped."""
    wrong = arrays[1].shape[2:] == (1, 1)
    return (_dx_at(stride=lambda _: (1, 1)) if wrong else conv2d)(*arrays, **options)  # type: ignore[no-any-return]  # an op


@planted("conv2d", explained=("last-row-lost",), at="dx")
def conv_dx_remainder_and_padding(*arrays: Any, **options: Any) -> Called:
    """dx is cut by the padding behind its last window, which a remainder makes end before the padding."""

    def crop(dx: Array, at: Windows) -> Array:
        for i in (0, 1):
            unmet = at.size[i] + 2 * at.padding[i] - at.reach[i]
            if unmet > 0 and at.padding[i]:
                np.moveaxis(dx, 2 + i, 0)[max(0, at.size[i] - unmet) :] = 0
        return dx

    return _dx_cropped(crop)(*arrays, **options)  # type: ignore[no-any-return]  # an op


@planted("conv2d", explained=("result-shifted",), at="dw", source="meta-pytorch/opacus#245")
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


@planted("conv2d", explained=("replicate-padding",), at="y dw")
def conv_padding_replicates(*arrays: Any, **options: Any) -> Called:
    """The padding repeats the pixels at the edge instead of being 0, in the output and in dw."""

    def patches(x: Array, at: Windows) -> Array:
        behind = [max(0, at.reach[i] - at.size[i] - at.padding[i]) for i in (0, 1)]
        wide = np.pad(x, [(0, 0), (0, 0), (at.padding[0], behind[0]), (at.padding[1], behind[1])], mode="edge")
        return gather(wide, replace(at, size=(wide.shape[2], wide.shape[3]), padding=(0, 0)))

    return textbook(*arrays, **options, patches=patches)


# Channels and groups


@planted("conv2d", explained=("first-group-only",), source="ebetica/autogradpp#53")
def conv_first_group_only(x: Array, w: Array, b: Array | None = None, groups: int = 1, **options: Any) -> Called:
    """groups is not passed on: every kernel reads the first group's channels."""
    y, pullback = ops.conv2d(x[:, : w.shape[1]], w, b, **options)

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        dx, dw, db = pullback(dy)
        rest = np.zeros((len(x), dx.shape[1] * (groups - 1), *x.shape[2:]), x.dtype)
        return np.concatenate([dx, rest], 1), dw, db

    return y, pulled


@planted("conv2d", explained=("kernels-in-other-groups", "groups-interleaved"))
def conv_groups_interleaved(x: Array, w: Array, b: Array | None = None, groups: int = 1, **options: Any) -> Called:
    """Kernel o belongs to group o mod groups, where it should be o // (kernels per group)."""
    order = np.arange(len(w)).reshape(-1, groups).T.ravel()
    there = np.argsort(order)
    called = ops.conv2d(x, w[order], None if b is None else b[order], groups=groups, **options)
    return edited(
        called, y=lambda y: y[:, there], dy=lambda u: u[:, order], dw=lambda g: g[there], db=lambda g: g[there]
    )


@planted("conv2d", explained=("groups-interleaved",), at="dx")
def conv_dx_groups_interleaved(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """dx returns the channels in the order (channel, group) instead of (group, channel)."""
    order = np.arange(x.shape[1]).reshape(options["groups"], -1).T.ravel()
    return edited(ops.conv2d(x, w, b, **options), dx=lambda g: g[:, order])


@planted("conv2d", explained=("kernels-misread",), at="dx")
def conv_dx_group_kernels_not_transposed(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """dx reads each group's kernels as (channels, kernels) without transposing them."""
    groups = options["groups"]

    def misread(w: Array) -> Array:
        g = w.reshape(groups, w.shape[1], len(w) // groups, *w.shape[2:])
        return np.ascontiguousarray(g.swapaxes(1, 2)).reshape(w.shape)

    return textbook(x, w, b, **options, kernels_of_dx=misread)


@planted("conv2d", explained=("first-group-only",), at="dw", source="pytorch/pytorch#51430")
def conv_dw_first_group_only(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """dw correlates every kernel with the channels of the first group."""

    def patches(x: Array, at: Windows) -> Array:
        return gather(np.tile(x[:, : w.shape[1]], (1, options["groups"], 1, 1)), at)

    return textbook(x, w, b, **options, patches_of_dw=patches)


@planted("conv2d", explained=("outputs-interleaved", "outputs-deinterleaved", "groups-interleaved"), at="y")
def conv_depthwise_multiplier(
    x: Array, w: Array, b: Array | None = None, groups: int = 1, **options: Any
) -> Called:
    """The depthwise way lays its outputs out as (multiplier, channel): wrong with several kernels per channel."""
    called = ops.conv2d(x, w, b, groups=groups, **options)
    if w.shape[1] != 1 or groups == 1:
        return called
    order = np.arange(len(w)).reshape(groups, -1).T.ravel()
    return edited(called, y=lambda y: y[:, order])


@planted("conv2d", explained=("summed-over-groups",), at="dw")
def conv_dw_summed_over_groups(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """The groups add up to one dw, which every group then gets."""

    def summed(dw: Array) -> Array:
        each = dw.reshape(options["groups"], -1, *dw.shape[1:])
        return np.broadcast_to(each.sum(axis=0), each.shape).reshape(dw.shape)

    return edited(ops.conv2d(x, w, b, **options), dw=summed)


@planted("conv2d", at="dx", source="NervanaSystems/neon#111")
def conv_dx_channel_index(*arrays: Any, **options: Any) -> Called:
    """dx is written to the channel that counts the taps: the index of another loop is used."""
    return textbook(*arrays, **options, back=_by_tap)


@planted("conv2d", explained=("divided-by-outputs",), at="db")
def conv_db_averaged(*arrays: Any, **options: Any) -> Called:
    """db is the mean of dy where it should be the sum."""
    y, pullback = ops.conv2d(*arrays, **options)
    return edited((y, pullback), db=lambda g: g / g.dtype.type(y.size // y.shape[1]))


@planted("conv2d", explained=("last-sample-only",), at="dw", source="LBANN/lbann#1022")
def conv_dw_last_sample_only(*arrays: Any, **options: Any) -> Called:
    """dw starts from zero for each image of the batch: only the last one's remains."""
    x, *parameters = arrays
    y, pullback = ops.conv2d(x[-1:], *parameters, **options)
    return mixed(ops.conv2d(*arrays, **options), (y, lambda dy: pullback(dy[-1:])), 1)


@planted("conv2d", explained=("last-sample-only",), at="db")
def conv_db_last_sample_only(*arrays: Any, **options: Any) -> Called:
    """db is that of the last image."""
    return upstream(conv2d, _all_but_last_lost, "db")(*arrays, **options)  # type: ignore[no-any-return]  # an op


def _all_but_last_lost(dy: Array) -> Array:
    return _zeroed(slice(None, -1))(dy)  # type: ignore[no-any-return]  # an array


@planted("conv2d", explained=("last-row-lost",), at="dw")
def conv_dw_last_row_lost(*arrays: Any, **options: Any) -> Called:
    """The loop over output rows ends one early in dw."""
    return textbook(*arrays, **options, patches_of_dw=lambda x, at: _zeroed(..., -1, slice(None))(gather(x, at)))


# What a layer keeps


@planted("conv2d", explained=("stale",))
def conv_patches_overwritten(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """The pullback computes into the array of patches that dw needs: a second call finds it overwritten."""
    overwritten: list[bool] = []
    y, pullback = ops.conv2d(x, w, b, **options)

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        dx, dw, db = pullback(dy)
        dw = ops.conv2d(np.zeros_like(x), w, b, **options)[1](dy)[1] if overwritten else dw
        overwritten.append(True)
        return dx, dw, db

    return y, pulled


LAST: dict[str, Any] = {}  # what one of the bugs below keeps at module level


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


@planted("conv2d", explained=("stale",))
def conv_cache_scaled(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """The pullback scales its patches in place: calls return dw, 3 dw, 9 dw, which nothing adds up to."""
    scale = [x.dtype.type(1)]
    y, pullback = ops.conv2d(x, w, b, **options)

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        dx, dw, db = pullback(dy)
        dw = dw * scale[0]
        scale[0] *= 2
        return dx, dw, db

    return y, pulled


@planted("conv2d", explained=("mutates-upstream",))
def conv_upstream_scaled_in_place(*arrays: Any, **options: Any) -> Called:
    """The pullback prepares dy in place, and changes it for whoever holds it."""
    y, pullback = ops.conv2d(*arrays, **options)

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        gradients = pullback(dy.copy())
        dy *= 2
        return gradients

    return y, pulled


@planted("conv2d", explained=("float32-inside",))
def conv_float32_inside(*arrays: Any, **options: Any) -> Called:
    """Everything is computed in single precision and cast back."""
    own = arrays[0].dtype
    narrow: Any = [a if a is None else a.astype(np.float32) for a in arrays]

    def back(a: Array) -> Array:
        return a.astype(own)

    return edited(ops.conv2d(*narrow, **options), y=back, dx=back, dw=back, db=back)


# Where only some geometry shows it


@planted("conv2d", explained=("dilation-ignored",), at="dw")
def conv_dilation_ignored_for_3x3(*arrays: Any, **options: Any) -> Called:
    """The fast way for 3x3 kernels has no dilation, in dw."""
    wrong = arrays[1].shape[2:] == (3, 3)
    return (_dw_at(dilation=lambda _: (1, 1)) if wrong else conv2d)(*arrays, **options)  # type: ignore[no-any-return]  # an op


@planted("conv2d", explained=("result-shifted",), at="dx")
def conv_dx_shifted_for_even_kernels(*arrays: Any, **options: Any) -> Called:
    """dx is cut out around the kernel's middle, which an even kernel does not have: it is one pixel off."""
    shifted = _dx_cropped(lambda dx, at: np.roll(dx, [1 - k % 2 for k in at.kernel], axis=(2, 3)))
    return shifted(*arrays, **options)  # type: ignore[no-any-return]  # an op


@planted("conv2d", at="y")
def conv_blocks_of_eight_columns(*arrays: Any, **options: Any) -> Called:
    """The output is computed eight columns at a time, and the remaining columns are not."""

    def wide(y: Array) -> Array:
        return _zeroed(..., slice(y.shape[3] // 8 * 8, None))(y) if y.shape[3] > 8 else y

    return edited(ops.conv2d(*arrays, **options), y=wide)


@planted("conv2d", at="y")
def conv_third_image_repeats_the_second(*arrays: Any, **options: Any) -> Called:
    """Images are computed in pairs; an odd one at the end gets the result of the one before."""

    def pairs(y: Array) -> Array:
        return np.concatenate([y[:-1], y[-2:-1]]) if len(y) > 1 and len(y) % 2 else y

    return edited(ops.conv2d(*arrays, **options), y=pairs)


@planted("conv2d", explained=("first-tap-column-lost",), at="dw")
def conv_dw_of_a_narrow_image(*arrays: Any, **options: Any) -> Called:
    """Where an image is one pixel wide and padded, dw misses the first column of taps."""

    def patches(x: Array, at: Windows) -> Array:
        p = gather(x, at).reshape(*x.shape[:2], *at.kernel, *at.outputs)
        if x.shape[3] == 1 and at.kernel[1] > 1 and at.padding[1]:
            p[:, :, :, 0] = 0
        return p.reshape(*x.shape[:2], at.kernel[0] * at.kernel[1], *at.outputs)

    return textbook(*arrays, **options, patches_of_dw=patches)
