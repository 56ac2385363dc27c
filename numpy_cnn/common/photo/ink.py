"""Separation of ink from paper: from colours to the coverage of each point by strokes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_cnn.common.photo.frame import inside_frame
from numpy_cnn.common.photo.parts import SPECK, Part, parts_of
from numpy_cnn.common.photo.pixels import Pixels
from numpy_cnn.common.spec.errors import UserError

Grey = NDArray[np.float64]

_LEAST_CONTRAST = 20.0  # grey levels of 255 between ink and paper; less is camera noise
_FAINT = 40.0
_WIDEST_STROKE = 0.36  # of the shorter side of the picture
_LONG_STROKE = 0.2  # of the longer side: a one that fills the picture is nearly as wide as it
_MOST = 0.7  # of a picture: more than any digit covers, even if tightly cropped
_EVEN = 0.25  # of the distance between dark and light: how much dark paper without shading varies
_ALONG_AN_EDGE = 0.3  # of a side of the picture: a part that touches more is a frame, a table or a shadow
_CLEARER = 1.6  # ratio of contrasts above which the stronger of the dark and light layers is selected directly
_OWN_COLOUR = 2.0  # ratio of colour contrast to grey contrast above which colour is used


@dataclass(frozen=True)
class Ink:
    """Ink ``(H, W)``, 0 on the paper to 1 inside a stroke, and reasons why it may be unreliable."""

    ink: Grey
    doubts: tuple[str, ...]


def ink_of(pixels: Pixels, path: Path) -> Ink:
    """Return the ink on a picture ``(H, W, 4)``, without frames and the surroundings of the page.

    The paper's grey is estimated at each point by a morphological closing with a square wider than any stroke: it
    follows shading, the edge of a shadow and the edge of a page, and removes the strokes. Darker points
    are ink (lighter ones for light ink on dark paper), separated by Otsu's threshold.

    Raises:
        UserError: there is no ink; the message names ``path``.

    Sources: N. Otsu, A threshold selection method from gray-level histograms, 1979; F. Meyer, Contrast features
    extraction (the top-hat transformation), 1979.
    """
    layer = _layer_of(grey := _grey_of(pixels))
    page = inside_frame(grey)
    if grey[page].size < grey.size:
        within = _layer_of(_grey_of(pixels[page]))
        layer = within if within.contrast >= _LEAST_CONTRAST else layer  # a bold one is not a blank page
    if layer.contrast < _LEAST_CONTRAST:
        raise UserError(
            f"{path}: no digit found: the image is blank, or its ink differs from the paper by only "
            f"{layer.contrast:.0f} of 255 grey levels"
        )
    doubts = []
    if layer.contrast < _FAINT:
        doubts.append(f"the ink is faint: it differs from the paper by {layer.contrast:.0f} of 255 grey levels")
    return Ink(layer.ink, tuple(doubts))


@dataclass(frozen=True)
class _Layer:
    """The parts darker (or lighter) than their surroundings, ``(H, W)``, and their contrast in grey levels."""

    ink: Grey
    contrast: float


def _layer_of(grey: Grey) -> _Layer:
    """The dark or the light parts, whichever are the ink."""
    threshold, distance = _otsu(grey)
    light = float((grey > threshold).mean())
    light_on_dark = light <= _MOST and float(np.median(_border(grey))) <= threshold
    plain = light > _MOST or (light < 1 - _MOST and _range(grey[grey <= threshold]) < _EVEN * distance)
    first, second = (_stand_out(grey, light) for light in (light_on_dark, not light_on_dark))
    return second if _other_way_round(first, second, plain) else first


def _range(grey: Grey) -> float:
    """The distance between the 5th and the 95th percentile."""
    return float(np.ptp(np.quantile(grey, (0.05, 0.95)))) if grey.size else 0.0


def _stand_out(grey: Grey, light: bool) -> _Layer:
    if light:
        grey = 255 - grey
    smooth = _blurred(grey) if min(grey.shape) > 64 else grey
    paper = closing(smooth, _odd(max(_WIDEST_STROKE * min(grey.shape), _LONG_STROKE * max(grey.shape))))
    depth = (paper - grey).clip(0, None)
    if not light:  # illumination is a common factor of paper and ink
        depth *= float(np.quantile(paper, 0.9)) / paper.clip(1, None)
    depth = depth.clip(0, 255)
    threshold, contrast = _otsu(depth)
    if contrast < _LEAST_CONTRAST:
        return _Layer(np.zeros_like(grey), contrast)
    # Coverage ½ at the threshold, 0 at half of it: noise vanishes and edges do not move.
    ink: Grey = (depth / threshold - 0.5).clip(0, 1)
    kept = _without_surroundings(ink)
    if not kept.any():
        return _Layer(kept, 0.0)
    inside = kept >= 0.5
    return _Layer(kept, float(depth[inside].mean()) if inside.any() else contrast)


def _other_way_round(first: _Layer, second: _Layer, plain: bool) -> bool:
    """Whether `second` is the ink, and `first` the page it is on or the gaps between the strokes.

    `plain`: the paper is light, or evenly dark, which excludes the gaps.
    """
    if min(first.contrast, second.contrast) < _LEAST_CONTRAST:
        return second.contrast > first.contrast
    if max(first.contrast, second.contrast) > _CLEARER * min(first.contrast, second.contrast):
        return second.contrast > first.contrast
    if _is_page_of(first, second):
        return True
    # On shaded paper the gaps between strokes may have as much contrast as the strokes, which extend farther.
    return not plain and _area(_off_the_edge(second.ink)) > 1.5 * _area(_off_the_edge(first.ink))


def _is_page_of(page: _Layer, writing: _Layer) -> bool:
    """Whether `page` is a filled rectangle that contains the writing."""
    largest = parts_of(page.ink)[0]
    if min(largest.height, largest.width) < 0.3 * min(page.ink.shape) or not _is_rectangle(largest.mask):
        return False
    within = writing.ink[largest.top : largest.bottom, largest.left : largest.right].sum()
    return bool(within > 0.5 * writing.ink.sum())


def _is_rectangle(mask: NDArray[np.bool_]) -> bool:
    """Whether the convex outline of the points, row by row, fills 85 % of the smallest rectangle around it."""
    rows = np.flatnonzero(mask.any(axis=1))
    points = np.array([(row, column) for row in rows for column in np.flatnonzero(mask[row])[[0, -1]]], np.float64)
    filled = sum(np.ptp(np.flatnonzero(mask[row])) + 1 for row in rows)
    angles = np.radians(np.arange(0, 90, 3))
    turned = [np.stack([points @ (np.cos(a), np.sin(a)), points @ (-np.sin(a), np.cos(a))]) for a in angles]
    smallest = min(float(np.prod(np.ptp(t, axis=1) + 1)) for t in turned)
    return bool(filled > 0.85 * smallest and mask.sum() > 0.6 * filled)


def _without_surroundings(ink: Grey) -> Grey:
    """The ink without a frame, a table's edge or a shadow, if a digit remains."""
    parts = parts_of(ink)
    if len(parts) < 2:
        return ink
    height, width = ink.shape
    inner = [part for part in parts if not _surrounds(part, height, width)]
    inner = [part for part in inner if not _boxes_in(part, inner)]
    tallest = max((max(part.height, part.width) for part in inner), default=0)
    if tallest < 0.06 * min(ink.shape):
        return ink
    kept = np.zeros(ink.shape, np.bool_)
    for part in inner:
        kept |= part.mask
    return np.where(kept, ink, 0)


