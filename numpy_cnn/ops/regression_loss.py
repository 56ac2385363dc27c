"""Losses of predicted numbers: functions of the difference to the target."""

import numpy as np

from numpy_cnn.arguments import Array, Pullback, real
from numpy_cnn.ops.pointwise import of_difference
from numpy_cnn.ops.reduction import Reduction

__all__ = ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]


def mse_loss(input: Array, target: Array, reduction: Reduction = "mean") -> tuple[Array, Pullback]:
    """The squared error, as `torch.nn.functional.mse_loss`.

        none: y = (x − t)²        sum: Σ (x − t)²        mean: Σ (x − t)² / size
        dx = 2 (x − t) · dy, divided by the size in a mean; dt = −dx

    Args:
        input: x, predictions, any shape.
        target: t, of x's shape; another shape is broadcast, with a warning.
        reduction: "none", "mean" (over all elements) or "sum".

    Returns:
        y, of x's shape for "none" and () otherwise, and the pullback dy → (dx, dt).

    Raises:
        ValueError: shapes, dtypes or the reduction are invalid.

    Source: A. Legendre, Nouvelles méthodes pour la détermination des orbites des comètes (1805).
    """
    return of_difference(
        "mse_loss",
        input,
        target,
        reduction,
        lambda d: np.multiply(d, d, out=d),
        lambda d: np.multiply(d, 2, out=d),
    )


def l1_loss(input: Array, target: Array, reduction: Reduction = "mean") -> tuple[Array, Pullback]:
    """The absolute error, as `torch.nn.functional.l1_loss`.

        none: y = |x − t|        sum: Σ |x − t|        mean: Σ |x − t| / size
        dx = sign(x − t) · dy, divided by the size in a mean; dt = −dx

    The slope is 0 where x = t and, as in torch, where either is NaN.

    Args:
        input: x, predictions, any shape.
        target: t, of x's shape; another shape is broadcast, with a warning.
        reduction: "none", "mean" (over all elements) or "sum".

    Returns:
        y, of x's shape for "none" and () otherwise, and the pullback dy → (dx, dt).

    Raises:
        ValueError: shapes, dtypes or the reduction are invalid.

    Source: R. Boscovich, De litteraria expeditione per pontificiam ditionem (1757).
    """
    return of_difference("l1_loss", input, target, reduction, _size, _sign)


def smooth_l1_loss(
    input: Array, target: Array, reduction: Reduction = "mean", beta: float = 1.0
) -> tuple[Array, Pullback]:
    """The squared error near 0 and the absolute error far from it, as `torch.nn.functional.smooth_l1_loss`.

        y = d² / (2β) where |d| < β, else |d| − β/2        with d = x − t, then reduced as in `mse_loss`
        dx = dy · d/β where |d| < β, else dy · sign(d)        dt = −dx

    Args:
        input: x, predictions, any shape.
        target: t, of x's shape; another shape is broadcast, with a warning.
        reduction: "none", "mean" (over all elements) or "sum".
        beta: β, the |d| at which the two parts meet; 0 for the absolute error.

    Returns:
        y, of x's shape for "none" and () otherwise, and the pullback dy → (dx, dt).

    Raises:
        ValueError: shapes, dtypes or options are invalid, or beta is negative.

    Source: R. Girshick, Fast R-CNN (2015).
    """
    b = real("smooth_l1_loss", "beta", beta)
    if not b >= 0:
        raise ValueError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    if b == 0:
        return of_difference("smooth_l1_loss", input, target, reduction, _size, _sign)

    def loss(d: Array) -> None:
        near = np.clip(d, -b, b)
        _bent(d, near)
        near /= b
        d *= near

    def slope(d: Array) -> None:
        d /= b
        np.clip(d, -1, 1, out=d)

    return of_difference("smooth_l1_loss", input, target, reduction, loss, slope)


def huber_loss(
    input: Array, target: Array, reduction: Reduction = "mean", delta: float = 1.0
) -> tuple[Array, Pullback]:
    """The squared error near 0 and δ times the absolute error far from it, as `torch.nn.functional.huber_loss`.

        y = d² / 2 where |d| ≤ δ, else δ (|d| − δ/2)        with d = x − t, then reduced as in `mse_loss`
        dx = dy · d where |d| < δ, else dy · δ sign(d)        dt = −dx

    Args:
        input: x, predictions, any shape.
        target: t, of x's shape; another shape is broadcast, with a warning.
        reduction: "none", "mean" (over all elements) or "sum".
        delta: δ, the |d| at which the two parts meet.

    Returns:
        y, of x's shape for "none" and () otherwise, and the pullback dy → (dx, dt).

    Raises:
        ValueError: shapes, dtypes or options are invalid, or delta is not above 0.

    Source: P. Huber, Robust estimation of a location parameter (1964).
    """
    most = real("huber_loss", "delta", delta)
    if not most > 0:
        raise ValueError(f"huber_loss: delta must be above 0, got {delta}")

    def loss(d: Array) -> None:
        near = np.clip(d, -most, most)
        _bent(d, near)
        d *= near

    return of_difference("huber_loss", input, target, reduction, loss, lambda d: np.clip(d, -most, most, out=d))


def _bent(d: Array, near: Array) -> None:
    """d ← d − near/2, where near is d limited to ±b: near · that is d²/2, or b · (|d| − b/2), without a branch."""
    d -= 0.5 * near


def _size(d: Array) -> None:
    np.abs(d, out=d)


def _sign(d: Array) -> None:
    """d ← 1, 0 or −1, and 0 for NaN."""
    positive, negative = (d > 0).view(np.int8), (d < 0).view(np.int8)  # NumPy does not subtract bools
    d[...] = np.subtract(positive, negative, out=positive)
