"""Sliding windows: which output a tap of the window meets at which input, and the way back.

A window of k taps, spaced d apart, starts at the positions −p, s−p, 2s−p, … of an axis. Tap i of window o
therefore lies over input o·s − p + i·d. Those inside the axis form one arithmetic progression, so each tap is
a pair of slices.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import gcd
from typing import NamedTuple

import numpy as np

from numpy_cnn.arguments import Array
from numpy_cnn.ops.fast.layout import batch_last


class Axis(NamedTuple):
    """The windows along one axis: `size` inputs, `windows` outputs, `kernel` taps."""

    size: int
    windows: int
    kernel: int
    stride: int
    padding: int  # before the first input; what is needed behind the last follows from `windows`
    dilation: int

    @property
    def overlap(self) -> bool:
        """Whether an input may lie in more than one window."""
        return self.stride <= self.dilation * (self.kernel - 1)

    @property
    def apart(self) -> bool:
        """Whether each input is a window of its own."""
        return self.kernel == self.stride == 1 and self.windows == self.size and not self.padding

    def taps(self) -> list[tuple[int, slice, slice]]:
        """(tap, outputs, inputs) for every tap that meets the input at all."""
        met = []
        for tap in range(self.kernel):
            offset = tap * self.dilation - self.padding
            first = max(0, -(offset // self.stride))  # the least o with o·s + offset ≥ 0: a ceiling division
            last = min(self.windows - 1, (self.size - 1 - offset) // self.stride)
            if first <= last:
                start, end = first * self.stride + offset, last * self.stride + offset
                met.append((tap, slice(first, last + 1), slice(start, end + 1, self.stride)))
        return met

    def margins(self) -> tuple[int, int]:
        """How far the windows reach beyond the first and the last input; negative if they end before."""
        end = (self.windows - 1) * self.stride + (self.kernel - 1) * self.dilation - self.padding
        return self.padding, end - (self.size - 1)

    def lines(self) -> "Axis":
        """From the first to the last input that the windows cover, each as a window of one tap."""
        return Axis(self.size, (self.windows - 1) * self.stride + self.kernel, 1, 1, self.padding, 1)

    def each(self) -> "Axis":
        """Every input as a window of one tap."""
        return Axis(self.size, self.size, 1, 1, 0, 1)

    def phases(self) -> Iterator[tuple[slice, slice, "Axis"]]:
        """(inputs, taps, their axis): the way back, from the outputs that an input was met by.

        Input h = o·s − p + i·d was met by output o = (h + p − i·d) / s, for the taps i that leave no remainder.
        Inputs s apart share their taps, and step from one output to the next. So each of the s phases of the
        inputs is again a sliding window, of stride 1 over the outputs; its taps run backwards, for o falls as i
        grows.
        """
        step = self.stride // gcd(self.stride, self.dilation)  # between taps of one phase
        for phase in range(min(self.stride, self.size)):
            met = [i for i in range(self.kernel) if (phase + self.padding - i * self.dilation) % self.stride == 0]
            taps = slice(met[-1], None, -step) if met else slice(0)
            first = (phase + self.padding - met[-1] * self.dilation) // self.stride if met else 0
            inputs = slice(phase, None, self.stride)
            apart = self.dilation * step // self.stride
            windows = len(range(phase, self.size, self.stride))
            yield inputs, taps, Axis(self.windows, windows, len(met), 1, -first, apart)


class Framed(NamedTuple):
    """An image, batch last, with zeros around, as far as its windows reach."""

    numbers: Array  # (C, H, W, N) with the frame, as `batch_last` has it
    inside: Array  # the image alone, a view
    above: int  # rows of the frame before the image
    left: int  # columns


def frame(x: Array, *windows: tuple[Axis, Axis]) -> Framed:
    """x (N, C, H, W), framed for windows along (rows, columns), or for several such."""
    above, below, left, right = _reach(windows)
    numbers = batch_last(x, (above, below, left, right))
    inside = numbers[:, above : above + x.shape[2], left : left + x.shape[3]]
    return Framed(numbers, inside, above, left)


@lru_cache(maxsize=1024)
def _reach(windows: tuple[tuple[Axis, Axis], ...]) -> tuple[int, int, int, int]:
    """How far the windows reach beyond the image, above, below, left and right."""
    margins = [(*rows.margins(), *columns.margins()) for rows, columns in windows]
    above, below, left, right = (max(side) for side in zip((0, 0, 0, 0), *margins, strict=True))
    return above, below, left, right


def sliding(x: Framed, rows: Axis, columns: Axis) -> Array:
    """The windows of x as a view (C, kh, kw, oh, ow, N): where they overlap, a number is seen several times."""
    channel, row, column, image = x.numbers.strides
    first = (x.above - rows.padding) * row + (x.left - columns.padding) * column
    lying = x.numbers if x.numbers.flags.c_contiguous else x.numbers.swapaxes(0, 1)
    return np.ndarray(
        (len(x.numbers), rows.kernel, columns.kernel, rows.windows, columns.windows, x.numbers.shape[3]),
        x.numbers.dtype,
        lying,
        first,
        (
            channel,
            row * rows.dilation,
            column * columns.dilation,
            row * rows.stride,
            column * columns.stride,
            image,
        ),
    )
