"""When the reading of a picture should not be relied on, and why."""

from collections.abc import Sequence

import numpy as np

from numpy_cnn.common.spec.backend import Array

SURE = 0.8  # below this the second-best digit is too close for the best to be relied on
_MARGIN = 20  # pixels: smaller fields are filled by the digit and leave no room to move it


def with_neighbours(inputs: Array) -> Array:
    """An input ``(1, 1, H, W)``, and the same moved by a pixel in each direction: ``(5, 1, H, W)``."""
    if min(inputs.shape[2:]) < _MARGIN:
        return inputs
    moved = [np.roll(inputs, step, axis) for axis in (2, 3) for step in (-1, 1)]
    return np.concatenate([inputs, *moved])


def doubts(probabilities: Array, notes: Sequence[str]) -> list[str]:
    """The reasons to be unsure of the best digit; empty if there are none.

    Args:
        probabilities: ``(K, classes)`` of the input, in row 0, and of its neighbours.
        notes: the reasons that the picture itself gives.
    """
    first = probabilities[0]
    best = int(first.argmax())
    others = [int(digit) for digit in probabilities[1:].argmax(axis=1) if digit != best]
    if first[best] < SURE:
        second = int(np.argsort(first)[-2])
        return [*notes, f"it may also be {second} ({first[second]:.0%})"]
    if others:
        return [*notes, f"it may also be {others[0]}, which the network reads one pixel to the side"]
    return [*notes]
