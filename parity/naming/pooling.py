"""Mistakes in max-pooling: the padding, the windows, and the entry that receives the gradient."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import Explanation, Formula, mistake, scaled
from parity.naming.general import result_only
from parity.naming.probe import Probe
from parity.naming.windows import OPTION_EDITS, Alter, Canvas, Geometry, altered, covered, cropped_at_minus_zero

Shares = Callable[[Array], Array]  # (N, C, oh, ow, taps) → the share of dy for each tap


def values_of_windows(
    probe: Probe, fill: float = -np.inf, geometry: Geometry | None = None, sizes: tuple[int, ...] | None = None
) -> Array:
    """The values under the taps, (N, C, oh, ow, kh·kw)."""
    geometry = geometry or Geometry.of(probe)
    canvas = Canvas(probe.first.shape, geometry, sizes or probe.dy.shape[2:], fill)
    canvas.image[...] = probe.first
    return np.stack([canvas.array[canvas.place(i, j)] for i, j in geometry.taps()], axis=-1)


def _count(g: Geometry, axis: int, size: int, ceil: bool, drops: bool = True) -> int:
    """The number of windows; ceil_mode adds one that extends over the edge, unless it begins in the padding."""
    stride, more = g.stride[axis], size + 2 * g.padding[axis] - g.dilation[axis] * (g.kernel[axis] - 1) - 1
    if not ceil:
        return max(0, more // stride + 1)
    count = -(-more // stride) + 1
    return max(0, count - (drops and (count - 1) * stride >= size + g.padding[axis]))


def _sizes(probe: Probe, g: Geometry, ceil: bool, drops: bool = True) -> tuple[int, ...]:
    return tuple(_count(g, axis, size, ceil, drops) for axis, size in enumerate(probe.first.shape[2:]))


def _maximum(probe: Probe, geometry: Geometry) -> Array:
    sizes = _sizes(probe, geometry, probe.options["ceil_mode"])
    return np.asarray(values_of_windows(probe, geometry=geometry, sizes=sizes).max(axis=-1))


def scattered(probe: Probe, geometry: Geometry, parts: Array) -> Array:
    """Add the parts (N, C, oh, ow, taps) at the pixels of their taps."""
    canvas = Canvas(probe.first.shape, geometry, probe.dy.shape[2:])
    for tap, (i, j) in enumerate(geometry.taps()):
        canvas.array[canvas.place(i, j)] += parts[..., tap]
    return canvas.image


def _routed(shares: Shares, fill: float = -np.inf) -> Formula:
    """dx if each tap receives its share of its window's dy."""

    def formula(probe: Probe) -> Array:
        return scattered(probe, Geometry.of(probe), _shared(probe, shares(values_of_windows(probe, fill))))

    return formula


def _routed_elsewhere(probe: Probe, geometry: Geometry) -> Array:
    """Scatter the gradient of the correct winners by another geometry."""
    return scattered(probe, geometry, _shared(probe, winner(values_of_windows(probe))))


def _shared(probe: Probe, shares: Array) -> Array:
    """The part of its window's dy that each tap receives; without a share 0, even if dy is infinite."""
    return np.where(shares, probe.dy[..., None] * shares, 0)


def _one_hot(places: Array, taps: int) -> Array:
    return np.asarray(places[..., None] == np.arange(taps))


def first_maximum(values: Array) -> Array:
    """A mask of the first maximum, or the first NaN, of each window."""
    return _one_hot(np.argmax(values, axis=-1), values.shape[-1])


def _last_maximum(values: Array) -> Array:
    taps = values.shape[-1]
    return _one_hot(taps - 1 - np.argmax(values[..., ::-1], axis=-1), taps)


def winner(values: Array) -> Array:
    """A mask of the first maximum of each window, or of its last NaN, as in torch."""
    return np.where(np.isnan(values).any(axis=-1, keepdims=True), _last_maximum(values), first_maximum(values))


def _all_maxima(values: Array) -> Array:
    return np.asarray(values == values.max(axis=-1, keepdims=True))


def _split(values: Array) -> Array:
    shares = _all_maxima(values)
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


