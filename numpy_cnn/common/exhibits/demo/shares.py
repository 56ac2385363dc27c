"""Probabilities of a network trained on squared errors."""

from numpy_cnn.common.spec.backend import Array


def shares(scores: Array) -> Array:
    """Scores (…, classes), trained on targets 0 and 1, normalized to a sum of 1."""
    positive = scores.clip(1e-6)
    normalized: Array = positive / positive.sum(axis=-1, keepdims=True)
    return normalized
