"""Reduction of losses to one number."""

from typing import Literal, TypeAlias

import numpy as np

from numpy_cnn.arguments import Array

Reduction: TypeAlias = Literal["none", "mean", "sum"]


def reduced(losses: Array, reduction: Reduction, total: Array) -> Array:
    """`losses`, their sum, or their sum divided by `total`, as `reduction` requires."""
    if reduction == "none":
        return np.asarray(losses)
    summed = losses.sum()
    return np.asarray(summed / total if reduction == "mean" else summed)


def check_reduction(op: str, reduction: str, further: str = "") -> None:
    """Raise ValueError unless `reduction` is "none", "mean" or "sum"; `further` is part of the message."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{op}: reduction must be 'none', 'mean'{further} or 'sum', got {reduction!r}")
