"""Pictures shifted by whole pixels, and a network's accuracy on them."""

from typing import TypeAlias

import numpy as np

from numpy_cnn.common.data.dataset import Split
from numpy_cnn.common.exhibits.shift_study.dense import Learner
from numpy_cnn.common.spec.backend import Array

DIRECTIONS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}  # rows, columns
BATCH = 500

Accuracies: TypeAlias = list[dict[str, float]]  # one for each shift from 0 on: {direction or "mean": share}


def shifted(images: Array, rows: int, columns: int, paper: float) -> Array:
    """Images (N, C, H, W) moved down by `rows` and right by `columns`, negative for up and left.

    Pixels beyond the edge are lost; new pixels are `paper`, the input of an empty pixel.

    Raises:
        ValueError: nothing of the picture is left.
    """
    height, width = images.shape[2:]
    if abs(rows) >= height or abs(columns) >= width:
        raise ValueError(f"a shift by {rows} rows and {columns} columns leaves nothing of {height}x{width} pixels")
    moved = np.full_like(images, paper)
    there, here = zip(_overlap(height, rows), _overlap(width, columns), strict=True)
    moved[:, :, *there] = images[:, :, *here]
    return moved


def measure(learner: Learner, split: Split, most: int, paper: float) -> Accuracies:
    """The accuracy under shifts of 0 to `most` pixels in each direction, and the mean over the directions."""
    table: Accuracies = []
    for shift in range(most + 1):
        shares: dict[str, float] = {}
        for name, (down, right) in DIRECTIONS.items():
            if shift == 0 and shares:  # no shift is the same in all directions
                shares[name] = shares["up"]
                continue
            predicted = answers(learner, split.images, shift * down, shift * right, paper)
            shares[name] = float((predicted == split.labels).mean())
        table.append(shares | {"mean": sum(shares.values()) / len(shares)})
    return table


def answers(learner: Learner, images: Array, rows: int, columns: int, paper: float) -> Array:
    """The predicted class (N,) of each shifted image."""
    parts = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
    return np.concatenate([learner.logits(shifted(part, rows, columns, paper)).argmax(axis=1) for part in parts])


def ink_kept(pixels: Array, most: int) -> Array:
    """The fraction of the ink that remains in the pictures after shifts of 0 to `most` pixels, (most+1,).

    It is the mean over the four directions; pixels (N, 1, H, W), 0 to 1.
    """
    total = pixels.sum(dtype=np.float64)
    kept = np.empty((most + 1, len(DIRECTIONS)))
    for shift in range(most + 1):
        for number, (down, right) in enumerate(DIRECTIONS.values()):
            kept[shift, number] = shifted(pixels, shift * down, shift * right, 0.0).sum(dtype=np.float64)
    shares: Array = kept.mean(axis=1) / total
    return shares


def _overlap(size: int, by: int) -> tuple[slice, slice]:
    """The part that stays: where it is after the shift, and where it was before."""
    return slice(max(by, 0), size + min(by, 0)), slice(max(-by, 0), size + min(-by, 0))
