"""Mistakes in unfold and fold: the order of the columns, and sums where windows overlap."""

from collections.abc import Iterator

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import EditInputs, EditResult, Explanation, mistake
from parity.naming.probe import Probe
from parity.naming.windows import Canvas, Geometry, cropped_at_minus_zero, pair

# The order of (channel, tap row, tap column, window row, window column), which torch counts as (0, 1, 2, 3, 4).
ORDERS = (
    ("taps-before-channels", (1, 2, 0, 3, 4)),
    ("taps-column-major", (0, 2, 1, 3, 4)),
    ("windows-column-major", (0, 1, 2, 4, 3)),
)


def _folds(probe: Probe) -> bool:
    return "output_size" in probe.options


def _image(probe: Probe) -> tuple[int, ...]:
    """(N, C, H, W)"""
    if not _folds(probe):
        return probe.first.shape
    rows, columns = Geometry.of(probe).kernel
    size = pair(probe.options["output_size"])
    return len(probe.first), probe.first.shape[1] // (rows * columns), *size


def _windows(probe: Probe) -> tuple[int, int]:
    g = Geometry.of(probe)
    down, along = (
        (size + 2 * g.padding[axis] - g.dilation[axis] * (g.kernel[axis] - 1) - 1) // g.stride[axis] + 1
        for axis, size in enumerate(_image(probe)[2:])
    )
    return down, along


def _split(columns: Array, probe: Probe) -> Array:
    """(N, C, kh, kw, oh, ow)"""
    n, channels, *_ = _image(probe)
    return columns.reshape(n, channels, *Geometry.of(probe).kernel, *_windows(probe))


def _ordered(columns: Array, probe: Probe, order: tuple[int, ...]) -> Array:
    axes = 0, *(1 + axis for axis in order)
    return np.ascontiguousarray(_split(columns, probe).transpose(axes).reshape(columns.shape))


def _restored(columns: Array, probe: Probe, order: tuple[int, ...]) -> Array:
    """Read columns that are in this order."""
    axes = 0, *(1 + axis for axis in order)
    split = _split(columns, probe)
    sizes = [split.shape[axis] for axis in axes]
    return np.ascontiguousarray(columns.reshape(sizes).transpose(np.argsort(axes)).reshape(columns.shape))


def _reordered(order: tuple[int, ...]) -> tuple[EditInputs, EditResult]:
    """The columns are given in this order, and returned in it."""

    def inputs(probe: Probe) -> Probe:
        if _folds(probe):
            return probe.with_arrays(input=_restored(probe.first, probe, order)) if probe.is_output else probe
        return probe if probe.is_output else probe.with_upstream(_restored(probe.dy, probe, order))

    def result(found: Array, probe: Probe) -> Array:
        return _ordered(found, probe, order) if probe.is_output != _folds(probe) else found

    return inputs, result


def _summed(probe: Probe, overwrite: bool) -> Array:
    """The image to which the columns are added, tap by tap."""
    geometry, columns = Geometry.of(probe), probe.first if _folds(probe) else probe.dy
    parts, canvas = _split(columns, probe), Canvas(_image(probe), geometry, _windows(probe))
    for i, j in geometry.taps():
        place = canvas.place(i, j)
        canvas.array[place] = parts[:, :, i, j] if overwrite else canvas.array[place] + parts[:, :, i, j]
    return canvas.image


def _overwritten(probe: Probe) -> Array:
    return _summed(probe, overwrite=True)


def _averaged(result: Array, probe: Probe) -> Array:
    ones = np.ones_like(probe.first if _folds(probe) else probe.dy)
    counting = probe.with_arrays(input=ones) if _folds(probe) else probe.with_upstream(ones)
    return np.asarray(result / np.maximum(_summed(counting, overwrite=False), 1))


def _of_averages(probe: Probe) -> Probe:
    """The gradient of averages: dy is divided as the output is."""
    return probe.with_upstream(_averaged(probe.dy, probe))


def _mistakes(image: str) -> Iterator[Explanation]:
    """`image`: the quantity that is a sum of columns, the output of fold and the gradient of unfold."""
    for name, order in ORDERS:
        inputs, result = _reordered(order)
        yield mistake(name, "", inputs, result)
    yield mistake("overlap-overwritten", image, formula=_overwritten)
    yield mistake("overlap-averaged", image, result=_averaged)
    if image == "output":
        yield mistake("overlap-averaged", "grad_", _of_averages)
    yield mistake("cropped-at-minus-zero", image, result=cropped_at_minus_zero)


UNFOLD = tuple(_mistakes("grad_"))
FOLD = tuple(_mistakes("output"))
