"""Connected parts of the ink: remove specks, detect several digits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float64]

_CELLS = 96  # along the longer side: parts that touch on this grid, at a corner too, are connected
SPECK = 0.05  # of the ink of the largest part
_MANY = 8  # parts, including specks, that together have more than half as much ink as the largest
_WIDEST = 1.45  # width by height of a single digit
_BLOB = 0.72  # fraction of its bounding box that a digit's ink may cover


@dataclass(frozen=True)
class Part:
    """A connected part of the ink: its mask ``(H, W)``, its amount of ink, and the grid's cell."""

    mask: NDArray[np.bool_]
    amount: float
    cell: int
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def contains(self, other: Part) -> bool:
        """Whether the other's rectangle is inside this one's."""
        rows = self.top <= other.top and other.bottom <= self.bottom
        return rows and self.left <= other.left and other.right <= self.right


def parts_of(ink: Grey) -> list[Part]:
    """The connected parts, from the most ink to the least; fewer than 200 of them."""
    cell = math.ceil(max(ink.shape) / _CELLS)
    height, width = (math.ceil(side / cell) for side in ink.shape)
    padded = np.zeros((height * cell, width * cell))
    padded[: ink.shape[0], : ink.shape[1]] = ink
    cells = padded.reshape(height, cell, width, cell).sum(axis=(1, 3))
    labels = _labels(cells > 0)
    amounts = np.bincount(labels.ravel(), weights=cells.ravel())
    found = []
    for label in np.argsort(-amounts)[:200]:
        if label == 0 or amounts[label] == 0:
            continue
        mask = (labels == label).repeat(cell, axis=0).repeat(cell, axis=1)[: ink.shape[0], : ink.shape[1]]
        mask = mask & (ink > 0)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
        found.append(Part(mask, float(amounts[label]), cell, *box))
    return found


def box_of(ink: NDArray[Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The bounding box of the ink: first row, row after the last, and the same for columns."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return (0, 0), (0, 0)
    return (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)


def crop(ink: Grey) -> Grey:
    """The ink without the empty rows and columns around it."""
    (top, bottom), (left, right) = box_of(ink)
    return ink[top:bottom, left:right]


def digit_of(ink: Grey) -> tuple[Grey, tuple[str, ...]]:
    """Return the cropped ink without tiny parts, and reasons why it may be unreliable."""
    picture, ((top, bottom), (left, right)) = ink.shape, box_of(ink)
    ink = ink[top:bottom, left:right]
    parts = parts_of(ink)
    large = [part for part in parts if part.amount >= SPECK * parts[0].amount]
    kept = np.zeros(ink.shape, np.bool_)
    for part in large:
        kept |= part.mask
    doubts = []
    at_edges = (
        top == 0 and kept[0].any(),
        bottom == picture[0] and kept[-1].any(),
        left == 0 and kept[:, 0].any(),
        right == picture[1] and kept[:, -1].any(),
    )
    if any(at_edges):
        doubts.append("the ink touches the edge of the picture; it may be cut off")
    if len(parts) > _MANY and sum(part.amount for part in parts[1:]) > 0.5 * parts[0].amount:
        doubts.append(f"the ink is in {len(parts)} pieces; this may not be a digit")
    elif (count := _side_by_side(large)) > 1:
        doubts.append(f"there seem to be {count} figures; only one digit per picture can be read")
    digit = crop(np.where(kept, ink, 0))
    height, width = digit.shape
    if width > _WIDEST * height and not doubts:
        doubts.append(f"it is {width / height:.1f} times as wide as high; there may be several digits")
    covered = float(digit.mean())
    if covered > _BLOB and 0.4 < width / height < 2.5:
        doubts.append(f"ink covers {covered:.0%} of its rectangle; this may not be a digit")
    return digit, tuple(doubts)


def _side_by_side(parts: list[Part]) -> int:
    """Count the groups of large parts separated by gaps, side by side or one above the other.

    A second figure may be smaller, or lower: only its width is apart.
    """
    top, bottom = min(part.top for part in parts), max(part.bottom for part in parts)
    left, right = min(part.left for part in parts), max(part.right for part in parts)
    tall = [(part.left, part.right) for part in parts if part.height > 0.3 * (bottom - top)]
    flat = [(part.top, part.bottom) for part in parts if part.height > 0.35 * (bottom - top)]
    across = _groups(tall, gap=0.03 * (bottom - top))
    down = _groups(flat, gap=0.03 * (bottom - top)) if bottom - top > 1.3 * (right - left) else 1
    return max(across, down)


def _groups(spans: list[tuple[int, int]], gap: float) -> int:
    groups, end = 0, -math.inf
    for low, high in sorted(spans):
        if low > end + gap:
            groups += 1
        end = max(end, high)
    return groups


def _labels(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """A number for each connected part, 0 for none, by runs of a row that touch runs of the row above."""
    labels = np.zeros(mask.shape, np.int64)
    parent = [0]

    def root(label: int) -> int:
        while parent[label] != label:
            parent[label] = label = parent[parent[label]]
        return label

    above: list[tuple[int, int, int]] = []
    for row, line in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line, [0]]).astype(np.int8)))
        runs = []
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            touching = [label for low, high, label in above if low <= end and start <= high]
            label = root(touching[0]) if touching else len(parent)
            if not touching:
                parent.append(label)
            for other in touching[1:]:
                parent[root(other)] = label
                label = root(label)
            labels[row, start:end] = label
            runs.append((start, end, label))
        above = runs
    return np.array([root(label) for label in range(len(parent))], np.int64)[labels]
