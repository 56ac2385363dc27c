"""Mistakes in padding, adaptive pooling, unpooling, interpolation and dropout: order, windows, factors."""

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import Explanation, Formula, mistake
from parity.naming.probe import NotApplicable, Probe

Bins: TypeAlias = Callable[[int, int], list[tuple[int, int]]]  # pixels, windows → (start, end) of each window
Position: TypeAlias = Callable[[Array, float, int, int], Array]  # outputs, scale, pixels, number of outputs
# Pixels, number of outputs, scale → the pixels of each output and their weights, tap by tap.
Taps: TypeAlias = Callable[[int, int, float, Probe], list[tuple[Array, Array]]]


def _pairs(edit: Callable[[list[tuple[int, int]]], list[tuple[int, int]]]) -> Callable[[Probe], Probe]:
    def inputs(probe: Probe) -> Probe:
        widths = probe.options["pad"]
        edited = edit([*zip(widths[::2], widths[1::2], strict=True)])
        return probe.with_options(pad=tuple(width for pair in edited for width in pair))

    return inputs


def _at_end(before: int, after: int) -> tuple[int, int]:
    return (0, after + before) if before < 0 else (before, after)


PAD = (
    mistake("pad-order-reversed", "", _pairs(lambda pairs: pairs[::-1])),
    mistake("pad-crops-other-side", "", _pairs(lambda pairs: [_at_end(*pair) for pair in pairs])),
    mistake("pad-sides-swapped", "", _pairs(lambda pairs: [(right, left) for left, right in pairs])),
)


def _torch_start(p: int, pixels: int, windows: int) -> int:
    return p * pixels // windows


