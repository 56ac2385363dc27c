"""Sliding windows: which output a tap of the window meets at which input, and both directions of that map.

A window of k taps, spaced d apart, starts at the positions −p, s−p, 2s−p, … of an axis. Tap i of window o
therefore lies over input o·s − p + i·d. Those inside the axis form one arithmetic progression, so each tap is
a pair of slices: no padded copy is ever made, and a tap over the padding is simply absent.
"""

from dataclasses import dataclass

import numpy as np

from numpy_cnn.ops.arguments import Array


@dataclass(frozen=True)
class Axis:
    """The windows along one axis: `size` inputs, `windows` outputs, `kernel` taps."""

    size: int
    windows: int
    kernel: int
    stride: int
    padding: int  # before the first input; what is needed behind the last follows from `windows`
    dilation: int

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


def gather(x: Array, rows: Axis, columns: Axis) -> Array:
    """Copy the windows of x (N, C, H, W) out as patches (N, C, kh, kw, oh, ow), zero over the padding."""
    patches = np.zeros((*x.shape[:2], rows.kernel, columns.kernel, rows.windows, columns.windows), dtype=x.dtype)
    for i, out_rows, in_rows in rows.taps():
        for j, out_columns, in_columns in columns.taps():
            patches[:, :, i, j, out_rows, out_columns] = x[:, :, in_rows, in_columns]
    return patches


def scatter(patches: Array, rows: Axis, columns: Axis) -> Array:
    """Add patches (N, C, kh, kw, oh, ow) up where their windows lie: the adjoint of `gather`.

    ⟨gather(x), p⟩ = ⟨x, scatter(p)⟩ for all x and p: the two loops differ in the direction of one assignment.
    """
    x = np.zeros((*patches.shape[:2], rows.size, columns.size), dtype=patches.dtype)
    for i, out_rows, in_rows in rows.taps():
        for j, out_columns, in_columns in columns.taps():
            x[:, :, in_rows, in_columns] += patches[:, :, i, j, out_rows, out_columns]
    return x
