"""Windows over images, textbook style: a padded copy and one slice per tap. Bugs change one part."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from numpy_cnn.arguments import Array

Pair: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Windows:
    """The windows of one call; every pair is (height, width)."""

    size: Pair  # of the image
    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: Pair  # before the first pixel
    outputs: Pair

    @property
    def reach(self) -> Pair:
        """The size of the padded image that the windows cover."""
        rows, columns = (
            (self.outputs[i] - 1) * self.stride[i] + (self.kernel[i] - 1) * self.dilation[i] + 1 for i in (0, 1)
        )
        return rows, columns

    def taps(self) -> Iterator[Pair]:
        """All (i, j), row-major."""
        return ((i, j) for i in range(self.kernel[0]) for j in range(self.kernel[1]))

    def under(self, i: int, j: int) -> tuple[Any, ...]:
        """The index of the padded pixels under tap (i, j), one for each window."""
        rows, columns = (
            slice(tap * d, tap * d + (n - 1) * s + 1, s)
            for tap, d, n, s in zip((i, j), self.dilation, self.outputs, self.stride, strict=True)
        )
        return (..., rows, columns)

    def window(self, p: int, q: int) -> tuple[Any, ...]:
        """The index of the padded pixels under window (p, q)."""
        rows, columns = (
            slice(o * s, o * s + (k - 1) * d + 1, d)
            for o, s, k, d in zip((p, q), self.stride, self.kernel, self.dilation, strict=True)
        )
        return (..., rows, columns)


def pair(value: Any) -> Pair:
    """A pair of ints; an int counts for both."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def swapped(value: Any) -> Any:
    """(width, height) for (height, width); words are unchanged."""
    return value if isinstance(value, str) else pair(value)[::-1]


def conv_windows(x: Array, w: Array, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Windows:
    """The windows of a convolution."""
    s, d = pair(stride), pair(dilation)
    spans = d[0] * (w.shape[2] - 1), d[1] * (w.shape[3] - 1)
    if padding == "same":
        before, total = (spans[0] // 2, spans[1] // 2), spans
    else:
        before = (0, 0) if padding == "valid" else pair(padding)
        total = 2 * before[0], 2 * before[1]
    rows, columns = ((x.shape[2 + i] + total[i] - spans[i] - 1) // s[i] + 1 for i in (0, 1))
    return Windows((x.shape[2], x.shape[3]), (w.shape[2], w.shape[3]), s, d, before, (rows, columns))


def pool_windows(
    x: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Windows:
    """The windows of a pooling."""
    k, p, d = pair(kernel_size), pair(padding), pair(dilation)
    s = k if stride is None else pair(stride)

    def count(i: int) -> int:
        room = x.shape[2 + i] + 2 * p[i] - d[i] * (k[i] - 1) - 1
        n = (-(-room // s[i]) if ceil_mode else room // s[i]) + 1
        return int(n - 1 if ceil_mode and (n - 1) * s[i] >= x.shape[2 + i] + p[i] else n)

    return Windows((x.shape[2], x.shape[3]), k, s, d, p, (count(0), count(1)))


def padded(x: Array, at: Windows, value: float = 0.0) -> Array:
    """A padded copy with room for every window."""
    around = [(0, 0), (0, 0)] + [(at.padding[i], max(0, at.reach[i] - at.size[i] - at.padding[i])) for i in (0, 1)]
    return np.pad(x, around, constant_values=value)


def gather(x: Array, at: Windows, value: float = 0.0) -> Array:
    """The patches (N, C, taps, oh, ow)."""
    wide = padded(x, at, value)
    return np.stack([wide[at.under(i, j)] for i, j in at.taps()], axis=2)


def scatter(patches: Array, at: Windows) -> Array:
    """The image that results from adding every patch to the pixels that it came from."""
    wide = wide_zeros(patches, at)
    for tap, (i, j) in enumerate(at.taps()):
        wide[at.under(i, j)] += patches[:, :, tap]
    return cropped(wide, at)


def wide_zeros(patches: Array, at: Windows) -> Array:
    """A padded image of zeros to scatter to."""
    sizes = [max(at.reach[i], at.size[i] + at.padding[i]) for i in (0, 1)]
    return np.zeros((*patches.shape[:2], *sizes), patches.dtype)


def cropped(wide: Array, at: Windows) -> Array:
    """A copy of the image without its padding."""
    top, left = at.padding
    return wide[:, :, top : top + at.size[0], left : left + at.size[1]].copy()
