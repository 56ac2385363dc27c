"""Probabilities of a network trained on squared errors."""

from numpy_cnn.common.spec.backend import Array


def shares(scores: Array) -> Array:
    """Scores (…, classes), which aim at 0 and 1, as shares that sum to 1."""
    positive = scores.clip(1e-6)
    made: Array = positive / positive.sum(axis=-1, keepdims=True)
    return made
