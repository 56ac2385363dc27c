"""Losses that compare each prediction with its target, and reduce the differences to one number."""

from collections.abc import Callable

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent, real
from numpy_cnn.ops.loss import Reduction, check_reduction, reduced

__all__ = ["binary_cross_entropy_with_logits", "huber_loss", "kl_div", "l1_loss", "mse_loss", "smooth_l1_loss"]


def mse_loss(input: Array, target: Array, reduction: Reduction = "mean") -> tuple[Array, Pullback]:
    """The squared error, as `torch.nn.functional.mse_loss`.

        none: y = (x − t)²        sum: Σ (x − t)²        mean: Σ (x − t)² / size
        dx = 2 (x − t) · dy, divided by the size in a mean; dt = −dx

    Args:
        input: x, predictions, any shape.
        target: t, of x's shape. Torch would broadcast another shape, with a warning; here it is an error.
        reduction: "none", "mean" (over all elements) or "sum".

    Returns:
        y, of x's shape for "none" and () otherwise, and the pullback dy → (dx, dt).

    Raises:
        ValueError: shapes, dtypes or the reduction are invalid.

    Source: A. Legendre, Nouvelles méthodes pour la détermination des orbites des comètes (1805).
    """
    return _of_difference("mse_loss", input, target, reduction, lambda d: d * d, lambda d: 2 * d)


def l1_loss(input: Array, target: Array, reduction: Reduction = "mean") -> tuple[Array, Pullback]:
    """The absolute error, as `torch.nn.functional.l1_loss`.

        none: y = |x − t|        sum: Σ |x − t|        mean: Σ |x − t| / size
        dx = sign(x − t) · dy, divided by the size in a mean; dt = −dx

    The slope is 0 where x = t and, as in torch, where either is NaN.

    Args:
        input: x, predictions, any shape.
        target: t, of x's shape. Torch would broadcast another shape, with a warning; here it is an error.
        reduction: "none", "mean" (over all elements) or "sum".

    Returns:
        y, of x's shape for "none" and () otherwise, and the pullback dy → (dx, dt).

    Raises:
        ValueError: shapes, dtypes or the reduction are invalid.

    Source: R. Boscovich, De litteraria expeditione per pontificiam ditionem (1757).
    """
    return _of_difference("l1_loss", input, target, reduction, np.abs, _sign)


def smooth_l1_loss(
    input: Array, target: Array, reduction: Reduction = "mean", beta: float = 1.0
) -> tuple[Array, Pullback]:
    """The squared error near 0 and the absolute error far from it, as `torch.nn.functional.smooth_l1_loss`.

        y = d² / (2β) where |d| < β, else |d| − β/2        with d = x − t, then reduced as in `mse_loss`
        dx = dy · d/β where |d| < β, else dy · sign(d)        dt = −dx

    Args:
        input: x, predictions, any shape.
        target: t, of x's shape.
        reduction: "none", "mean" (over all elements) or "sum".
        beta: β, the |d| at which the two parts meet; 0 for the absolute error.

    Returns:
        y, of x's shape for "none" and () otherwise, and the pullback dy → (dx, dt).

    Raises:
        ValueError: shapes, dtypes or options are invalid, or beta is negative.

    Source: R. Girshick, Fast R-CNN (2015).
    """
    b = real("smooth_l1_loss", "beta", beta)
    if b < 0:
        raise ValueError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    if b == 0:
        return _of_difference("smooth_l1_loss", input, target, reduction, np.abs, _sign)

    def loss(d: Array) -> Array:
        size = np.abs(d)
        return np.where(size < b, d * d * 0.5 / b, size - 0.5 * b)

    return _of_difference(
        "smooth_l1_loss", input, target, reduction, loss, lambda d: np.where(np.abs(d) >= b, np.sign(d), d / b)
    )


