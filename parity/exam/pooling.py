"""Max pooling with one mistake."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from parity.exam.bug import planted
from parity.exam.edits import Called, edited, forward_of
from parity.exam.windows import Windows, cropped, gather, pair, pool_windows, scatter, swapped, wide_zeros


def textbook(
    x: Array,
    *window: Any,
    fill: float = -np.inf,
    select: Callable[[Array], Array] = lambda p: p.argmax(axis=2),
    back: Callable[[Array, Windows], Array] = scatter,
    **options: Any,
) -> Called:
    """Patches, the tap that wins in each, and dy scattered to it."""
    at = pool_windows(x, *window, **options)
    patches = gather(x, at, fill)
    winner = select(patches)[:, :, None]
    y = np.take_along_axis(patches, winner, axis=2)[:, :, 0]

    def pullback(dy: Array) -> tuple[Array]:
        routed = np.zeros_like(patches)
        np.put_along_axis(routed, winner, dy[:, :, None], axis=2)
        return (back(routed, at),)

    return y, pullback


def _shared_out(x: Array, options: dict[str, Any], share: Callable[[Array], Array]) -> Called:
    """dy to each tap that equals the maximum, as large as `share` says."""
    y, _ = ops.max_pool2d(x, **options)
    at = pool_windows(x, **options)
    winners = gather(x, at, -np.inf) == y[:, :, None]

    def pullback(dy: Array) -> tuple[Array]:
        return (scatter(share(winners).astype(x.dtype) * dy[:, :, None], at),)

    return y, pullback


@planted("max_pool2d", explained=("zero-padding", "zero-padding-wins"))
def pool_padded_with_zero(x: Array, **options: Any) -> Called:
    """The padding is 0 where it should be minus infinity: negative borders lose to it."""
    return textbook(x, fill=0.0, **options)


@planted("max_pool2d", explained=("starts-from-zero",), at="y")
def pool_starts_from_zero(x: Array, **options: Any) -> Called:
    """The running maximum starts at 0: a window of negative numbers gives 0."""
    return edited(ops.max_pool2d(x, **options), y=lambda y: np.maximum(y, 0))


@planted("max_pool2d", explained=("ties-to-all",), at="dx")
def pool_ties_to_all(x: Array, **options: Any) -> Called:
    """Every tap that equals the maximum takes all of dy."""
    return _shared_out(x, options, lambda winners: winners)


@planted("max_pool2d", explained=("ties-split",), at="dx")
def pool_ties_split(x: Array, **options: Any) -> Called:
    """Taps that tie share dy evenly."""
    return _shared_out(x, options, lambda winners: winners / np.maximum(winners.sum(axis=2, keepdims=True), 1))


@planted("max_pool2d", explained=("ties-to-last",), at="dx")
def pool_ties_to_last(x: Array, **options: Any) -> Called:
    """Of equal taps the last one takes dy: the comparison is >= where it should be >."""
    last = textbook(x, select=lambda p: p.shape[2] - 1 - p[:, :, ::-1].argmax(axis=2), **options)
    return forward_of(ops.max_pool2d(x, **options), last)


@planted(
    "max_pool2d",
    explained=("windows-overwritten-unless-zero", "windows-overwritten"),
    at="dx",
    source="0809zheng/CS231n-assignment2019#19",
)
def pool_overlap_overwritten(x: Array, **options: Any) -> Called:
    """Overlapping windows overwrite each other's gradient instead of adding to it."""

    def back(routed: Array, at: Windows) -> Array:
        wide = wide_zeros(routed, at)
        for p in range(at.outputs[0]):
            for q in range(at.outputs[1]):
                for tap, (i, j) in enumerate(at.taps()):
                    here = wide[:, :, p * at.stride[0] + i * at.dilation[0], q * at.stride[1] + j * at.dilation[1]]
                    np.copyto(here, routed[:, :, tap, p, q], where=routed[:, :, tap, p, q] != 0)
        return cropped(wide, at)

    return textbook(x, back=back, **options)


@planted("max_pool2d", explained=("first-nonzero-window-only", "first-window-only"), at="dx")
def pool_first_window_only(x: Array, **options: Any) -> Called:
    """A pixel that wins in several windows gets the gradient of the first alone."""

    def back(routed: Array, at: Windows) -> Array:
        wide = wide_zeros(routed, at)
        for p in reversed(range(at.outputs[0])):
            for q in reversed(range(at.outputs[1])):
                for tap, (i, j) in enumerate(at.taps()):
                    here = wide[:, :, p * at.stride[0] + i * at.dilation[0], q * at.stride[1] + j * at.dilation[1]]
                    np.copyto(here, routed[:, :, tap, p, q], where=routed[:, :, tap, p, q] != 0)
        return cropped(wide, at)

    return textbook(x, back=back, **options)


