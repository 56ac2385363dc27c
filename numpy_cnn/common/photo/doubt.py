"""Reasons why the classification of a picture may be unreliable."""

from collections.abc import Sequence

import numpy as np

from numpy_cnn.common.spec.backend import Array

SURE = 0.8  # below this ratio the second-best digit is too close
_MARGIN = 20  # pixels: in smaller fields the digit cannot be shifted


def with_neighbours(inputs: Array) -> Array:
    """An input ``(1, 1, H, W)`` and its shifts by one pixel in each direction: ``(5, 1, H, W)``."""
    if min(inputs.shape[2:]) < _MARGIN:
        return inputs
    moved = [np.roll(inputs, step, axis) for axis in (2, 3) for step in (-1, 1)]
    return np.concatenate([inputs, *moved])


def doubts(probabilities: Array, notes: Sequence[str]) -> list[str]:
    """Return the reasons why the best digit is uncertain; empty if there are none.

    Args:
        probabilities: ``(K, classes)`` of the input, in row 0, and of its neighbours.
        notes: the reasons found in the picture itself.
    """
    first = probabilities[0]
    best = int(first.argmax())
    others = [int(digit) for digit in probabilities[1:].argmax(axis=1) if digit != best]
    if first[best] < SURE:
        second = int(np.argsort(first)[-2])
        return [*notes, f"it may also be {second} ({first[second]:.0%})"]
    if others:
        return [*notes, f"it may also be {others[0]}, which the network predicts after a shift by one pixel"]
    return [*notes]
