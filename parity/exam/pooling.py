"""Max pooling with one mistake."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array
from parity.exam import im2col, stateful
from parity.exam.bug import plant
from parity.exam.call import Call, Called, Change, kept, zeroed
from parity.exam.changes import array, both, gradient, instead, only, option, options, output, result, upstream
from parity.exam.windows import Windows, cropped, gather, pair, pool_windows, scatter, swapped, wide_zeros

pool = partial(plant, "max_pool2d")


def textbook(
    x: Array,
    *window: Any,
    fill: float = -np.inf,
    select: Callable[[Array], Array] = lambda p: p.argmax(axis=2),
    back: Callable[[Array, Windows], Array] = scatter,
    **options: Any,
) -> Called:
    """Max pooling by patches, with replaceable parts."""
    at = pool_windows(x, *window, **options)
    patches = gather(x, at, fill)
    winner = select(patches)[:, :, None]

    def pullback(dy: Array) -> tuple[Array]:
        routed = np.zeros_like(patches)
        everywhere = np.broadcast_to(winner, (*x.shape[:2], 1, *at.outputs))
        np.put_along_axis(routed, everywhere, dy[:, :, None], axis=2)
        return (back(routed, at),)

    return np.take_along_axis(patches, winner, axis=2)[:, :, 0], pullback


def part(**parts: Any) -> Change:
    """Replace parts of the textbook version."""
    return instead(partial(textbook, **parts))


def dx_at(**geometry: Callable[[Windows], Any]) -> Change:
    """Change the windows in the backward only."""
    return part(back=lambda p, at: scatter(p, replace(at, **{n: of(at) for n, of in geometry.items()})))


def _at(c: Call) -> Windows:
    return pool_windows(c.x, **c.options)


def _patches(c: Call) -> Array:
    return gather(c.x, _at(c), -np.inf)


def _shared_out(share: Callable[[Array], Any]) -> Change:
    """Distribute dy over the taps that equal the maximum, with the factors that `share` returns."""
    return gradient(lambda dy, c: scatter(share(_patches(c) == c.y[:, :, None]) * dy[:, :, None], _at(c)))


def _overwritten(order: Callable[[range], Iterator[int] | range]) -> Change:
    """Assign instead of adding the gradients of the windows, in the given order."""

    def back(routed: Array, at: Windows) -> Array:
        wide = wide_zeros(routed, at)
        for p in order(range(at.outputs[0])):
            for q in order(range(at.outputs[1])):
                gradient = routed[..., p, q].reshape(*routed.shape[:2], *at.kernel)
                np.copyto(wide[at.window(p, q)], gradient, where=gradient != 0)
        return cropped(wide, at)

    return part(back=back)


def _clamped(c: Call) -> Array:
    at = _at(c)
    y: Array = np.empty_like(c.y)
    for p, q in np.ndindex(at.outputs):
        begin = p * at.stride[0] - at.padding[0], q * at.stride[1] - at.padding[1]
        rows, columns = (
            slice(max(b, 0), min(b + (k - 1) * d + 1, size), d)
            for b, k, d, size in zip(begin, at.kernel, at.dilation, at.size, strict=True)
        )
        y[:, :, p, q] = c.x[:, :, rows, columns].max(axis=(2, 3), initial=-np.inf)
    return y


def _windows_outside(c: Call) -> Array:
    """The maxima of all windows that ceil_mode counts, including those that begin after the image."""
    at = _at(c)
    rows, columns = (
        -(-(at.size[i] + 2 * at.padding[i] - at.dilation[i] * (at.kernel[i] - 1) - 1) // at.stride[i]) + 1
        for i in (0, 1)
    )
    return np.asarray(gather(c.x, replace(at, outputs=(rows, columns)), -np.inf).max(axis=2))


def _decoded_by_height(routed: Array, at: Windows) -> Array:
    kh, kw = at.kernel
    sizes = [max(at.reach[i] + at.dilation[i] * kh * kw, at.size[i] + at.padding[i]) for i in (0, 1)]
    wide = np.zeros((*routed.shape[:2], *sizes), routed.dtype)
    for tap in range(kh * kw):
        wide[at.under(tap // kh, tap % kh)] += routed[:, :, tap]
    return cropped(wide, at)


def _averaged(dy: Array, c: Call) -> Array:
    taps = _at(c).kernel[0] * _at(c).kernel[1]
    return scatter(np.repeat((dy / dy.dtype.type(taps))[:, :, None], taps, axis=2), _at(c))


def _one_hot_times(dy: Array, c: Call) -> Array:
    winner, taps = _patches(c).argmax(axis=2)[:, :, None], np.arange(np.prod(_at(c).kernel)).reshape(-1, 1, 1)
    return scatter((taps == winner) * dy[:, :, None], _at(c))


def _floored(dy: Array, c: Call) -> Array:
    rows, columns = pool_windows(c.x, **c.options | {"ceil_mode": False}).outputs
    return kept(dy, ..., slice(rows), slice(columns))


def _kernel_swapped(given: Any, _: Call) -> Any:
    stride = given["kernel_size"] if given["stride"] is None else given["stride"]
    return given | {"kernel_size": swapped(given["kernel_size"]), "stride": stride}


def _one_stride(given: Any, _: Call) -> Any:
    return given | {"stride": pair(given["kernel_size"] if given["stride"] is None else given["stride"])[0]}


# fmt: off
pool("pool-padded-with-zero", "zero-padding zero-padding-wins", part(fill=0.0),
     description="The padding is 0 instead of minus infinity, so it wins over negative values.")
pool("pool-starts-from-zero", "starts-from-zero", result(lambda y, _: np.maximum(y, 0)), "y")
pool("pool-ties-to-all", "ties-to-all", _shared_out(lambda winners: winners), "dx",
     "Every tap that equals the maximum receives the whole of dy.")
pool("pool-ties-split", "ties-split", _shared_out(lambda w: w / np.maximum(w.sum(axis=2, keepdims=True), 1)), "dx")
pool("pool-ties-to-last", "ties-to-last",
     part(select=lambda p: p.shape[2] - 1 - p[:, :, ::-1].argmax(axis=2)), "dx",
     "Among equal taps the last one receives dy: >= instead of >.")
pool("pool-nearly-ties-to-first", "", part(select=lambda p: p.astype(np.float16).argmax(axis=2)), "dx",
     "The winner is found in half precision, where close values tie.")
pool("pool-first-nan-wins", "first-nan", part(), "dx",
     "Among several NaN in a window, argmax selects the first, torch the last.")
pool("pool-nan-swallowed", "nan-ignored", output(lambda c: np.fmax.reduce(_patches(c), axis=2)), "y")
pool("pool-empty-window-lost", "",
     upstream(lambda dy, c: np.where(c.y == -np.inf, 0, dy)), "dx",
     "A window of minus infinities has no winner: none of its taps exceeds the initial maximum.")
pool("pool-overlap-overwritten", "windows-overwritten-unless-zero windows-overwritten", _overwritten(iter), "dx",
     "Overlapping windows overwrite each other's gradient instead of adding to it.")
pool("pool-first-window-only", "first-nonzero-window-only first-window-only", _overwritten(reversed), "dx")
pool("pool-stride-swapped", "stride-swapped option-swapped", option("stride", lambda s: s and swapped(s)))
pool("pool-stride-of-one", "stride-ignored", option("stride", lambda s: 1 if s is None else s),
     description="The default stride is 1 instead of the kernel size.")
pool("pool-stride-of-height-for-both", "stride-height-only", options(_one_stride))
pool("pool-kernel-swapped", "kernel-swapped", options(_kernel_swapped))
pool("pool-padding-swapped", "padding-swapped", both(part(), option("padding", swapped)))
pool("pool-dilation-ignored", "dilation-ignored", option("dilation", lambda _: 1))
pool("pool-dx-dilation-of-height-for-both", "dilation-height-only",
     dx_at(dilation=lambda at: (at.dilation[0],) * 2), "dx",
     "The backward uses the height's dilation for the width too.")
pool("pool-dilated-window-clamped", "", output(_clamped), "y",
     "A dilated window that begins in the padding is moved to pixel 0, and its taps with it.")
pool("pool-ceil-mode-ignored", "ceil-ignored", option("ceil_mode", lambda _: False))
pool("pool-ceil-mode-ignored-in-backward", "ceil-ignored-in-backward", upstream(_floored), "dx")
pool("pool-window-outside", "window-in-padding-kept",
     only(lambda c: c.options["ceil_mode"], output(_windows_outside)), "y")
pool("pool-gradient-averaged", "window-gradient-averaged", gradient(_averaged), "dx",
     "The gradient is that of average pooling: each tap receives an equal share.")
pool("pool-average", "average-with-padding average",
     output(lambda c: gather(c.x, _at(c)).mean(axis=2, dtype=c.x.dtype)), "y")
pool("pool-minimum", "minimum minimum-wins", part(fill=np.inf, select=lambda p: p.argmin(axis=2)))
pool("pool-winner-decoded-by-height", "winner-split-by-height", part(back=_decoded_by_height), "dx",
     "The winner's index is split by the kernel's height instead of its width: wrong unless the kernel is square.")
pool("pool-dx-without-the-remainder", "remainder-dropped",
     part(back=lambda p, at: im2col.covered(scatter(p, at), at)), "dx")
pool("pool-dx-cropped-at-the-wrong-end", "padding-ignored", dx_at(padding=lambda _: (0, 0)), "dx")
pool("pool-last-column-of-windows-lost", "last-column-lost", upstream(zeroed(..., -1)), "dx")
pool("pool-channels-share-the-first-winner", "winner-of-first-channel",
     part(select=lambda p: p.argmax(axis=2)[:, :1]), "dx")
pool("pool-first-plane-only", "first-plane-only", result(lambda y, _: kept(y, slice(1), slice(1))), "y")
pool("pool-winners-shared", "shared-state", stateful.of_last_call())
pool("pool-nan-replaced-in-the-input", "mutates-input", stateful.overwriting("x", lambda x, _: np.minimum(x, 6)),
     description="Values above 6 are clipped in the caller's array.")
pool("pool-of-one-pixel-returns-the-image", "shares-memory", stateful.returning_equals, "y",
     "For windows of one pixel, the image itself is returned.")
pool("pool-mask-times-infinite-upstream", "", gradient(_one_hot_times), "dx",
     "A one-hot mask is multiplied by dy: 0 times an infinite dy is NaN at every tap that did not win.")
pool("pool-fifth-column-lost", "",
     only(lambda c: _at(c).kernel[1] > 4,
          output(lambda c: _patches(c).reshape(*c.x.shape[:2], *_at(c).kernel, *_at(c).outputs)[:, :, :, :4]
                 .max(axis=(2, 3)))),
     "y", "An unrolled loop covers four columns of taps and ignores the rest.")

plant("adaptive_max_pool2d", "adaptive-max-pool-nearly-ties-to-first", "",
      array("x", lambda x, _: x.astype(np.float16).astype(x.dtype)), "dx",
      "The winner is found in half precision, where close values tie.")
# fmt: on