@planted("max_pool2d", explained=("stride-swapped", "option-swapped"))
def pool_stride_swapped(x: Array, stride: Any = None, **options: Any) -> Called:
    """stride is read as (width, height)."""
    return ops.max_pool2d(x, stride=None if stride is None else swapped(stride), **options)


@planted("max_pool2d", explained=("stride-ignored",))
def pool_stride_of_one(x: Array, stride: Any = None, **options: Any) -> Called:
    """A stride that is not given counts as 1 instead of the kernel's size."""
    return ops.max_pool2d(x, stride=1 if stride is None else stride, **options)


@planted("max_pool2d", explained=("padding-swapped",))
def pool_padding_swapped(x: Array, padding: Any = 0, **options: Any) -> Called:
    """padding is read as (width, height)."""
    return textbook(x, padding=swapped(padding), **options)


@planted("max_pool2d", explained=("dilation-ignored",))
def pool_dilation_ignored(x: Array, dilation: Any = 1, **options: Any) -> Called:  # noqa: ARG001  # the bug
    """The taps lie next to each other, whatever the dilation."""
    return ops.max_pool2d(x, **options)


@planted("max_pool2d", explained=("dilation-height-only",), at="dx", source="tracel-ai/burn#4466")
def pool_dx_dilation_of_height_for_both(x: Array, **options: Any) -> Called:
    """The backward uses the height's dilation for the width as well."""

    def back(routed: Array, at: Windows) -> Array:
        return scatter(routed, replace(at, dilation=(at.dilation[0], at.dilation[0])))

    return textbook(x, back=back, **options)


@planted("max_pool2d", at="y", source="microsoft/onnxruntime#29637")
def pool_dilated_window_clamped(x: Array, **options: Any) -> Called:
    """A window that begins in the padding is moved to pixel 0, and its taps then step from there."""
    at = pool_windows(x, **options)
    y = np.empty((*x.shape[:2], *at.outputs), x.dtype)
    for p in range(at.outputs[0]):
        for q in range(at.outputs[1]):
            begin = p * at.stride[0] - at.padding[0], q * at.stride[1] - at.padding[1]
            end = [min(begin[i] + (at.kernel[i] - 1) * at.dilation[i] + 1, at.size[i]) for i in (0, 1)]
            rows = slice(max(begin[0], 0), end[0], at.dilation[0])
            columns = slice(max(begin[1], 0), end[1], at.dilation[1])
            y[:, :, p, q] = x[:, :, rows, columns].max(axis=(2, 3), initial=-np.inf)
    return forward_of((y, lambda dy: (dy,)), ops.max_pool2d(x, **options))


@planted("max_pool2d", explained=("ceil-ignored",))
def pool_ceil_mode_ignored(x: Array, ceil_mode: bool = False, **options: Any) -> Called:  # noqa: ARG001  # the bug
    """ceil_mode is not looked at."""
    return ops.max_pool2d(x, **options)


