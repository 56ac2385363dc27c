"""From scores to probabilities, and from predictions to one number."""

from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np

from numpy_cnn.arguments import Array, Pullback, axis, check_floats, cotangent

__all__ = ["cross_entropy", "log_softmax", "mse_loss", "nll_loss", "softmax"]

Reduction: TypeAlias = Literal["none", "mean", "sum"]


def softmax(input: Array, dim: int) -> tuple[Array, Pullback]:
    """Turn scores into probabilities along `dim`, as `torch.nn.functional.softmax`.

        y_i = exp(x_i) / Σ_j exp(x_j)        dx_i = y_i · (dy_i − Σ_j y_j dy_j)

    The largest score is subtracted first: the quotient stays the same and exp cannot overflow.

    Args:
        input: x, scores, any shape.
        dim: the axis whose entries compete; they sum to 1 afterwards.

    Returns:
        y of x's shape, and the pullback dy → (dx,).
    """
    check_floats("softmax", input=input)
    x = input
    if x.ndim == 0:
        y, row_pullback = softmax(x[None], axis("softmax", "dim", dim, 0))
        return y.reshape(()), lambda dy: (row_pullback(cotangent("softmax", dy, y[0])[None])[0].reshape(()),)
    dim = axis("softmax", "dim", dim, x.ndim)
    with np.errstate(invalid="ignore"):  # ∞ − ∞ is torch's NaN and no reason to warn
        y = np.exp(_shifted(x, dim))
    y /= y.sum(axis=dim, keepdims=True)

    def pullback(dy: Array) -> tuple[Array]:
        dy = cotangent("softmax", dy, y)
        return (y * (dy - (y * dy).sum(axis=dim, keepdims=True)),)

    return y, pullback


def log_softmax(input: Array, dim: int) -> tuple[Array, Pullback]:
    """The logarithm of the softmax, as `torch.nn.functional.log_softmax`.

        y_i = x_i − log Σ_j exp(x_j)        dx_i = dy_i − exp(y_i) · Σ_j dy_j

    Computed as z − log Σ exp(z) with z = x − max x, which is finite where log(softmax(x)) would be log 0.

    Args:
        input: x, scores, any shape.
        dim: the axis whose entries compete.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Source: P. Blanchard, D. Higham, N. Higham, Accurately computing the log-sum-exp and softmax functions (2021).
    """
    check_floats("log_softmax", input=input)
    x = input
    if x.ndim == 0:
        y, row_pullback = log_softmax(x[None], axis("log_softmax", "dim", dim, 0))
        return y.reshape(()), lambda dy: (row_pullback(cotangent("log_softmax", dy, y[0])[None])[0].reshape(()),)
    dim = axis("log_softmax", "dim", dim, x.ndim)
    with np.errstate(invalid="ignore", divide="ignore"):  # ∞ − ∞, and the sum over an axis of no entries
        z = _shifted(x, dim)
        y = z - np.log(np.exp(z).sum(axis=dim, keepdims=True))

    def pullback(dy: Array) -> tuple[Array]:
        dy = cotangent("log_softmax", dy, y)
        return (dy - np.exp(y) * dy.sum(axis=dim, keepdims=True),)

    return y, pullback


