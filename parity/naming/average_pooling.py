"""Mistakes in average pooling: the divisor, the windows, and the summation of the gradient."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import EditInputs, EditResult, Explanation, Formula, mistake
from parity.naming.pooling import (
    overwritten_by_taps,
    overwritten_by_windows,
    scattered,
    values_of_windows,
    winner,
)
from parity.naming.probe import NotApplicable, Probe
from parity.naming.windows import OPTION_EDITS, Alter, Geometry, altered, covered, cropped_at_minus_zero

Scatter = Callable[[Probe, Array], Array]  # parts (N, C, oh, ow, taps) → dx


def divisors(probe: Probe) -> Array:
    """The number that each window's sum is divided by, (oh, ow)."""
    override = probe.options.get("divisor_override")
    if override is not None:
        return np.full(probe.dy.shape[2:], float(override))
    g, sides = Geometry.of(probe), []
    for axis, (size, windows) in enumerate(zip(probe.first.shape[2:], probe.dy.shape[2:], strict=True)):
        start = g.pixels(axis, 0, windows)
        end = np.minimum(start + g.kernel[axis], size + g.padding[axis])
        if not probe.options.get("count_include_pad", True):
            start, end = np.maximum(start, 0), np.minimum(end, size)
        sides.append(end - start)
    return np.asarray(np.multiply.outer(sides[0], sides[1]), np.float64)


def _taps(probe: Probe) -> float:
    return float(np.prod(Geometry.of(probe).kernel))


def _height(probe: Probe) -> float:
    return float(Geometry.of(probe).kernel[0])


def _without_override(probe: Probe) -> Any:
    return divisors(probe) if probe.options.get("divisor_override") is None else _taps(probe)


def _divided(name: str, by: Callable[[Probe], Any]) -> Explanation:
    """Divide windows by another number; for a gradient the factor is applied to the cotangent."""

    def inputs(probe: Probe) -> Probe:
        return probe if probe.is_output else probe.with_upstream(_times(probe.dy, probe))

    def result(r: Array, probe: Probe) -> Array:
        return _times(r, probe) if probe.is_output else r

    def _times(array: Array, probe: Probe) -> Array:
        return np.asarray(array * (divisors(probe) / by(probe)).astype(array.dtype))

    edit_inputs: EditInputs = inputs
    edit_result: EditResult = result
    return mistake(name, "", edit_inputs, edit_result)


def _parts(probe: Probe) -> Array:
    """dy divided by the size of its window, for each tap."""
    each = probe.dy / divisors(probe)
    return np.broadcast_to(each[..., None], (*each.shape, int(_taps(probe))))


def _gathered(scatter: Scatter) -> Formula:
    return lambda probe: scatter(probe, _parts(probe))


def _to_maximum(probe: Probe) -> Array:
    chosen = winner(values_of_windows(probe))
    return scattered(probe, Geometry.of(probe), np.where(chosen, probe.dy[..., None], 0))


def _maximum(probe: Probe) -> Array:
    return np.asarray(values_of_windows(probe).max(axis=-1))


def _options() -> Iterator[Explanation]:
    for name, option, edit in OPTION_EDITS:
        if option == "dilation":
            continue

        def alter(g: Geometry, option: str = option, edit: Any = edit) -> Geometry:
            return replace(g, **{option: edit(getattr(g, option))})

        def inputs(probe: Probe, alter: Alter = alter) -> Probe:
            g = alter(Geometry.of(probe))
            if any(p > k // 2 for p, k in zip(g.padding, g.kernel, strict=True)):
                raise NotApplicable("torch rejects such a padding")
            return probe.with_options(kernel_size=g.kernel, stride=g.stride, padding=g.padding)

        yield mistake(name, "", inputs)
        if option != "kernel":
            yield mistake(name, "grad_", formula=altered(alter, lambda p, g: scattered(p, g, _parts(p))))


AVERAGE_POOLING = (
    _divided("window-not-averaged", lambda _: 1.0),
    _divided("window-averaged-by-taps", _taps),
    _divided("window-averaged-by-height", _height),
    _divided("override-ignored-in-divisor", _without_override),
    _divided("window-averaged-twice", lambda probe: divisors(probe) ** 2),
    *_options(),
    mistake("windows-overwritten", "grad_", formula=_gathered(overwritten_by_windows)),
    mistake("overlap-overwritten", "grad_", formula=_gathered(overwritten_by_taps)),
    mistake("stride-of-kernel", "", lambda probe: probe.with_options(stride=None)),
    mistake("remainder-dropped", "grad_", result=covered),
    mistake("cropped-at-minus-zero", "grad_", result=cropped_at_minus_zero),
    mistake("window-maximum", "output", formula=_maximum),
    mistake("maximum-takes-all", "grad_", formula=_to_maximum),
)
