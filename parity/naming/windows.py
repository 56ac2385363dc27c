"""Sliding windows as their definition has them: pixels under taps, on images with room around them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from parity.cases.torch_op import Array
from parity.naming.explanation import Question

Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """Where the taps lie: tap i of window p is over the pixel p·stride − padding + i·dilation."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    behind: Pair  # padding below and to the right

    @classmethod
    def of(cls, question: Question) -> "Geometry":
        """The case's own, of a convolution or of a pooling."""
        options = question.options
        sized = options.get("kernel_size")
        rows, columns = question.array("weight").shape[2:] if sized is None else pair(sized)
        kernel = (rows, columns)
        stride = kernel if options["stride"] is None else pair(options["stride"])
        dilation, padding = pair(options["dilation"]), options["padding"]
        if padding == "same":  # an odd zero stands behind
            total = dilation[0] * (rows - 1), dilation[1] * (columns - 1)
            before = total[0] // 2, total[1] // 2
            return cls(kernel, stride, before, dilation, (total[0] - before[0], total[1] - before[1]))
        padding = (0, 0) if padding == "valid" else pair(padding)
        return cls(kernel, stride, padding, dilation, padding)

    @property
    def frame(self) -> tuple[Pair, ...]:
        """What `np.pad` takes to do the padding beforehand."""
        (top, left), (bottom, right) = self.padding, self.behind
        return (0, 0), (0, 0), (top, bottom), (left, right)

    def pixels(self, axis: int, tap: int, windows: int) -> Array:
        """The pixel under the tap, for each window along an axis; it may lie outside of the image."""
        return np.arange(windows) * self.stride[axis] - self.padding[axis] + tap * self.dilation[axis]

    def taps(self) -> Iterator[Pair]:
        """(i, j), row by row."""
        yield from product(range(self.kernel[0]), range(self.kernel[1]))


class Canvas:
    """Images (N, C, H, W) with room around them for every tap."""

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
        """Where tap (i, j) lies, for all windows."""
        rows, columns = (
            self.geometry.pixels(axis, tap, count) + self.margin
            for axis, (tap, count) in enumerate(zip((i, j), self.windows, strict=True))
        )
        return (slice(None), slice(None), rows[:, None], columns)

    def window(self, p: int, q: int) -> Any:
        """Where window (p, q) lies, all its taps."""
        g = self.geometry
        rows, columns = (
            place * g.stride[axis] - g.padding[axis] + np.arange(g.kernel[axis]) * g.dilation[axis] + self.margin
            for axis, place in enumerate((p, q))
        )
        return (slice(None), slice(None), rows[:, None], columns)


def covered(answer: Array, question: Question) -> Array:
    """The images' gradient without the rows and columns behind the last window."""
    g = Geometry.of(question)
    ends = [
        min(size, int(g.pixels(axis, g.kernel[axis] - 1, n)[-1]) + 1)
        for axis, (size, n) in enumerate(zip(answer.shape[2:], question.dy.shape[2:], strict=True))
    ]
    return answer[:, :, : ends[0], : ends[1]]


def pair(value: int | Pair) -> Pair:
    """One number for both axes, or one for each."""
    return (value, value) if isinstance(value, int) else value