def nll_loss(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> tuple[Array, Pullback]:
    """The negative log-likelihood of the right class, as `torch.nn.functional.nll_loss`.

        none: y_n = −v_n · x[n, t_n]        sum: Σ_n y_n        mean: Σ_n y_n / Σ_n v_n

    with v_n = weight[t_n], or 1 without weights, and v_n = 0 where t_n is `ignore_index`. The mean of no samples
    is NaN. dx[n, t_n] = −v_n · dy_n, with dy / Σ v for dy_n in a mean, and 0 everywhere else.

    Args:
        input: x, log-probabilities (N, C), (C,) or (N, C, d1, …).
        target: int64 class indices (N,), () or (N, d1, …), each in [0, C) or equal to `ignore_index`.
        weight: one factor a class (C,), or None. It is an option: no gradient is given for it.
        ignore_index: the target that marks a sample to be left out.
        reduction: "none", "mean" or "sum".

    Returns:
        y, of target's shape for "none" and () otherwise, and the pullback dy → (dx, None).

    Raises:
        ValueError: shapes or dtypes do not fit, or a target is no class.
    """
    check_floats("nll_loss", input=input, weight=weight)
    x = input
    _check_reduction("nll_loss", reduction)
    ignored = _ignored(x, target, weight, ignore_index)

    def taken(numbers: Array) -> Array:
        """0 where the sample is ignored: no factor, for 0·∞ is NaN."""
        return numbers if ignored is None else np.where(ignored, x.dtype.type(0), numbers)

    # An ignored target may be no index at all: any valid one does in its place.
    classes = target if ignored is None else np.where(ignored, 0, target)
    if weight is None and ignored is None:  # as it mostly is: one number stands for all of them
        v, total = x.dtype.type(1), x.dtype.type(target.size)
    else:
        v = taken(np.ones(target.shape, x.dtype) if weight is None else weight[classes])
        total = v.sum(dtype=x.dtype)
    # x[chosen] is x[n, t_n, …] for every sample: the class stands between open grids over the other axes.
    grids = _grids(target.shape)
    chosen = (*grids[:1], classes, *grids[1:])
    with np.errstate(invalid="ignore"):  # 0·∞ of an ignored sample, and the mean of none
        y = _reduced(taken(-v * x[chosen]), reduction, total)

    def pullback(dy: Array) -> tuple[Array, None]:
        dy = cotangent("nll_loss", dy, y)
        dx = np.zeros(x.shape, dtype=x.dtype)
        with np.errstate(invalid="ignore", divide="ignore"):  # a mean over no weight is torch's NaN
            dx[chosen] = taken(-v * (dy / total if reduction == "mean" else dy))
        return dx, None

    return y, pullback


def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> tuple[Array, Pullback]:
    """The loss of a classifier, from its raw scores, as `torch.nn.functional.cross_entropy`.

        y = nll_loss(log_softmax(x), target)        dx = (softmax(x) − onehot(target)) · v · dy / Σ v   for a mean

    The arguments are those of `nll_loss`, with scores for x; targets are class indices.

    Returns:
        y, of target's shape for "none" and () otherwise, and the pullback dy → (dx, None).

    Raises:
        ValueError: shapes or dtypes do not fit, or a target is no class.
    """
    check_floats("cross_entropy", input=input)
    x = input
    if x.ndim == 0:
        raise ValueError("cross_entropy: expected scores (N, C), (C,) or (N, C, d1, …), got a single number")
    log_probabilities, softmax_pullback = log_softmax(x, dim=0 if x.ndim == 1 else 1)
    y, nll_pullback = nll_loss(log_probabilities, target, weight, ignore_index, reduction)

    def pullback(dy: Array) -> tuple[Array, None]:
        dlog, _ = nll_pullback(dy)
        return softmax_pullback(dlog)[0], None

    return y, pullback


def mse_loss(input: Array, target: Array, reduction: Reduction = "mean") -> tuple[Array, Pullback]:
    """The squared error, as `torch.nn.functional.mse_loss`.

        none: y = (x − t)²        sum: Σ (x − t)²        mean: Σ (x − t)² / size
        dx = 2 (x − t) · dy, divided by the size in a mean; dt = −dx

    Args:
        input: x, predictions, any shape.
        target: of x's shape. Torch would broadcast another shape, with a warning; here it is an error.
        reduction: "none", "mean" (over all elements) or "sum".

    Returns:
        y, of x's shape for "none" and () otherwise, and the pullback dy → (dx, dt).
    """
    check_floats("mse_loss", input=input, target=target)
    x = input
    _check_reduction("mse_loss", reduction)
    if x.shape != target.shape:
        raise ValueError(f"mse_loss: x and target must have one shape, got {x.shape} and {target.shape}")
    difference = np.asarray(x - target)
    size = x.dtype.type(x.size)
    with np.errstate(invalid="ignore"):  # the mean of nothing is 0/0
        y = _reduced(difference * difference, reduction, size)

    def pullback(dy: Array) -> tuple[Array, Array]:
        dy = cotangent("mse_loss", dy, y)
        with np.errstate(invalid="ignore", divide="ignore"):
            two = x.dtype.type(2)  # NumPy before 2.0 would compute 2 · a single float32 in float64
            dx = np.asarray(two * difference * (dy / size if reduction == "mean" else dy))
        return dx, -dx

    return y, pullback


def _shifted(x: Array, dim: int) -> Array:
    """x less its maximum along `dim`."""
    return np.asarray(x - x.max(axis=dim, keepdims=True)) if x.size else x.copy()


def _reduced(losses: Array, reduction: Reduction, total: Array) -> Array:
    if reduction == "none":
        return np.asarray(losses)
    summed = losses.sum()
    return np.asarray(summed / total if reduction == "mean" else summed)


def _check_reduction(op: str, reduction: str) -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{op}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


@lru_cache(maxsize=16)
def _grids(shape: tuple[int, ...]) -> tuple[Array, ...]:
    """0, 1, 2, … along each axis of the shape. Batches are mostly of one size, and so it is kept."""
    grids = np.ix_(*map(np.arange, shape))
    for grid in grids:
        grid.flags.writeable = False
    return grids


def _ignored(x: Array, target: Array, weight: Array | None, ignore_index: int) -> Array | None:
    """Where the target is to be ignored, or None for nowhere, once all others are known to be classes."""
    if x.ndim == 0:
        raise ValueError("nll_loss: expected (N, C), (C,) or (N, C, d1, …), got a single number")
    classes = x.shape[0 if x.ndim == 1 else 1]
    expected = x.shape[:1] * (x.ndim > 1) + x.shape[2:]
    if not isinstance(target, (np.ndarray, np.generic)) or target.dtype != np.int64:
        got = getattr(target, "dtype", type(target).__name__)
        raise ValueError(f"nll_loss: targets must be class indices of dtype int64, got {got}")
    if target.shape != expected:
        raise ValueError(f"nll_loss: targets of shape {expected} belong to an input {x.shape}, got {target.shape}")
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"nll_loss: weight must have the shape ({classes},), got {weight.shape}")
    wrong = target.view(np.uint64) >= classes  # without their sign, the negative ones are huge
    if not 0 <= ignore_index < classes and not np.count_nonzero(wrong):
        return None  # as it mostly is: all are classes, and none is ignored
    ignored = np.asarray(target == ignore_index)
    wrong = wrong & ~ignored
    if np.count_nonzero(wrong):
        raise ValueError(
            f"nll_loss: target {np.asarray(target)[wrong][0]} is neither a class in [0, {classes}) "
            f"nor ignore_index {ignore_index}"
        )
    return ignored