def _torch_end(p: int, pixels: int, windows: int) -> int:
    return -(-(p + 1) * pixels // windows)


def _by_stride(pixels: int, windows: int) -> list[tuple[int, int]]:
    stride = pixels // windows
    return [(p * stride, p * stride + pixels - (windows - 1) * stride) for p in range(windows)]


BINS: tuple[tuple[str, Bins], ...] = (
    ("bins-end-rounded-down", lambda h, o: [(_torch_start(p, h, o), (p + 1) * h // o) for p in range(o)]),
    ("bins-start-rounded-up", lambda h, o: [(-(-p * h // o), _torch_end(p, h, o)) for p in range(o)]),
    ("bins-of-equal-size", lambda h, o: [(p * (h // o), (p + 1) * (h // o)) for p in range(o)]),
    ("bins-by-stride", _by_stride),
)


def _windows(probe: Probe, bins: Bins) -> list[list[tuple[int, int]]]:
    found = [bins(*sizes) for sizes in zip(probe.first.shape[-2:], probe.dy.shape[-2:], strict=True)]
    if any(not 0 <= start < end for axis in found for start, end in axis):
        raise NotApplicable("a window is empty")
    return found


def _average(window: Array) -> tuple[Array, Array]:
    size = window.shape[-1]
    return window.mean(axis=-1), np.full(window.shape, 1 / size)


def _maximum(window: Array) -> tuple[Array, Array]:
    return window.max(axis=-1), np.arange(window.shape[-1]) == window.argmax(axis=-1)[..., None]


def _pooled(bins: Bins, of: Callable[[Array], tuple[Array, Array]]) -> Formula:
    """Pool each window by a function of its pixels that returns the result, and its derivative in each pixel."""

    def formula(probe: Probe) -> Array:
        x, (rows, columns) = probe.first, _windows(probe, bins)
        y, dx = np.zeros(probe.dy.shape), np.zeros(x.shape)
        for p, (top, bottom) in enumerate(rows):
            for q, (left, right) in enumerate(columns):
                window = x[..., top:bottom, left:right]
                y[..., p, q], shares = of(window.reshape(*window.shape[:-2], -1))
                dx[..., top:bottom, left:right] += (shares * probe.dy[..., p, q, None]).reshape(window.shape)
        return y if probe.is_output else dx

    return formula


ADAPTIVE_AVERAGE, ADAPTIVE_MAXIMUM = (
    tuple(mistake(name, formula=_pooled(bins, of)) for name, bins in BINS) for of in (_average, _maximum)
)


def _added(probe: Probe) -> Array:
    x, y = probe.first, np.zeros(probe.dy.shape)
    planes = math.prod(y.shape[:-2])
    flat = y.reshape(planes, -1)
    where = np.arange(planes)[:, None], probe.array("indices").reshape(planes, -1)
    np.add.at(flat, where, x.reshape(planes, -1))
    return flat.reshape(y.shape)


UNPOOLING = (mistake("repeated-indices-added", "output", formula=_added),)


def _linear(position: Position) -> Taps:
    """The two neighbours of each position, and their weights."""

    def taps(pixels: int, outputs: int, scale: float, probe: Probe) -> list[tuple[Array, Array]]:
        aligned = bool(probe.options.get("align_corners"))
        p = np.arange(outputs)
        at = p * ((pixels - 1) / max(outputs - 1, 1)) if aligned else position(p, scale, pixels, outputs)
        at = np.clip(at, 0, pixels - 1)
        below = np.floor(at).astype(int)
        return [(below, 1 - (at - below)), (np.minimum(below + 1, pixels - 1), at - below)]

    return taps


def _nearest(position: Position) -> Taps:
    def taps(pixels: int, outputs: int, scale: float, probe: Probe) -> list[tuple[Array, Array]]:  # noqa: ARG001  # the signature of Taps
        at = position(np.arange(outputs), scale, pixels, outputs)
        return [(np.clip(at, 0, pixels - 1).astype(int), np.ones(outputs))]

    return taps


def _interpolated(linear: Taps | None, nearest: Taps | None, last_only: bool = False) -> Formula:
    """An interpolation, axis by axis, from the taps of each output; None for a mode that is right."""

    def formula(probe: Probe) -> Array:
        of = nearest if probe.options["mode"] == "nearest" else linear
        if of is None:
            return probe.reference()
        axes = range(2, probe.first.ndim)
        factors = probe.options.get("scale_factor") or (None,) * len(axes)
        factors = factors if isinstance(factors, tuple) else (factors,) * len(axes)
        result = probe.first if probe.is_output else probe.dy
        for axis, factor in zip(axes, factors, strict=True):
            pixels, outputs = probe.first.shape[axis], probe.dy.shape[axis]
            taps = of(pixels, outputs, pixels / outputs if factor is None else 1 / factor, probe)
            result = np.moveaxis(
                _along(np.moveaxis(result, axis, 0), taps, pixels, probe.is_output, last_only), 0, axis
            )
        return result

    return formula


def _along(array: Array, taps: list[tuple[Array, Array]], pixels: int, forward: bool, last_only: bool) -> Array:
    """Interpolate along the first axis, or distribute its numbers; `last_only`: only the last of each pixel."""
    around = (-1, *(1,) * (array.ndim - 1))
    if forward:
        return np.asarray(sum(array[places] * weights.reshape(around) for places, weights in taps))
    found = np.zeros((pixels, *array.shape[1:]))
    for places, weights in taps:
        if last_only:
            found[places] = array * weights.reshape(around)
        else:
            np.add.at(found, places, array * weights.reshape(around))
    return found


def _coverage(probe: Probe) -> Array:
    """The sum of the weights of each pixel over all outputs; 1 where there are none."""
    found = probe.with_upstream(np.ones_like(probe.dy)).reference()
    return np.where(found == 0, 1, found)


_FLOOR: Taps = _nearest(lambda p, scale, *_: np.floor(p * scale))
_ROUNDED: Taps = _nearest(lambda p, scale, *_: np.round(p * scale))
_OF_CENTRES: Taps = _nearest(lambda p, scale, *_: np.floor((p + 0.5) * scale))
INTERPOLATE = (
    mistake("pixel-centres-ignored", formula=_interpolated(_linear(lambda p, scale, *_: p * scale), None)),
    mistake("nearest-rounded", formula=_interpolated(None, _ROUNDED)),
    mistake("nearest-of-centres", formula=_interpolated(None, _OF_CENTRES)),
    mistake(
        "scale-from-size",
        formula=_interpolated(
            _linear(lambda p, _, pixels, outputs: (p + 0.5) * pixels / outputs - 0.5),
            _nearest(lambda p, _, pixels, outputs: np.floor(p * pixels / outputs)),
        ),
    ),
    mistake("gradient-averaged", "grad_", result=lambda result, probe: result / _coverage(probe)),
    mistake(
        "gradient-averaged", "grad_", result=lambda result, probe: result * (probe.first.size / probe.dy.size)
    ),
    mistake("overlap-lost-in-backward", "grad_", formula=_interpolated(None, _FLOOR, last_only=True)),
)  # fmt: skip


def _mask(probe: Probe) -> Array:
    mask = probe.options.get("mask")
    if mask is None:
        raise NotApplicable("there is no mask")
    return np.asarray(mask.reshape((*mask.shape, *(1,) * (probe.first.ndim - mask.ndim))) != 0)


def _dropped(
    training: Callable[[Array, float], Any], evaluation: Callable[[Probe], Any] = lambda _: 1.0
) -> Formula:
    """x or dy times a factor: a function of the mask and p in training, and another in evaluation."""

    def formula(probe: Probe) -> Array:
        o, given = probe.options, probe.first if probe.is_output else probe.dy
        factor = training(_mask(probe), o["p"]) if o["training"] else evaluation(probe)
        return np.asarray(given * factor)

    return formula


def _scale(p: float) -> float:
    return 0.0 if p == 1 else 1 / (1 - p)


def _of_rate(p: float) -> float:
    if not p:
        raise NotApplicable("1/p is infinite")
    return 1 / p


def _right(m: Array, p: float) -> Array:
    return m * _scale(p)


def _dropouts() -> Iterator[Explanation]:
    for name, training in (
        ("dropout-unscaled", lambda m, _: m),
        ("dropout-scaled-by-keep", lambda m, p: m * (1 - p)),
        ("dropout-scaled-by-rate", lambda m, p: m * _of_rate(p)),
        ("dropout-mask-inverted", lambda m, p: ~m * _scale(p)),
        ("dropout-scaled-by-share", lambda m, _: m / max(m.mean(), 1 / m.size)),
        ("dropout-mask-ignored", lambda _, p: _scale(p)),
        ("dropout-mask-of-first-sample", lambda m, p: m[:1] * _scale(p)),
        ("dropout-mask-of-first-channel", lambda m, p: m[:, :1] * _scale(p)),
    ):
        yield mistake(name, formula=_dropped(training))
    yield mistake("scaled-in-evaluation", formula=_dropped(_right, lambda probe: 1 - probe.options["p"]))
    yield mistake(
        "dropout-in-evaluation",
        formula=_dropped(
            _right,
            # Without a mask only p = 0 and p = 1 are determined.
            lambda p: _right(np.asarray(True) if p.options.get("mask") is None else _mask(p), p.options["p"]),
        ),
    )


DROPOUT = tuple(_dropouts())
