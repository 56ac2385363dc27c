"""Ink told from paper: from grey levels to how much of each point a stroke covers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from numpy_cnn.common.spec.errors import UserError

Grey = NDArray[np.float64]

_LEAST_CONTRAST = 20.0  # grey levels of 255 between ink and paper; below it is the noise of a camera
_SPECK = 0.05  # of the ink of the largest connected part


def ink_of(grey: Grey, path: Path) -> Grey:
    """Grey levels ``(H, W)`` to ink: 0 on the paper, 1 inside a stroke, between them along its edge.

    Raises UserError, naming ``path``, where there is no ink.
    """
    threshold, contrast = _otsu(grey)
    if np.median(_border(grey)) > threshold:
        grey = 255 - grey
    above_paper = (grey - _paper(grey, contrast)).clip(0, 255)
    threshold, contrast = _otsu(above_paper)
    if contrast < _LEAST_CONTRAST:
        raise UserError(
            f"{path}: no digit found: the image is blank, or its ink differs from the paper by only "
            f"{contrast:.0f} of 255 grey levels"
        )
    # Half an ink at the threshold, none at half of it: noise vanishes and edges stay where they were.
    ink: Grey = (above_paper / threshold - 0.5).clip(0, 1)
    return ink


def _otsu(grey: Grey) -> tuple[float, float]:
    """The threshold that parts the histogram with the least variance within both parts, and the distance
    between their means."""
    counts, _ = np.histogram(grey, bins=256, range=(-0.5, 255.5))
    levels = np.arange(256)
    below = np.cumsum(counts)[:-1]
    above = grey.size - below
    sum_below = np.cumsum(counts * levels)[:-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = ((counts * levels).sum() - sum_below) / above - sum_below / below
    between = np.where((below > 0) & (above > 0), below * above * np.nan_to_num(distance) ** 2, 0)
    # Between two levels with nothing in between every threshold is as good: take the middle one.
    best = np.flatnonzero(between == between.max())
    middle = best[len(best) // 2]
    return float(best.mean() + 0.5), float(distance[middle]) if between.max() > 0 else 0.0


def _border(grey: Grey) -> Grey:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _paper(grey: Grey, contrast: float) -> Grey:
    """The grey of the paper everywhere: the border's median, tilted where the light falls off to one side.

    A side whose median differs from its opposite's by half the contrast is covered by ink, not shaded.
    """
    height, width = grey.shape
    paper = np.full(grey.shape, np.median(_border(grey)))
    down = float(np.median(grey[-1]) - np.median(grey[0]))
    right = float(np.median(grey[:, -1]) - np.median(grey[:, 0]))
    if abs(down) < contrast / 2:
        paper += down * np.linspace(-0.5, 0.5, height)[:, None]
    if abs(right) < contrast / 2:
        paper += right * np.linspace(-0.5, 0.5, width)
    return paper


def crop(ink: Grey) -> Grey:
    """The ink without the empty rows and columns around it."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def without_specks(ink: Grey) -> Grey:
    """The ink without the connected parts that are tiny beside the largest one.

    Parts are told apart on a grid of at most 64x64 cells; touching at a corner counts as connected.
    """
    cell = math.ceil(max(ink.shape) / 64)
    height, width = (math.ceil(side / cell) for side in ink.shape)
    padded = np.zeros((height * cell, width * cell))
    padded[: ink.shape[0], : ink.shape[1]] = ink
    cells = padded.reshape(height, cell, width, cell).sum(axis=(1, 3))

    part = np.where(cells > 0, np.arange(1, cells.size + 1).reshape(cells.shape), 0)
    while True:
        around = np.lib.stride_tricks.sliding_window_view(np.pad(part, 1), (3, 3)).max(axis=(2, 3))
        spread = np.where(cells > 0, around, 0)
        if np.array_equal(spread, part):
            break
        part = spread

    amount = np.bincount(part.ravel(), weights=cells.ravel())
    kept = (amount >= _SPECK * amount.max())[part]
    return np.where(kept.repeat(cell, axis=0).repeat(cell, axis=1), padded, 0)[: ink.shape[0], : ink.shape[1]]
