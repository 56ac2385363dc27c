"""Thicken strokes that are too thin to survive downscaling to 20 pixels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float64]

_SIDE = 160  # points along the longer side while strokes are measured: 8 for each pixel of MNIST
_THIN = 1.0 / 20  # of the longer side; thinner strokes are thickened
_AIM = 2.0 / 20


def thickened(ink: Grey) -> Grey:
    """Thicken strokes thinner than a twentieth of the longer side to about a tenth.

    A long stroke of width w and length l has the area w·l and a perimeter of 2·l, so w = 2·area / perimeter; the
    perimeter is the sum of the ink's slopes.
    """
    width = stroke_width(ink)
    longest = max(ink.shape)
    if width >= _THIN * longest:
        return ink
    from PIL import Image

    scale = _SIDE / longest
    size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    large = np.asarray(Image.fromarray(ink.astype(np.float32)).resize(size, Image.Resampling.BILINEAR), np.float64)
    radius = math.ceil((_AIM * _SIDE - stroke_width(large)) / 2)
    if large.max() > 0:
        large = large / large.max()
    wide = np.pad(large, radius)
    grown = np.zeros_like(wide)
    for down in range(-radius, radius + 1):
        half = math.isqrt(radius * radius - down * down)
        grown = np.maximum(grown, np.roll(_widest(wide, half), down, axis=0))
    return grown.clip(0, 1)


def stroke_width(ink: Grey) -> float:
    """The mean width of the strokes, in points."""
    padded = np.pad(ink, 1)
    slope = np.hypot(np.diff(padded, axis=0)[:, :-1], np.diff(padded, axis=1)[:-1])
    perimeter = float(slope.sum())
    return 2 * float(ink.sum()) / perimeter if perimeter else 0.0


def _widest(ink: Grey, half: int) -> Grey:
    """The largest of the 2·half+1 points around each point of a row; the edges are empty."""
    reach, rows = 1, np.pad(ink, ((0, 0), (half, half)))
    while reach < 2 * half + 1:
        step = min(reach, 2 * half + 1 - reach)
        rows = np.maximum(rows[:, :-step], rows[:, step:])
        reach += step
    return rows
