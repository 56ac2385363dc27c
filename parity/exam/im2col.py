"""Convolution as im2col: patches, one matrix product per group, col2im; a mistake replaces a part."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array
from parity.exam.call import Called, Change
from parity.exam.changes import instead
from parity.exam.windows import Windows, conv_windows, cropped, gather, scatter, wide_zeros


def textbook(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    patches: Callable[[Array, Windows], Array] = gather,
    back: Callable[[Array, Windows], Array] = scatter,
) -> Called:
    """Convolution by im2col, with replaceable parts."""
    at = conv_windows(x, w, stride, padding, dilation)
    n, o = len(x), len(w)
    matrix = w.reshape(groups, o // groups, w[0].size)
    columns = patches(x, at).reshape(n, groups, w[0].size, at.outputs[0] * at.outputs[1])
    y = (matrix @ columns).reshape(n, o, *at.outputs)
    if b is not None:
        y = y + b[:, None, None]

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        u = dy.reshape(n, groups, o // groups, columns.shape[-1])
        dw = (u @ columns.swapaxes(2, 3)).sum(axis=0).reshape(w.shape)
        dcolumns = matrix.swapaxes(1, 2) @ u
        dx = back(dcolumns.reshape(n, x.shape[1], at.kernel[0] * at.kernel[1], *at.outputs), at)
        return dx, dw, None if b is None else dy.sum(axis=(0, 2, 3))

    return y, pullback


def part(**parts: Any) -> Change:
    """Replace parts of im2col."""
    return instead(partial(textbook, **parts))


def dx_at(**geometry: Callable[[Windows], Any]) -> Change:
    """Change the windows in col2im only."""
    return part(back=lambda p, at: scatter(p, replace(at, **{n: of(at) for n, of in geometry.items()})))


def dw_at(**geometry: Callable[[Windows], Any]) -> Change:
    """Change the windows in im2col only."""
    return part(patches=lambda x, at: gather(x, replace(at, **{n: of(at) for n, of in geometry.items()})))


def dx_cropped(crop: Callable[[Array, Windows], Array]) -> Change:
    """Edit dx after it is scattered."""
    return part(back=lambda p, at: crop(scatter(p, at), at))


def column_major(patches: Array, at: Windows) -> Array:
    """Order the taps column by column."""
    return patches[:, :, np.arange(patches.shape[2]).reshape(at.kernel).T.ravel()]


def remainder(at: Windows) -> list[int]:
    """Rows and columns of the padded image after the last window."""
    return [at.size[i] + 2 * at.padding[i] - at.reach[i] for i in (0, 1)]


def covered(g: Array, at: Windows) -> Array:
    """Crop to what the windows cover, without the remainder."""
    ends = [min(at.size[i], at.reach[i] - at.padding[i]) for i in (0, 1)]
    return g[:, :, : ends[0], : ends[1]]


def remainder_in_front(g: Array, at: Windows) -> Array:
    """Move the remainder to the front."""
    return np.roll(g, [max(0, at.size[i] + at.padding[i] - at.reach[i]) for i in (0, 1)], axis=(2, 3))


def cut_by_the_padding(dx: Array, at: Windows) -> Array:
    """Set the remainder to zero if there is padding."""
    for i, unmet in enumerate(remainder(at)):
        if unmet > 0 and at.padding[i]:
            np.moveaxis(dx, 2 + i, 0)[max(0, at.size[i] - unmet) :] = 0
    return dx


def minus_zero(patches: Array, at: Windows) -> Array:
    """Crop by [p:-p], which is empty for p = 0."""
    (top, left), wide = at.padding, scatter(patches, replace(at, padding=(0, 0), size=at.reach))
    return wide[:, :, top:-top, left:-left]


def assigned(patches: Array, at: Windows) -> Array:
    """Assign instead of adding, so that a later tap overwrites an earlier one."""
    wide = wide_zeros(patches, at)
    for tap, (i, j) in enumerate(at.taps()):
        wide[at.under(i, j)] = patches[:, :, tap]
    return cropped(wide, at)


def by_tap(patches: Array, at: Windows) -> Array:
    """Add the pixels of each tap to the channel with the tap's index."""
    wide, channels = wide_zeros(patches, at), patches.shape[1]
    for tap, (i, j) in enumerate(at.taps()):
        wide[at.under(i, j)][:, tap % channels] += patches[:, :, tap].sum(axis=1)
    return cropped(wide, at)


def of_longer_kernel(x: Array, at: Windows) -> Array:
    """The last taps of a kernel enlarged to cover the remainder."""
    unmet = [max(0, left) // d for left, d in zip(remainder(at), at.dilation, strict=True)]
    longer = replace(at, kernel=(at.kernel[0] + unmet[0], at.kernel[1] + unmet[1]))
    p = gather(x, longer).reshape(*x.shape[:2], *longer.kernel, *at.outputs)[:, :, unmet[0] :, unmet[1] :]
    return p.reshape(*x.shape[:2], at.kernel[0] * at.kernel[1], *at.outputs)


def replicated(x: Array, at: Windows) -> Array:
    """Patches of an image with replicate padding."""
    around = [(at.padding[i], max(0, at.reach[i] - at.size[i] - at.padding[i])) for i in (0, 1)]
    wide = np.pad(x, [(0, 0), (0, 0), *around], mode="edge")
    return gather(wide, replace(at, size=(wide.shape[2], wide.shape[3]), padding=(0, 0)))


def without_first_column(x: Array, at: Windows) -> Array:
    """Patches without the first column of taps for padded images one pixel wide."""
    p = gather(x, at)
    if x.shape[3] == 1 and at.kernel[1] > 1 and at.padding[1]:
        p[:, :, :: at.kernel[1]] = 0
    return p