@planted("max_pool2d", explained=("window-in-padding-kept",), at="y", source="pytorch/pytorch#45357")
def pool_window_outside(x: Array, **options: Any) -> Called:
    """In ceil_mode a last window that begins behind the image is kept, and is minus infinity."""
    at = pool_windows(x, **options)
    if not options.get("ceil_mode"):
        return textbook(x, **options)
    rows, columns = (
        -(-(at.size[i] + 2 * at.padding[i] - at.dilation[i] * (at.kernel[i] - 1) - 1) // at.stride[i]) + 1
        for i in (0, 1)
    )
    y = gather(x, replace(at, outputs=(rows, columns)), -np.inf).max(axis=2)
    return y, textbook(x, **options)[1]


@planted("max_pool2d", explained=("window-gradient-averaged",), at="dx")
def pool_gradient_averaged(x: Array, **options: Any) -> Called:
    """The gradient is average pooling's: each tap takes an equal share."""
    at = pool_windows(x, **options)
    taps = at.kernel[0] * at.kernel[1]

    def pullback(dy: Array) -> tuple[Array]:
        return (scatter(np.repeat((dy / dy.dtype.type(taps))[:, :, None], taps, axis=2), at),)

    return ops.max_pool2d(x, **options)[0], pullback


@planted("max_pool2d", explained=("average-with-padding", "average"), at="y")
def pool_average(x: Array, **options: Any) -> Called:
    """The mean of each window stands for its maximum."""
    at = pool_windows(x, **options)
    y = gather(x, at).mean(axis=2, dtype=x.dtype)
    return forward_of((y, lambda dy: (dy,)), ops.max_pool2d(x, **options))


@planted("max_pool2d", explained=("minimum", "minimum-wins"))
def pool_minimum(x: Array, **options: Any) -> Called:
    """The smallest value of each window wins."""
    return textbook(x, fill=np.inf, select=lambda p: p.argmin(axis=2), **options)


@planted("max_pool2d", explained=("first-nan",), at="dx")
def pool_first_nan_wins(x: Array, **options: Any) -> Called:
    """Of several NaN in a window argmax takes the first, torch the last."""
    return forward_of(ops.max_pool2d(x, **options), textbook(x, **options))


@planted("max_pool2d", explained=("nan-ignored",), at="y")
def pool_nan_swallowed(x: Array, **options: Any) -> Called:
    """np.fmax passes over NaN: a window of NaN and numbers gives a number."""
    at = pool_windows(x, **options)
    y = np.fmax.reduce(gather(x, at, -np.inf), axis=2)
    return forward_of((y, lambda dy: (dy,)), ops.max_pool2d(x, **options))


@planted("max_pool2d", explained=("winner-split-by-height",), at="dx")
def pool_winner_decoded_by_height(x: Array, **options: Any) -> Called:
    """The winner's number is split by the kernel's height instead of its width: wrong if it is not square."""

    def back(routed: Array, at: Windows) -> Array:
        kh, kw = at.kernel
        wide = np.zeros(
            (
                *routed.shape[:2],
                *(max(at.reach[i] + at.dilation[i] * kh * kw, at.size[i] + at.padding[i]) for i in (0, 1)),
            ),
            routed.dtype,
        )
        for tap in range(kh * kw):
            wide[at.under(tap // kh, tap % kh)] += routed[:, :, tap]
        return cropped(wide, at)

    return textbook(x, back=back, **options)


@planted("max_pool2d", at="dx")
def pool_empty_window_lost(x: Array, **options: Any) -> Called:
    """A window of minus infinities has no winner, for none of its taps is greater than the maximum so far."""
    y, pullback = ops.max_pool2d(x, **options)
    return y, lambda dy: pullback(np.where(y == -np.inf, 0, dy).astype(dy.dtype))


@planted("max_pool2d", explained=("remainder-dropped",), at="dx")
def pool_dx_without_the_remainder(x: Array, **options: Any) -> Called:
    """dx ends with the last window: rows that the floor drops are missing."""

    def back(routed: Array, at: Windows) -> Array:
        met = [min(at.size[i], at.reach[i] - at.padding[i]) for i in (0, 1)]
        return scatter(routed, at)[:, :, : met[0], : met[1]]

    return textbook(x, back=back, **options)


@planted("max_pool2d", explained=("padding-ignored",), at="dx")
def pool_dx_cropped_at_the_wrong_end(x: Array, **options: Any) -> Called:
    """dx is cut out of its padded copy from the first row on."""
    return textbook(x, back=lambda r, at: scatter(r, replace(at, padding=(0, 0))), **options)


@planted("max_pool2d", explained=("upstream-ignored",), at="dx")
def pool_upstream_ignored(x: Array, **options: Any) -> Called:
    """dx marks the winners with ones."""
    return edited(ops.max_pool2d(x, **options), dy=np.ones_like)


LAST: dict[str, Any] = {}


@planted("max_pool2d", explained=("shared-state",))
def pool_winners_shared(x: Array, **options: Any) -> Called:
    """The winners are kept at module level: the next call of that shape overwrites them."""
    y, pullback = ops.max_pool2d(x, **options)
    LAST[f"{x.shape}{x.dtype}{options}"] = pullback
    return y, lambda dy: LAST[f"{x.shape}{x.dtype}{options}"](dy)


@planted("max_pool2d", explained=("mutates-input",))
def pool_nan_replaced_in_the_input(x: Array, **options: Any) -> Called:
    """Values beyond 6 are clipped in the caller's own array."""
    y, pullback = ops.max_pool2d(x.copy(), **options)
    if x.flags.writeable:
        np.minimum(x, 6, out=x)
    return y, pullback


@planted("max_pool2d", at="y")
def pool_fifth_column_lost(x: Array, **options: Any) -> Called:
    """An unrolled loop has four columns of taps: a fifth never wins."""
    at, called = pool_windows(x, **options), ops.max_pool2d(x, **options)
    if at.kernel[1] <= 4:
        return called
    patches = gather(x, at, -np.inf).reshape(*x.shape[:2], *at.kernel, *at.outputs)[:, :, :, :4]
    return edited(called, y=lambda _: patches.max(axis=(2, 3)))


@planted("max_pool2d", explained=("dtype-changed",))
def pool_dtype_changed(x: Array, **options: Any) -> Called:
    """dx is made by np.zeros without a dtype."""
    return edited(ops.max_pool2d(x, **options), dx=lambda g: g.astype(np.float64))


@planted("max_pool2d", explained=("kernel-swapped",))
def pool_kernel_swapped(x: Array, kernel_size: Any, stride: Any = None, **options: Any) -> Called:
    """kernel_size is read as (width, height)."""
    return ops.max_pool2d(x, swapped(kernel_size), kernel_size if stride is None else stride, **options)


@planted("max_pool2d", explained=("stride-height-only",))
def pool_stride_of_height_for_both(x: Array, kernel_size: Any, stride: Any = None, **options: Any) -> Called:
    """The stride of the height is used for the width as well."""
    return ops.max_pool2d(x, kernel_size, pair(kernel_size if stride is None else stride)[0], **options)


@planted("max_pool2d", explained=("last-column-lost",), at="dx")
def pool_last_column_of_windows_lost(x: Array, **options: Any) -> Called:
    """The loop over the columns of dy ends one early."""

    def shorter(dy: Array) -> Array:
        dy = dy.copy()
        dy[..., -1] = 0
        return dy

    return edited(ops.max_pool2d(x, **options), dy=shorter)


@planted("max_pool2d", explained=("winner-of-first-channel",), at="dx")
def pool_channels_share_the_first_winner(x: Array, **options: Any) -> Called:
    """The winner is looked for in the first channel, and taken for that of all."""
    at = pool_windows(x, **options)
    patches = gather(x, at, -np.inf)
    winner = patches.argmax(axis=2)[:, :1, None]

    def pullback(dy: Array) -> tuple[Array]:
        routed = np.zeros_like(patches)
        everywhere = np.broadcast_to(winner, (*x.shape[:2], 1, *at.outputs))
        np.put_along_axis(routed, everywhere, dy[:, :, None], axis=2)
        return (scatter(routed, at),)

    return ops.max_pool2d(x, **options)[0], pullback


@planted("max_pool2d", explained=("shares-memory",), at="y")
def pool_of_one_pixel_returns_the_image(x: Array, **options: Any) -> Called:
    """Where windows of one pixel select everything, the image itself is returned."""
    y, pullback = ops.max_pool2d(x, **options)
    return (x if np.array_equal(x, y) else y), pullback


@planted("max_pool2d", at="dx")
def pool_nearly_ties_to_first(x: Array, **options: Any) -> Called:
    """The winner is looked for in half precision, in which maxima tie that nearly tie."""
    return forward_of(
        ops.max_pool2d(x, **options), textbook(x, select=lambda p: p.astype(np.float16).argmax(axis=2), **options)
    )


@planted("max_pool2d", explained=("ceil-ignored-in-backward",), at="dx")
def pool_ceil_mode_ignored_in_backward(x: Array, ceil_mode: bool = False, **options: Any) -> Called:
    """The loops of the backward run over the windows that floor counts."""
    rows, columns = pool_windows(x, **options).outputs

    def floored(dy: Array) -> Array:
        kept = np.zeros_like(dy)
        kept[:, :, :rows, :columns] = dy[:, :, :rows, :columns]
        return kept

    return edited(ops.max_pool2d(x, ceil_mode=ceil_mode, **options), dy=floored)


@planted("max_pool2d", explained=("first-plane-only",), at="y")
def pool_first_plane_only(x: Array, **options: Any) -> Called:
    """The loops over images and channels are missing: the first plane is pooled, the others stay 0."""

    def first(y: Array) -> Array:
        kept = np.zeros_like(y)
        kept[:1, :1] = y[:1, :1]
        return kept

    return edited(ops.max_pool2d(x, **options), y=first)