def huber_loss(
    input: Array, target: Array, reduction: Reduction = "mean", delta: float = 1.0
) -> tuple[Array, Pullback]:
    """The squared error near 0 and δ times the absolute error far from it, as `torch.nn.functional.huber_loss`.

        y = d² / 2 where |d| ≤ δ, else δ (|d| − δ/2)        with d = x − t, then reduced as in `mse_loss`
        dx = dy · d where |d| < δ, else dy · δ sign(d)        dt = −dx

    Args:
        input: x, predictions, any shape.
        target: t, of x's shape.
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

    def loss(d: Array) -> Array:
        size = np.abs(d)
        return np.where(size <= most, 0.5 * d * d, most * (size - 0.5 * most))

    return _of_difference(
        "huber_loss", input, target, reduction, loss, lambda d: np.where(np.abs(d) >= most, most * np.sign(d), d)
    )


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

    return _pointwise(name, input, target, reduction, loss, slopes)


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
        target: t, of x's shape: probabilities, or with `log_target` log-probabilities.
        reduction: "none", "sum", "mean" (over all elements) or "batchmean" (the sum divided by the batch size).
        log_target: whether t is a logarithm.

    Returns:
        y, of x's shape for "none" and () otherwise, and the pullback dy → (dx, dt).

    Raises:
        ValueError: shapes, dtypes or the reduction are invalid.

    Source: S. Kullback and R. Leibler, On information and sufficiency (1951).
    """
    check_floats("kl_div", input=input, target=target)
    if reduction == "batchmean" and input.ndim == 0:
        raise ValueError("kl_div: reduction 'batchmean' needs a batch, got a single number")

    def loss(x: Array, t: Array) -> Array:
        if log_target:
            return np.asarray(np.exp(t) * (t - x))
        return np.asarray(np.where(t == 0, 0, t * np.log(t)) - t * x)

    def slopes(x: Array, t: Array) -> tuple[Array, Array]:
        if log_target:
            return -np.exp(t), np.exp(t) * (t + 1 - x)
        return -t, np.log(t) + t / t - x

    total = input.shape[0] if reduction == "batchmean" else None
    return _pointwise("kl_div", input, target, "mean" if total is not None else reduction, loss, slopes, total)


def _of_difference(
    op: str,
    x: Array,
    target: Array,
    reduction: Reduction,
    loss: Callable[[Array], Array],
    slope: Callable[[Array], Array],
) -> tuple[Array, Pullback]:
    """A loss that depends on d = x − t alone, so that dt = −dx."""

    def slopes(x: Array, t: Array) -> tuple[Array, Array]:
        of_x = slope(x - t)
        return of_x, -of_x

    return _pointwise(op, x, target, reduction, lambda x, t: loss(x - t), slopes)


def _pointwise(
    op: str,
    x: Array,
    target: Array,
    reduction: Reduction | str,
    loss: Callable[[Array, Array], Array],
    slopes: Callable[[Array, Array], tuple[Array, Array]],
    total: int | None = None,
) -> tuple[Array, Pullback]:
    """loss(x, t) reduced, and its pullback from slopes(x, t) = (∂loss/∂x, ∂loss/∂t).

    A mean divides by `total`, or by the number of elements.
    """
    check_floats(op, input=x, target=target)
    check_reduction(op, reduction)
    if x.shape != target.shape:
        raise ValueError(f"{op}: input and target must have the same shape, got {x.shape} and {target.shape}")
    # At least one axis, because NumPy's arithmetic turns arrays without axes into scalars.
    flat, flat_target = np.atleast_1d(x), np.atleast_1d(target)
    divisor = x.dtype.type(x.size if total is None else total)
    with np.errstate(all="ignore"):  # ∞ − ∞, and 0/0 in the mean of no numbers, are NaN by the formula
        losses = np.asarray(loss(flat, flat_target), dtype=x.dtype)
        y = reduced(losses.reshape(x.shape), reduction, divisor)  # type: ignore[arg-type]  # checked above

    def pullback(dy: Array) -> tuple[Array, Array]:
        u = cotangent(op, dy, y)
        with np.errstate(all="ignore"):
            u = np.asarray(u / divisor if reduction == "mean" else u).reshape(-1 if u.ndim == 0 else u.shape)
            dx, dt = (np.asarray(slope * u, dtype=x.dtype) for slope in slopes(flat, flat_target))
        return dx.reshape(x.shape), dt.reshape(x.shape)

    return y, pullback


def _sign(d: Array) -> Array:
    """1, 0 or −1, and 0 for NaN."""
    return (d > 0).astype(d.dtype) - (d < 0)


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
