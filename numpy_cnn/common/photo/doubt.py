"""When the reading of a picture should not be relied on, and why."""

from collections.abc import Sequence

import numpy as np

from numpy_cnn.common.spec.backend import Array

SURE = 0.8  # below this the second-best digit is too close for the best to be relied on


def doubts(probabilities: Array, notes: Sequence[str]) -> list[str]:
    """The reasons to be unsure of the digit with the highest of ``probabilities`` ``(classes,)``; ``notes`` are
    those that the picture itself gives. Empty where there are none."""
    best = int(probabilities.argmax())
    if probabilities[best] >= SURE:
        return [*notes]
    second = int(np.argsort(probabilities)[-2])
    return [*notes, f"it may also be {second} ({probabilities[second]:.0%})"]
