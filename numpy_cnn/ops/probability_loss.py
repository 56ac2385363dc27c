"""Losses of predicted probabilities."""

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, flag
from numpy_cnn.ops.fast.elementwise import logistic
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
    weights = tuple(array for array in (pos_weight, weight) if array is not None)

    def loss(x: Array, t: Array, *rest: Array) -> None:
        *given, y = rest
        _negative_log(x, y)
        if pos_weight is not None:
            y *= 1 + (given[0] - 1) * t
        of_negatives = np.subtract(1, t)
        of_negatives *= x
        y += of_negatives
        if weight is not None:
            y *= given[-1]

    def slopes(x: Array, t: Array, *rest: Array) -> None:
        *given, u, dx, dt = rest
        logistic(x, dx)
        if pos_weight is None:
            dx -= t
            np.negative(x, out=dt)
        else:
            dx *= 1 + (given[0] - 1) * t
            dx -= given[0] * t
            _negative_log(x, dt)
            dt *= given[0]
            other = np.negative(x)
            _negative_log(other, other)
            dt -= other
        for gradient in (dx, dt):
            if weight is not None:
                gradient *= given[-1]
            gradient *= u

    return pointwise(name, input, target, reduction, loss, slopes, weights=weights, broadcast=False)


def _negative_log(x: Array, y: Array) -> None:
    """y ← −log σ(x), where y may be x."""
    above = np.negative(x)
    np.clip(above, 0, np.inf, out=above)  # np.maximum with a number takes three times as long
    np.abs(x, out=y)
    np.negative(y, out=y)
    np.exp(y, out=y)
    np.log1p(y, out=y)
    y += above


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

    def loss(x: Array, t: Array, y: Array) -> None:
        if log_target:
            np.multiply(np.exp(t), t - x, out=y)
            return
        np.log(t, out=y)
        y *= t
        zero = t == 0
        if zero.any():
            y[zero] = 0
        y -= t * x

    def slopes(x: Array, t: Array, u: Array, dx: Array, dt: Array) -> None:
        if log_target:
            np.exp(t, out=dx)
            np.multiply(dx, t + 1 - x, out=dt)
        else:
            np.log(t, out=dt)
            dt += t / t
            dt -= x
            dx[...] = t
        np.negative(dx, out=dx)
        dx *= u
        dt *= u

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
