"""Losses of predicted probabilities."""

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, flag
from numpy_cnn.ops.pointwise import pointwise
from numpy_cnn.ops.reduction import Reduction, check_reduction

__all__ = ["binary_cross_entropy_with_logits", "kl_div"]


def binary_cross_entropy_with_logits(
    input: Array,
    target: Array,
    weight: Array | None = None,
    reduction: Reduction = "mean",
    pos_weight: Array | None = None,
) -> tuple[Array, Pullback]:
    """The loss of yes-or-no answers from raw scores, as `torch.nn.functional.binary_cross_entropy_with_logits`.

        y = w · ((1 − t) x + l · n(x))         with l = 1 + (p − 1) t and n(x) = −log σ(x)
        dx = dy · w · (l · σ(x) − p t)         with σ(x) = 1 / (1 + e⁻ˣ)
        dt = dy · w · (p · n(x) − n(−x))

    then reduced as in `mse_loss`. n(x) is computed as log(1 + e^−|x|) + max(−x, 0), which cannot overflow.

    Args:
        input: x, scores, any shape.
        target: t, of x's shape, usually 0 or 1.
        weight: w, broadcast to x's shape, or None for 1. It is an option: it has no gradient.
        reduction: "none", "mean" (over all elements) or "sum".
        pos_weight: p, the weight of positive answers, broadcast to x's shape, or None for 1. An option as well.

    Returns:
        y, of x's shape for "none" and () otherwise, and the pullback dy → (dx, dt).

    Raises:
        ValueError: shapes, dtypes or the reduction are invalid.

    Source: D. Cox, The regression analysis of binary sequences (1958).
    """
    name = "binary_cross_entropy_with_logits"
    check_floats(name, input=input, target=target, weight=weight, pos_weight=pos_weight)
    for option, array in (("weight", weight), ("pos_weight", pos_weight)):
        if array is not None and not _broadcasts(array.shape, input.shape):
            raise ValueError(f"{name}: {option} {array.shape} does not broadcast to the input {input.shape}")
    w, p = (np.ones(1, input.dtype) if array is None else np.atleast_1d(array) for array in (weight, pos_weight))

    def negative_log(x: Array) -> Array:
        """−log σ(x)."""
        return np.asarray(np.log1p(np.exp(-np.abs(x))) + np.maximum(-x, 0))

    def loss(x: Array, t: Array) -> Array:
        return np.asarray(w * ((1 - t) * x + (1 + (p - 1) * t) * negative_log(x)))

    def slopes(x: Array, t: Array) -> tuple[Array, Array]:
        dx = w * ((1 + (p - 1) * t) / (1 + np.exp(-x)) - p * t)
        return dx, w * (-x if pos_weight is None else p * negative_log(x) - negative_log(-x))

    return pointwise(name, input, target, reduction, loss, slopes, broadcast=False)


def kl_div(
    input: Array,
    target: Array,
    reduction: Reduction | str = "mean",
    log_target: bool = False,
) -> tuple[Array, Pullback]:
    """The Kullback–Leibler divergence, as `torch.nn.functional.kl_div`.

        y = t (log t − x)        dx = −t · dy        dt = (log t + 1 − x) · dy
        y = eᵗ (t − x)           dx = −eᵗ · dy       dt = eᵗ (t + 1 − x) · dy        for log_target

    0 · log 0 counts as 0, and dt is NaN there, as in torch.

    Args:
        input: x, log-probabilities, any shape.
        target: t, of a shape that broadcasts with x's: probabilities, or with `log_target` log-probabilities.
        reduction: "none", "sum", "mean" (over all elements) or "batchmean" (the sum divided by the batch size).
        log_target: whether t is a logarithm.

    Returns:
        y, of the broadcast shape for "none" and () otherwise, and the pullback dy → (dx, dt).

    Raises:
        ValueError: shapes, dtypes or the reduction are invalid.

    Source: S. Kullback and R. Leibler, On information and sufficiency (1951).
    """
    check_floats("kl_div", input=input, target=target)
    flag("kl_div", "log_target", log_target)

    def loss(x: Array, t: Array) -> Array:
        if log_target:
            return np.asarray(np.exp(t) * (t - x))
        return np.asarray(np.where(t == 0, 0, t * np.log(t)) - t * x)

    def slopes(x: Array, t: Array) -> tuple[Array, Array]:
        if log_target:
            return -np.exp(t), np.exp(t) * (t + 1 - x)
        return -t, np.log(t) + t / t - x

    total = None
    if reduction == "batchmean":  # of a single number, torch takes the sum
        reduction, total = "mean", input.shape[0] if input.ndim else 1
    check_reduction("kl_div", reduction, further=", 'batchmean'")
    return pointwise("kl_div", input, target, reduction, loss, slopes, total=total)


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