def _off_the_edge(ink: Grey) -> Grey:
    """The largest part that does not touch the edge of the picture, if it is more than a speck."""
    parts = parts_of(ink)
    inner = [part for part in parts if part.amount > SPECK * parts[0].amount and not _touches_edge(part.mask)]
    return np.where(inner[0].mask, ink, 0) if inner else np.zeros_like(ink)


def _surrounds(part: Part, height: int, width: int) -> bool:
    mask, cell = part.mask, part.cell
    bands = (mask[:cell], mask[-cell:], mask[:, :cell].T, mask[:, -cell:].T)
    touched = [(int(band.any(axis=0).sum()), band.shape[1]) for band in bands]
    along = sum(count for count, _ in touched)
    return any(count > _ALONG_AN_EDGE * side for count, side in touched) or (
        along > _ALONG_AN_EDGE * min(height, width)
    )


def _boxes_in(part: Part, parts: list[Part]) -> bool:
    """Whether the part is a thin outline around all the others, and these are large enough to be a digit."""
    others = [other for other in parts if other is not part]
    if not others or part.mask.sum() > 0.25 * part.height * part.width:
        return False
    inside = all(part.contains(other) for other in others)
    return inside and max(other.height for other in others) > 0.3 * part.height


def _grey_of(pixels: Pixels) -> Grey:
    """Grey levels 0 to 255 of the picture composited on white, or on black if white hides the ink; for coloured
    ink on paper of the same grey, the projection on the direction of the largest colour difference."""
    opaque = pixels[..., 3:] / 255
    on_white = pixels[..., :3] * opaque + 255 * (1 - opaque)
    if opaque.min() < 0.5 and _contrast(_luma(on_white)) < _LEAST_CONTRAST:
        on_white = pixels[..., :3] * opaque
    luma = _luma(on_white)
    own = _main_colour(on_white)
    return own if _contrast(own) > max(_LEAST_CONTRAST, _OWN_COLOUR * _contrast(luma)) else luma