def _overwritten(order: int, zeros: bool = True) -> Formula:
    """Assign dy at the maximum of each window instead of adding it; zeros may be skipped."""

    def formula(probe: Probe) -> Array:
        shares = winner(values_of_windows(probe))
        canvas = Canvas(probe.first.shape, Geometry.of(probe), probe.dy.shape[2:])
        for p, q in [*product(*map(range, probe.dy.shape[2:]))][::order]:
            window, dy = canvas.array[canvas.window(p, q)], probe.dy[:, :, p, q, None, None]
            taken = shares[:, :, p, q].reshape(window.shape) & (zeros | (dy != 0))
            canvas.array[canvas.window(p, q)] = np.where(taken, dy, window)
        return canvas.image

    return formula


def overwritten_by_windows(probe: Probe, parts: Array, order: int = 1) -> Array:
    """Assign the parts (N, C, oh, ow, taps) window by window, overwriting those of earlier windows."""
    canvas = Canvas(probe.first.shape, Geometry.of(probe), probe.dy.shape[2:])
    for p, q in [*product(*map(range, probe.dy.shape[2:]))][::order]:
        place = canvas.window(p, q)
        canvas.array[place] = parts[:, :, p, q].reshape(canvas.array[place].shape)
    return canvas.image


def overwritten_by_taps(probe: Probe, parts: Array) -> Array:
    """Assign the parts tap by tap, overwriting those of earlier taps, as in col2im with = in place of +=."""
    geometry = Geometry.of(probe)
    canvas = Canvas(probe.first.shape, geometry, probe.dy.shape[2:])
    for tap, (i, j) in enumerate(geometry.taps()):
        canvas.array[canvas.place(i, j)] = parts[..., tap]
    return canvas.image


def _of_maxima(scatter: Callable[[Probe, Array], Array]) -> Formula:
    return lambda probe: scatter(probe, _shared(probe, winner(values_of_windows(probe))))


