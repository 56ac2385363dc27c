"""Convolutions and poolings that are correct but look unusual: none of them may be flagged."""

from typing import Any

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from parity.exam.bug import alike, correct
from parity.exam.call import Call, Called
from parity.exam.changes import both, gradient, output
from parity.exam.im2col import part
from parity.exam.im2col import textbook as im2col
from parity.exam.windows import Windows, conv_windows, cropped, gather, padded, pool_windows, scatter


def _groups(a: Array, groups: int) -> Array:
    """Split axis 1, the channels, into (groups, channels per group)."""
    return a.reshape(a.shape[0], groups, a.shape[1] // groups, *a.shape[2:])


alike("conv2d", "conv-by-patches", "im2col, one matrix product per group, col2im.", part())


@correct("conv2d")
def conv_by_loops_over_positions(
    x: Array, w: Array, b: Array | None = None, groups: int = 1, **options: Any
) -> Called:
    """A loop over the output pixels: a window of the padded image times each kernel, summed."""
    at = conv_windows(x, w, **options)
    wide = _groups(padded(x, at), groups)
    kernels = w.reshape(groups, -1, *w.shape[1:])
    y = np.zeros((len(x), len(w), *at.outputs), x.dtype)

    positions = [(p, q) for p in range(at.outputs[0]) for q in range(at.outputs[1])]
    for p, q in positions:
        product = wide[at.window(p, q)][:, :, None] * kernels
        y[:, :, p, q] = product.sum(axis=(3, 4, 5)).reshape(len(x), len(w))
    if b is not None:
        y += b.reshape(1, -1, 1, 1)

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        dwide, dw = np.zeros_like(wide), np.zeros_like(kernels)
        for p, q in positions:
            u = dy[:, :, p, q].reshape(len(x), groups, len(w) // groups, 1, 1, 1)
            dwide[at.window(p, q)] += (u * kernels).sum(axis=2)
            dw += (u * wide[at.window(p, q)][:, :, None]).sum(axis=0)
        dx = cropped(dwide.reshape(len(x), x.shape[1], *wide.shape[3:]), at)
        return dx, dw.reshape(w.shape), None if b is None else dy.sum(axis=(0, 2, 3))

    return y, pullback


@correct("conv2d")
def conv_tap_by_tap_from_behind(
    x: Array, w: Array, b: Array | None = None, groups: int = 1, **options: Any
) -> Called:
    """One einsum per tap, from the last to the first: another order of summation."""
    at = conv_windows(x, w, **options)
    wide = _groups(padded(x, at), groups)
    kernels = w.reshape(groups, -1, *w.shape[1:])
    taps = [*at.taps()][::-1]
    y = sum(np.einsum("goc,ngchw->ngohw", kernels[..., i, j], wide[at.under(i, j)]) for i, j in taps)
    y = np.asarray(y).reshape(len(x), len(w), *at.outputs)
    if b is not None:
        y = b[:, None, None] + y

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        u = _groups(dy, groups)
        dwide, dw = np.zeros_like(wide), np.zeros_like(kernels)
        for i, j in taps:
            dwide[at.under(i, j)] += np.einsum("goc,ngohw->ngchw", kernels[..., i, j], u)
            dw[..., i, j] = np.einsum("ngohw,ngchw->goc", u, wide[at.under(i, j)])
        dx = cropped(dwide.reshape(len(x), x.shape[1], *wide.shape[3:]), at)
        return dx, dw.reshape(w.shape), None if b is None else dy.sum((3, 2, 0))

    return y, pullback


@correct("conv2d")
def conv_dx_as_a_gather(x: Array, w: Array, b: Array | None = None, groups: int = 1, **options: Any) -> Called:
    """dx is a convolution of dy, dilated by the stride, with the flipped kernel."""
    right = im2col(x, w, b, groups=groups, **options)
    at = conv_windows(x, w, **options)

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        _, dw, db = right[1](dy)
        spans = [at.dilation[i] * (at.kernel[i] - 1) for i in (0, 1)]
        sizes = [2 * spans[i] + max(at.reach[i] - spans[i], at.size[i] + at.padding[i]) for i in (0, 1)]
        stuffed = np.zeros((len(x), len(w), *sizes), x.dtype)
        rows, columns = (
            slice(spans[i], spans[i] + (at.outputs[i] - 1) * at.stride[i] + 1, at.stride[i]) for i in (0, 1)
        )
        stuffed[:, :, rows, columns] = dy
        back = w.reshape(groups, len(w) // groups, *w.shape[1:]).swapaxes(1, 2)[..., ::-1, ::-1]
        back = back.reshape(x.shape[1], len(w) // groups, *at.kernel)
        whole, _ = ops.conv2d(stuffed, back, dilation=at.dilation, groups=groups)
        top, left = at.padding
        return whole[:, :, top : top + at.size[0], left : left + at.size[1]], dw, db

    return right[0], pullback


@correct("conv2d")
def conv_image_by_image(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """A loop over the images of the batch; dw is summed from the last to the first."""
    if not len(x):
        return im2col(x, w, b, **options)
    calls = [im2col(image[None], w, b, **options) for image in x]

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        each = [call[1](u[None]) for call, u in zip(calls, dy, strict=True)]
        dx, dw, db = zip(*each[::-1], strict=True)
        return np.concatenate(dx[::-1]), sum(dw), None if b is None else sum(db)

    return np.concatenate([y for y, _ in calls]), pullback


# ---- pooling


def _at(c: Call) -> Windows:
    return pool_windows(c.x, **c.options)


def _taps(c: Call) -> tuple[Array, Array]:
    """The patches, and a mask of the taps inside the image."""
    return gather(c.x, _at(c), -np.inf), gather(np.ones_like(c.x), _at(c)) > 0


def _by_comparison(c: Call) -> Array:
    """The index of the first maximum inside the image, or of the last NaN if there is one."""
    patches, inside = _taps(c)
    nan = np.isnan(patches)
    first = ((patches == patches.max(axis=2)[:, :, None]) & inside).argmax(axis=2)
    last = patches.shape[2] - 1 - nan[:, :, ::-1].argmax(axis=2)
    return np.asarray(np.where(nan.any(axis=2), last, first))


def _by_pairs(c: Call) -> Array:
    """The index of the maximum, by comparing one tap after another."""
    patches, inside = _taps(c)
    y, taken = patches[:, :, 0], inside[:, :, 0]
    winner = np.zeros(y.shape, np.int64)
    for tap in range(1, patches.shape[2]):
        new = inside[:, :, tap] & (~taken | (patches[:, :, tap] > y) | np.isnan(patches[:, :, tap]))
        y, winner, taken = np.where(new, patches[:, :, tap], y), np.where(new, tap, winner), taken | new
    return winner


def _taken(winner: Array, c: Call) -> Array:
    return np.take_along_axis(_taps(c)[0], winner[:, :, None], axis=2)[:, :, 0]


def _routed(winner: Array, dy: Array, c: Call) -> Array:
    taps = np.arange(_taps(c)[0].shape[2]).reshape(-1, 1, 1)
    return scatter(np.where(taps == winner[:, :, None], dy[:, :, None], dy.dtype.type(0)), _at(c))


def _added_at(dy: Array, c: Call) -> Array:
    """Add dy at the winners' flat indices with np.add.at, from the last window to the first."""
    at, winner, dx = _at(c), _by_comparison(c), np.zeros(c.x.size, c.x.dtype)
    p, q = np.ogrid[: at.outputs[0], : at.outputs[1]]
    rows = p * at.stride[0] + winner // at.kernel[1] * at.dilation[0] - at.padding[0]
    columns = q * at.stride[1] + winner % at.kernel[1] * at.dilation[1] - at.padding[1]
    planes = np.arange(c.x.shape[0] * c.x.shape[1]).reshape(*c.x.shape[:2], 1, 1) * (at.size[0] * at.size[1])
    np.add.at(dx, (planes + rows * at.size[1] + columns).ravel()[::-1], dy.ravel()[::-1])
    return dx.reshape(c.x.shape)


alike(
    "max_pool2d",
    "pool-by-comparison",
    "The maximum of the patches; the winner is the first tap that equals it.",
    both(
        output(lambda c: _taken(_by_comparison(c), c)),
        gradient(lambda dy, c: _routed(_by_comparison(c), dy, c)),
    ),
)
alike(
    "max_pool2d",
    "pool-by-pairwise-maxima",
    "Pairwise maxima: a tap wins if it is greater than all before it.",
    both(output(lambda c: _taken(_by_pairs(c), c)), gradient(lambda dy, c: _routed(_by_pairs(c), dy, c))),
)
alike(
    "max_pool2d",
    "pool-scattered-at-once",
    "np.add.at at the winners' flat indices, from the last window to the first.",
    gradient(_added_at),
)


@correct("max_pool2d")
def pool_window_by_window(x: Array, **options: Any) -> Called:
    """A loop over the windows, cropped to the image, with argmax in each channel."""
    at = pool_windows(x, **options)
    y = np.empty((*x.shape[:2], *at.outputs), x.dtype)
    winners: dict[tuple[int, int], tuple[Array, Array]] = {}
    for p in range(at.outputs[0]):
        for q in range(at.outputs[1]):
            rows, columns = (
                [t for t in (o * s - pad + k * d for k in range(n)) if 0 <= t < size]
                for o, s, pad, d, n, size in zip(
                    (p, q), at.stride, at.padding, at.dilation, at.kernel, at.size, strict=True
                )
            )
            window = x[:, :, rows][:, :, :, columns].reshape(*x.shape[:2], len(rows) * len(columns))
            nan = np.isnan(window)
            last = window.shape[2] - 1 - nan[..., ::-1].argmax(axis=2)
            best = np.where(nan.any(axis=2), last, np.where(nan, -np.inf, window).argmax(axis=2))
            y[:, :, p, q] = np.take_along_axis(window, best[..., None], axis=2)[..., 0]
            winners[p, q] = np.array(rows)[best // len(columns)], np.array(columns)[best % len(columns)]

    def pullback(dy: Array) -> tuple[Array]:
        dx = np.zeros(x.shape, x.dtype)
        image, channel = np.ogrid[: x.shape[0], : x.shape[1]]
        for (p, q), (row, column) in winners.items():
            dx[image, channel, row, column] += dy[:, :, p, q]
        return (dx,)

    return y, pullback
