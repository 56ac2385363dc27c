"""Sliding windows over images that are stored with the batch innermost.

**Which output meets which input.** A window of k taps, spaced d apart, starts at the positions −p, s−p, 2s−p, …
of an axis. Tap i of window o therefore falls on input o·s − p + i·d. The inputs that one tap meets form an
arithmetic progression, so a tap is a pair of slices (outputs, inputs). In the other direction, from an input to
the outputs that meet it, the windows slide as well (`Axis.phases`).

**The layout.** Images are stored as (channel, row, column, image). A row of pixels of all images is then one run
of W·N neighbouring numbers, and even a single column is a run of N: every slice of pixels is long enough for
vector instructions. In (N, C, H, W) the runs have W numbers, or one if there is a stride. Arrays are returned as
transposed views of shape (N, C, H, W): the next op receives the layout it needs, and the caller notices nothing.
The channel axis may be outside the row axis or inside it.

Sources: V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning (2016); A. Krizhevsky,
cuda-convnet (2012), for the layout.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import gcd
from typing import NamedTuple, TypeAlias

import numpy as np

from numpy_cnn.arguments import Array


class Axis(NamedTuple):
    """The windows along one axis: `size` inputs, `windows` outputs, `kernel` taps."""

    size: int
    windows: int
    kernel: int
    stride: int
    padding: int  # before the first input; the padding after the last follows from `windows`
    dilation: int

    @property
    def span(self) -> int:
        """Distance from the first tap of a window to its last."""
        return self.dilation * (self.kernel - 1)

    @property
    def overlap(self) -> bool:
        """Whether an input may belong to more than one window."""
        return self.stride <= self.span

    @property
    def pointwise(self) -> bool:
        """Whether each input is a separate window."""
        return self.kernel == self.stride == 1 and self.windows == self.size and not self.padding

    @property
    def always_met(self) -> bool:
        """Whether every window has a tap inside the input: none is beyond an end or has the input in a gap."""
        last_start = (self.windows - 1) * self.stride - self.padding
        return self.padding <= self.span and last_start < self.size and self.dilation <= self.size

    def taps(self) -> list[tuple[int, slice, slice]]:
        """(tap, outputs, inputs) for every tap that meets an input."""
        met = []
        for tap in range(self.kernel):
            offset = tap * self.dilation - self.padding
            first = max(0, -(offset // self.stride))  # the smallest o with o·s + offset ≥ 0: a ceiling division
            last = min(self.windows - 1, (self.size - 1 - offset) // self.stride)
            if first <= last:
                start, end = first * self.stride + offset, last * self.stride + offset
                met.append((tap, slice(first, last + 1), slice(start, end + 1, self.stride)))
        return met

    def margins(self) -> tuple[int, int]:
        """How far the windows extend beyond the first and the last input; negative if they end before it."""
        end = (self.windows - 1) * self.stride + self.span - self.padding
        return self.padding, end - (self.size - 1)

    def covered(self) -> "Axis":
        """The inputs from the first to the last that the windows cover, each as a window of one tap."""
        return Axis(self.size, (self.windows - 1) * self.stride + self.kernel, 1, 1, self.padding, 1)

    def each(self) -> "Axis":
        """Every input as a window of one tap."""
        return Axis(self.size, self.size, 1, 1, 0, 1)

    def phases(self) -> Iterator["Phase"]:
        """(inputs, taps, their axis): the reverse direction, from an input to the outputs that meet it.

        Input h = o·s − p + i·d meets output o = (h + p − i·d) / s, for the taps i that leave no remainder. Inputs
        that are s apart have the same taps, and their outputs are neighbours. So each of the s phases of the
        inputs is a sliding window of stride 1 over the outputs; its taps run backwards, because o decreases as i
        increases.
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


Phase: TypeAlias = tuple[slice, slice, Axis]  # inputs, taps, and the windows of these taps over the outputs


class Framed(NamedTuple):
    """Images, batch last, with a frame of zeros as wide as their windows need."""

    numbers: Array  # (C, H, W, N) with the frame, as `batch_last` returns it
    inside: Array  # a view of the images without the frame
    above: int  # rows of the frame before the image
    left: int  # columns


def frame(x: Array, *windows: tuple[Axis, Axis]) -> Framed:
    """x (N, C, H, W), framed for windows along (rows, columns), or for several such pairs of axes."""
    above, below, left, right = _reach(windows)
    numbers = batch_last(x, (above, below, left, right))
    inside = numbers[:, above : above + x.shape[2], left : left + x.shape[3]]
    return Framed(numbers, inside, above, left)


@lru_cache(maxsize=1024)
def _reach(windows: tuple[tuple[Axis, Axis], ...]) -> tuple[int, int, int, int]:
    """How far the windows extend beyond the image: above, below, left and right."""
    margins = [(*rows.margins(), *columns.margins()) for rows, columns in windows]
    above, below, left, right = (max(side) for side in zip((0, 0, 0, 0), *margins, strict=True))
    return above, below, left, right


def sliding(x: Framed, rows: Axis, columns: Axis) -> Array:
    """The windows of x as a view (C, kh, kw, oh, ow, N); overlapping windows share memory."""
    channel, row, column, image = x.numbers.strides
    first = (x.above - rows.padding) * row + (x.left - columns.padding) * column
    memory = x.numbers if x.numbers.flags.c_contiguous else x.numbers.swapaxes(0, 1)
    shape = len(x.numbers), rows.kernel, columns.kernel, rows.windows, columns.windows, x.numbers.shape[3]
    of_taps = row * rows.dilation, column * columns.dilation
    of_windows = row * rows.stride, column * columns.stride
    return np.ndarray(shape, x.numbers.dtype, memory, first, (channel, *of_taps, *of_windows, image))


def batch_last(x: Array, frame: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Array:
    """x (N, C, H, W) as (C, H, W, N): a view if the memory already has this order, else a copy.

    frame: rows of zeros above and below, columns of zeros left and right.
    """
    turned = x.transpose(1, 2, 3, 0)
    innermost = turned.flags.c_contiguous or turned.swapaxes(0, 1).flags.c_contiguous
    if innermost and not any(frame):
        return turned
    channels, height, width, images = turned.shape
    above, below, left, right = frame
    framed = np.empty((channels, above + height + below, left + width + right, images), dtype=x.dtype)
    inside = framed[:, above : above + height, left : left + width]
    if any(frame):
        framed[:, :above] = framed[:, above + height :] = 0
        framed[:, :, :left] = framed[:, :, left + width :] = 0
    # A few images are transposed at a time, so that the cache can hold a line of each. Images that are a multiple
    # of 1 kB apart compete for the same cache sets, and only 8 of them fit.
    step = images if innermost else 64 if x.strides[0] % 1024 else 8
    for start in range(0, images, max(1, step)):
        inside[..., start : start + step] = turned[..., start : start + step]
    return framed


def batch_first(x: Array) -> Array:
    """x (C, H, W, N) as a view of shape (N, C, H, W)."""
    return x.transpose(3, 0, 1, 2)
