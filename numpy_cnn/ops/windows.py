"""Sliding windows: which output a tap of the window meets at which input, and the way back.

A window of k taps, spaced d apart, starts at the positions −p, s−p, 2s−p, … of an axis. Tap i of window o
therefore lies over input o·s − p + i·d. Those inside the axis form one arithmetic progression, so each tap is
a pair of slices: no padded copy is ever made, and a tap over the padding is simply absent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd

from numpy.lib.stride_tricks import as_strided

from numpy_cnn.ops.arguments import Array
from numpy_cnn.ops.layout import batch_last


@dataclass(frozen=True)
class Axis:
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
            taps = slice(met[-1], met[0] - 1 if met[0] else None, -step) if met else slice(0)
            first = (phase + self.padding - met[-1] * self.dilation) // self.stride if met else 0
            inputs = slice(phase, None, self.stride)
            apart = self.dilation * step // self.stride
            windows = len(range(phase, self.size, self.stride))
            yield inputs, taps, Axis(self.windows, windows, len(met), 1, -first, apart)


def sliding(x: Array, rows: Axis, columns: Axis) -> Array:
    """The windows of x (N, C, H, W), zero outside of it, as a read-only view (C, kh, kw, oh, ow, N).

    Only what lies around x is added, once: an overlap is the same number seen at several places.
    """
    (top, bottom), (left, right) = rows.margins(), columns.margins()
    frame = max(top, 0), max(bottom, 0), max(left, 0), max(right, 0)
    x = batch_last(x, frame)[
        :, max(-top, 0) :, max(-left, 0) :
    ]  # a negative margin: the first window begins inside
    channel, row, column, image = x.strides
    return as_strided(
        x,
        (len(x), rows.kernel, columns.kernel, rows.windows, columns.windows, x.shape[3]),
        (
            channel,
            row * rows.dilation,
            column * columns.dilation,
            row * rows.stride,
            column * columns.stride,
            image,
        ),
        writeable=False,
    )
