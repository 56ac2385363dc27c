"""Sliding windows by definition: the pixels under each tap, on images with a margin for every tap."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import Formula
from parity.naming.probe import Probe

Pair = tuple[int, int]
Alter = Callable[["Geometry"], "Geometry"]

# (name, field of the geometry, edit of the pair): an option ignored, swapped, or used for both axes
OPTION_EDITS: tuple[tuple[str, str, Callable[[Pair], Pair]], ...] = tuple(
    (f"{option}-{kind}", option, edit)
    for option, neutral in (("stride", 1), ("padding", 0), ("dilation", 1), ("kernel", None))
    for kind, edit in (
        ("ignored", lambda _, neutral=neutral: (neutral, neutral)),
        ("swapped", lambda v: (v[1], v[0])),
        ("height-only", lambda v: (v[0], v[0])),
        ("width-only", lambda v: (v[1], v[1])),
    )
    if not (kind == "ignored" and neutral is None)
)


@dataclass(frozen=True)
class Geometry:
    """The positions of the taps: tap i of window p is over the pixel p·stride − padding + i·dilation."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    behind: Pair  # padding below and to the right

    @classmethod
    def of(cls, probe: Probe) -> "Geometry":
        """The geometry of a convolution's or a pooling's call."""
        options = probe.options
        sized = options.get("kernel_size")
        rows, columns = probe.array("weight").shape[2:] if sized is None else pair(sized)
        kernel = (rows, columns)
        stride = kernel if options["stride"] is None else pair(options["stride"])
        dilation, padding = pair(options.get("dilation", 1)), options["padding"]
        if padding == "same":  # the larger half is at the end
            total = dilation[0] * (rows - 1), dilation[1] * (columns - 1)
            before = total[0] // 2, total[1] // 2
            return cls(kernel, stride, before, dilation, (total[0] - before[0], total[1] - before[1]))
        padding = (0, 0) if padding == "valid" else pair(padding)
        return cls(kernel, stride, padding, dilation, padding)

    @property
    def frame(self) -> tuple[Pair, ...]:
        """The argument of `np.pad` for padding the images beforehand."""
        (top, left), (bottom, right) = self.padding, self.behind
        return (0, 0), (0, 0), (top, bottom), (left, right)

    def pixels(self, axis: int, tap: int, windows: int) -> Array:
        """The pixel under the tap, for each window along an axis; it may be outside the image."""
        return np.arange(windows) * self.stride[axis] - self.padding[axis] + tap * self.dilation[axis]

    def end(self, axis: int, windows: int) -> int:
        """One past the last pixel that a window covers."""
        return int(self.pixels(axis, self.kernel[axis] - 1, windows)[-1]) + 1

    def taps(self) -> Iterator[Pair]:
        """(i, j), row by row."""
        yield from product(range(self.kernel[0]), range(self.kernel[1]))


class Canvas:
    """Images (N, C, H, W) with a margin for every tap."""

    def __init__(
        self, shape: tuple[int, ...], geometry: Geometry, windows: tuple[int, ...], fill: float = 0.0
    ) -> None:
        self.geometry, self.windows = geometry, windows
        self.margin = 1
        for axis, (count, size) in enumerate(zip(windows, shape[2:], strict=True)):
            if not count:
                continue
            before = -int(geometry.pixels(axis, 0, 1)[0])
            behind = int(geometry.pixels(axis, geometry.kernel[axis] - 1, count)[-1]) - size + 1
            self.margin = max(self.margin, before, behind)
        m = self.margin
        self.array = np.full((*shape[:2], shape[2] + 2 * m, shape[3] + 2 * m), fill)
        self.image = self.array[:, :, m : m + shape[2], m : m + shape[3]]

    def place(self, i: int, j: int) -> Any:
        """The pixels of tap (i, j), for all windows."""
        rows, columns = (
            self.geometry.pixels(axis, tap, count) + self.margin
            for axis, (tap, count) in enumerate(zip((i, j), self.windows, strict=True))
        )
        return (slice(None), slice(None), rows[:, None], columns)

    def window(self, p: int, q: int) -> Any:
        """The pixels of window (p, q), for all its taps."""
        g = self.geometry
        rows, columns = (
            place * g.stride[axis] - g.padding[axis] + np.arange(g.kernel[axis]) * g.dilation[axis] + self.margin
            for axis, place in enumerate((p, q))
        )
        return (slice(None), slice(None), rows[:, None], columns)


def altered(alter: Alter, formula: Callable[[Probe, Geometry], Array]) -> Formula:
    """A formula on an altered geometry; the oracle's result if the edit changes nothing."""

    def result(probe: Probe) -> Array:
        geometry = Geometry.of(probe)
        instead = alter(geometry)
        return probe.reference() if instead == geometry else formula(probe, instead)

    return result


def covered(result: Array, probe: Probe, padded: bool = False) -> Array:
    """The images' gradient without the rows and columns after the last window, of the padded image if `padded`."""
    g = Geometry.of(probe)
    ends = [
        min(size, g.end(axis, n) - (g.behind[axis] if padded else 0))
        for axis, (size, n) in enumerate(zip(result.shape[2:], probe.dy.shape[2:], strict=True))
    ]
    return result[:, :, : max(0, ends[0]), : max(0, ends[1])]


def cropped_at_minus_zero(result: Array, probe: Probe) -> Array:
    """[p:-p] of the padded gradient, which is empty for an axis without padding."""
    rows, columns = (
        size if p else 0 for size, p in zip(result.shape[2:], Geometry.of(probe).padding, strict=True)
    )
    return result[:, :, :rows, :columns]


def pair(value: int | Pair) -> Pair:
    """Convert one number for both axes, or a pair, to a pair."""
    return (value, value) if isinstance(value, int) else value