def _luma(colours: Pixels) -> Grey:
    """Luma by ITU-R 601-2."""
    grey: Grey = colours @ np.array([0.299, 0.587, 0.114])
    return grey


def _main_colour(colours: Pixels) -> Grey:
    """The colours projected on their first principal component, scaled like grey levels."""
    flat = colours.reshape(-1, 3)
    centred = flat - flat.mean(axis=0)
    direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    along = (centred @ direction).reshape(colours.shape[:2])
    spread = along - np.median(_border(along)) + 127.5
    grey: Grey = spread.clip(0, 255)
    return grey


def _contrast(grey: Grey) -> float:
    """Contrast in grey levels between the strokes and their surroundings, of either polarity."""
    return max(_stand_out(grey, light).contrast for light in (False, True))


def closing(grey: Grey, size: int) -> Grey:
    """The largest of each ``size`` x ``size`` square, then the smallest of these: dark parts thinner than ``size``
    vanish, and edges stay where they are."""
    return -_dilated(-_dilated(grey, size), size)


def _dilated(grey: Grey, size: int) -> Grey:
    """The largest value in the square around each point, without padding."""
    for axis in (0, 1):
        half = size // 2
        padding = [(0, 0), (0, 0)]
        padding[axis] = (half, half)
        rows = np.pad(grey, padding, constant_values=-np.inf)
        reach = 1
        while reach < size:  # a maximum over `reach` points becomes one over twice as many
            step = min(reach, size - reach)
            length = rows.shape[axis] - step
            rows = np.maximum(rows.take(range(length), axis), rows.take(range(step, step + length), axis))
            reach += step
        grey = rows
    return grey


def _blurred(grey: Grey) -> Grey:
    """The mean of 3x3 points, which reduces noise in the maxima."""
    padded = np.pad(grey, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9)


def _odd(size: float) -> int:
    return 2 * math.ceil(size / 2) + 1


def _otsu(grey: Grey) -> tuple[float, float]:
    """The threshold that separates the histogram with the least variance within both parts, and the distance
    between their means."""
    counts, _ = np.histogram(grey, bins=256, range=(-0.5, 255.5))
    levels = np.arange(256)
    below = np.cumsum(counts)[:-1]
    above = grey.size - below
    sum_below = np.cumsum(counts * levels)[:-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = ((counts * levels).sum() - sum_below) / above - sum_below / below
    between = np.where((below > 0) & (above > 0), below * above * np.nan_to_num(distance) ** 2, 0)
    # All thresholds between two occupied levels are equally good: use the middle one.
    best = np.flatnonzero(between == between.max())
    middle = best[len(best) // 2]
    return float(best.mean() + 0.5), float(distance[middle]) if between.max() > 0 else 0.0


def _border(grey: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _touches_edge(ink: NDArray[Any]) -> bool:
    return bool((_border(ink) > 0).any())


def _area(ink: Grey) -> float:
    """The area of the ink's bounding box without the outermost fiftieth on each side (a halo)."""
    sides = []
    for axis in (0, 1):
        amounts = np.cumsum(ink.sum(axis=axis))
        sides.append(np.searchsorted(amounts, 0.98 * amounts[-1]) - np.searchsorted(amounts, 0.02 * amounts[-1]))
    return float(sides[0] * sides[1])