def _split_by_height(probe: Probe) -> Array:
    """Split the winner's index t as (t // kh, t % kh) instead of by kw."""
    g = Geometry.of(probe)
    kh, kw = g.kernel
    if kh == kw:
        return probe.reference()
    parts = probe.dy[..., None] * winner(values_of_windows(probe))
    canvas = Canvas(probe.first.shape, replace(g, kernel=(kh * kw, kh * kw)), probe.dy.shape[2:])
    for tap in range(kh * kw):
        canvas.array[canvas.place(tap // kh, tap % kh)] += parts[..., tap]
    return canvas.image


def _reduced(reduce: Callable[[Array], Array], fill: float = -np.inf) -> Formula:
    return lambda probe: np.asarray(reduce(values_of_windows(probe, fill)))


def _mean_of_inside(values: Array) -> Array:
    inside = np.isfinite(values)
    return np.asarray(np.where(inside, values, 0).sum(axis=-1) / inside.sum(axis=-1))


def _options() -> Iterator[Explanation]:
    for name, option, edit in OPTION_EDITS:

        def alter(g: Geometry, option: str = option, edit: Any = edit) -> Geometry:
            return replace(g, **{option: edit(getattr(g, option))})

        def inputs(probe: Probe, alter: Alter = alter) -> Probe:
            g = alter(Geometry.of(probe))
            return probe.with_options(
                kernel_size=g.kernel, stride=g.stride, padding=g.padding, dilation=g.dilation
            )

        yield mistake(name, "", inputs)
        yield mistake(name, "output", formula=altered(alter, _maximum))
        if option != "kernel":
            yield mistake(name, "grad_", formula=altered(alter, _routed_elsewhere))


def _padded_with_zeros(probe: Probe) -> Probe:
    padded = np.pad(probe.first, Geometry.of(probe).frame)
    return probe.with_arrays(input=padded).with_options(padding=0)


def _ceil_ignored_in_backward(probe: Probe) -> Probe:
    """Leave out the gradient of the windows that ceil_mode adds."""
    rows, columns = _sizes(probe, Geometry.of(probe), ceil=False)
    dy = np.zeros_like(probe.dy)
    dy[:, :, :rows, :columns] = probe.dy[:, :, :rows, :columns]
    return probe.with_upstream(dy)


def _window_in_padding_kept(probe: Probe) -> Array:
    if not probe.options["ceil_mode"]:
        return probe.reference()
    return np.asarray(
        values_of_windows(probe, sizes=_sizes(probe, Geometry.of(probe), ceil=True, drops=False)).max(axis=-1)
    )


def _of_first_channel(values: Array) -> Array:
    return np.broadcast_to(winner(values)[:, :1], values.shape)


def _times_maximum(values: Array) -> Array:
    return winner(values) * np.where(np.isinf(values), 0, values)


def _floored(probe: Probe) -> Array:
    return np.asarray(values_of_windows(probe, sizes=_sizes(probe, Geometry.of(probe), ceil=False)).max(axis=-1))


POOLING = (
    *_options(),
    mistake("stride-of-kernel", "", lambda probe: probe.with_options(stride=None)),
    mistake("ceil-ignored", "", lambda probe: probe.with_options(ceil_mode=False)),
    mistake("ceil-ignored", "output", formula=_floored),
    mistake("ceil-ignored-in-backward", "grad_", _ceil_ignored_in_backward),
    mistake("always-ceil", "", lambda probe: probe.with_options(ceil_mode=True)),
    mistake("window-in-padding-kept", "output", formula=_window_in_padding_kept),
    mistake("starts-from-zero", "output", result=result_only(lambda r: np.maximum(r, 0))),
    mistake("remainder-dropped", "grad_", result=covered),
    mistake("cropped-at-minus-zero", "grad_", result=cropped_at_minus_zero),
    mistake("winner-split-by-height", "grad_", formula=_split_by_height),
    mistake("zero-padding", "output", _padded_with_zeros),
    mistake("zero-padding", "output", formula=_reduced(lambda values: values.max(axis=-1), fill=0.0)),
    mistake("zero-padding-wins", "grad_", formula=_routed(winner, fill=0.0)),
    mistake("minimum", "output", formula=_reduced(lambda values: values.min(axis=-1), fill=np.inf)),
    mistake("minimum-wins", "grad_", formula=_routed(lambda values: winner(-values), fill=np.inf)),
    mistake("absolute-maximum", "output", formula=_reduced(lambda values: np.abs(values).max(axis=-1), fill=0.0)),
    mistake("average", "output", formula=_reduced(_mean_of_inside)),
    mistake("average-with-padding", "output", formula=_reduced(lambda values: values.mean(axis=-1), fill=0.0)),
    mistake("nan-ignored", "output", formula=_reduced(lambda values: np.fmax.reduce(values, axis=-1))),
    mistake("ties-to-last", "grad_", formula=_routed(_last_maximum)),
    mistake("ties-to-all", "grad_", formula=_routed(_all_maxima)),
    mistake("ties-split", "grad_", formula=_routed(_split)),
    mistake("windows-overwritten", "grad_", formula=_overwritten(1)),
    mistake("windows-overwritten-unless-zero", "grad_", formula=_overwritten(1, zeros=False)),
    mistake("windows-overwritten", "grad_", formula=_of_maxima(overwritten_by_windows)),
    mistake("overlap-overwritten", "grad_", formula=_of_maxima(overwritten_by_taps)),
    mistake("first-window-only", "grad_", formula=_overwritten(-1)),
    mistake("first-nonzero-window-only", "grad_", formula=_overwritten(-1, zeros=False)),
    mistake("window-gradient-averaged", "grad_", formula=_routed(lambda v: np.full_like(v, 1 / v.shape[-1]))),
    mistake("window-gradient-to-all", "grad_", formula=_routed(np.ones_like)),
    mistake(
        "first-position-takes-all",
        "grad_",
        formula=_routed(lambda v: _one_hot(np.zeros(v.shape[:-1]), v.shape[-1])),
    ),
    mistake("winner-of-first-channel", "grad_", formula=_routed(_of_first_channel)),
    mistake("divided-by-window", result=scaled(lambda p: 1 / int(np.prod(Geometry.of(p).kernel)))),
    mistake("multiplied-by-maximum", "grad_", formula=_routed(_times_maximum)),
    mistake("first-nan", "grad_", formula=_routed(first_maximum)),
    mistake("nan-ignored", "grad_", formula=_routed(lambda v: first_maximum(np.where(np.isnan(v), -np.inf, v)))),
)
