"""im2col and col2im with one mistake: the order of the columns, overlaps, the padding."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array
from parity.exam.bug import plant
from parity.exam.call import Called, Change
from parity.exam.changes import instead, upstream
from parity.exam.im2col import assigned
from parity.exam.windows import Windows, gather, pair, scatter

Order = tuple[int, ...]  # of (channel, tap row, tap column, window row, window column)
RIGHT: Order = (0, 1, 2, 3, 4)
Back = Callable[[Array, Windows], Array]


def _at(size: tuple[int, ...], kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Windows:
    k, d, p, s = map(pair, (kernel_size, dilation, padding, stride))
    rows, columns = ((size[i] + 2 * p[i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i in (0, 1))
    return Windows((size[0], size[1]), k, s, d, p, (rows, columns))


def _columns(x: Array, at: Windows, order: Order) -> Array:
    """(N, C, H, W) → (N, C·kh·kw, oh·ow) in this order."""
    patches = gather(x, at).reshape(*x.shape[:2], *at.kernel, *at.outputs)
    ordered = patches.transpose(0, *(1 + axis for axis in order))
    return ordered.reshape(len(x), x.shape[1] * at.kernel[0] * at.kernel[1], at.outputs[0] * at.outputs[1])


def _patches(columns: Array, at: Windows, order: Order) -> Array:
    """(N, C·kh·kw, oh·ow) → (N, C, kh·kw, oh, ow)"""
    channels = columns.shape[1] // (at.kernel[0] * at.kernel[1])
    sizes = channels, *at.kernel, *at.outputs
    split = columns.reshape(len(columns), *(sizes[axis] for axis in order))
    back = split.transpose(0, *(1 + np.argsort(order)))
    return np.ascontiguousarray(back).reshape(len(columns), channels, -1, *at.outputs)


def unfold(x: Array, *, order: Order = RIGHT, back: Back = scatter, **geometry: Any) -> Called:
    """im2col, with replaceable parts."""
    at = _at(x.shape[2:], **geometry)
    return _columns(x, at, order), lambda dy: (back(_patches(dy, at, order), at),)


def fold(x: Array, output_size: Any, *, order: Order = RIGHT, back: Back = scatter, **geometry: Any) -> Called:
    """col2im, with replaceable parts."""
    at = _at(pair(output_size), **geometry)
    return back(_patches(x, at, order), at), lambda dy: (_columns(dy, at, order),)


def averaged(patches: Array, at: Windows) -> Array:
    """Divide each sum by its number of terms."""
    return scatter(patches, at) / np.maximum(scatter(np.ones_like(patches), at), 1)


def minus_zero(patches: Array, at: Windows) -> Array:
    """Crop the padded image by [p:-p], which is empty for p = 0."""
    (top, left), (height, width) = at.padding, at.size
    wide = scatter(patches, replace(at, padding=(0, 0), size=(height + 2 * top, width + 2 * left)))
    return wide[:, :, top:-top, left:-left]


def _with(op: Callable[..., Called], **parts: Any) -> Change:
    return instead(partial(op, **parts))


for _row, _op, _image in (("unfold", unfold, "dx"), ("fold", fold, "y")):
    for _name, _order in (
        ("taps-before-channels", (1, 2, 0, 3, 4)),
        ("taps-column-major", (0, 2, 1, 3, 4)),
        ("windows-column-major", (0, 1, 2, 4, 3)),
    ):
        plant(_row, f"{_row}-{_name}", _name, _with(_op, order=_order))
    plant(_row, f"{_row}-overlap-overwritten", "overlap-overwritten", _with(_op, back=assigned), _image)
    plant(_row, f"{_row}-overlap-averaged", "overlap-averaged", _with(_op, back=averaged), _image)
    plant(_row, f"{_row}-cropped-at-minus-zero", "cropped-at-minus-zero", _with(_op, back=minus_zero), _image)

plant(
    "fold",
    "fold-dx-averaged",
    "overlap-averaged",
    upstream(lambda dy, c: dy / np.maximum(c.op(np.ones_like(c.x), **c.options)[0], 1)),
    "dx",
)
