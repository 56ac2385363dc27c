"""Indices and counts stored in too few bits: pixels of a convolution, winners of a window, targets, entries."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import EditResult, Explanation, Formula, mistake
from parity.naming.general import argument
from parity.naming.pooling import scattered, values_of_windows, winner
from parity.naming.probe import NotApplicable, Probe
from parity.naming.windows import Geometry

Kind: TypeAlias = type[np.integer[Any]]

KINDS: tuple[tuple[str, Kind], ...] = (
    ("a signed byte", np.int8),
    ("a byte", np.uint8),
    ("16 bits with a sign", np.int16),
    ("16 bits", np.uint16),
)
TAPS = (127, 128, 255, 256)  # the first tap that an index of 8 bits, or a loop up to its largest value, leaves out


def stored(index: Array, kind: Kind, size: int) -> Array | None:
    """The indices as a narrow type returns them, negative ones from the end; None if all of them fit."""
    narrow = index.astype(kind).astype(np.int64)
    if np.array_equal(narrow, index):
        return None
    return np.where(narrow < 0, narrow % size, narrow)


def _pixels(kind: Kind) -> Formula:
    """A convolution by one flat index of each pixel under a tap, in the padded planes of a group."""

    def formula(probe: Probe) -> Array:
        x, w, groups = probe.first, probe.array("weight"), probe.options["groups"]
        if x.ndim != 4 or not x.size:
            raise NotApplicable("there is no batch of images")
        g = Geometry.of(probe)
        padded = np.pad(x, g.frame)
        rows, columns = padded.shape[2:]
        windows = [
            (size - g.dilation[i] * (g.kernel[i] - 1) - 1) // g.stride[i] + 1
            for i, size in enumerate((rows, columns))
        ]
        channel, i, j, p, q = np.ogrid[tuple(map(slice, (*w.shape[1:], *windows)))]
        row, column = i * g.dilation[0] + p * g.stride[0], j * g.dilation[1] + q * g.stride[1]
        flat = ((channel * rows + row) * columns + column).reshape(-1, windows[0] * windows[1])
        size = w.shape[1] * rows * columns
        narrow = stored(flat, kind, size)
        if narrow is None:
            return probe.reference()
        flat = narrow
        images = padded.reshape(len(x), groups, size)
        kernels = w.reshape(groups, len(w) // groups, -1)
        if probe.is_output:
            y = np.einsum("gok,ngkp->ngop", kernels, images[:, :, flat]).reshape(len(x), len(w), *windows)
            bias = probe.arrays.get("bias")
            return np.asarray(y if bias is None else y + bias[:, None, None])
        dy = probe.dy.reshape(len(x), groups, len(w) // groups, -1)
        if probe.quantity == "grad_weight":
            return np.asarray(np.einsum("ngop,ngkp->gok", dy, images[:, :, flat])).reshape(w.shape)
        if probe.quantity != "grad_input":
            raise NotApplicable("the pixels have no part in it")
        dx = np.zeros(images.shape)
        np.add.at(dx.transpose(2, 0, 1), flat, np.einsum("gok,ngop->kpng", kernels, dy))
        (top, left), (_, _) = g.padding, g.behind
        return dx.reshape(padded.shape)[:, :, top : top + x.shape[2], left : left + x.shape[3]]

    return formula


def _taps_from(first: int) -> dict[str, Any]:
    """Leave out the taps of each kernel, counted over its channels, from one on."""

    def edit(w: Array) -> Array:
        found = w.copy()
        found.reshape(len(w), -1)[:, first:] = 0
        return found

    return {
        "inputs": argument("weight", edit),
        "result": lambda r, probe: edit(r) if probe.quantity == "grad_weight" else r,
    }


def _winners(kind: Kind) -> Formula:
    def formula(probe: Probe) -> Array:
        shares = winner(values_of_windows(probe))
        taps = shares.shape[-1]
        place = stored(shares.argmax(axis=-1), kind, taps)
        if place is None:
            return probe.reference()
        return scattered(
            probe, Geometry.of(probe), np.where(place[..., None] == np.arange(taps), probe.dy[..., None], 0)
        )

    return formula


def _targets(kind: Kind) -> Callable[[Probe], Probe]:
    def inputs(probe: Probe) -> Probe:
        target = probe.array("target")
        if target.dtype.kind != "i":
            raise NotApplicable("the targets are probabilities")
        classes = probe.first.shape[min(1, probe.first.ndim - 1)]
        kept = target == probe.options.get("ignore_index", -100)
        narrow = stored(np.where(kept, 0, target), kind, classes)
        return probe if narrow is None else probe.with_arrays(target=np.where(kept, target, narrow))

    return inputs


def _counts(kind: Kind, least: int) -> EditResult:
    """Divide a mean by the number of entries as a narrow type returns it, or by `least` if that is 0."""

    def result(r: Array, probe: Probe) -> Array:
        count = int(np.array(probe.first.size).astype(kind)) or least
        if probe.options.get("reduction", "mean") != "mean" or count == probe.first.size:
            return r
        return np.asarray(r * r.dtype.type(probe.first.size) / r.dtype.type(count))

    return result


def _made(make: Callable[[str, Kind], Explanation]) -> tuple[Explanation, ...]:
    return tuple(make(bits, kind) for bits, kind in KINDS)


PIXELS = (
    *_made(lambda bits, kind: mistake("pixel-index-overflows", formula=_pixels(kind), bits=bits)),
    *(mistake("taps-lost", "", **_taps_from(first), first=first) for first in TAPS),
)
WINNERS = _made(lambda bits, kind: mistake("winner-index-overflows", "grad_", formula=_winners(kind), bits=bits))
TARGETS = _made(lambda bits, kind: mistake("target-overflows", "", _targets(kind), bits=bits))
COUNTS = tuple(
    mistake("count-overflows", result=_counts(kind, least), bits=bits) for bits, kind in KINDS for least in (0, 1)
)
