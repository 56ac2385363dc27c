"""Batch normalization: every channel over the whole batch."""

import math
from numbers import Real
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent
from numpy_cnn.ops.fast.sums import total, total_product

__all__ = ["batch_norm"]


def batch_norm(
    input: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Pullback]:
    """Normalize every channel to mean 0 and variance 1, scale and shift, as `torch.nn.functional.batch_norm`.

        x̂ = (x − μ) / √(σ² + ε)        y = w · x̂ + b        all per channel
        db = Σ dy        dw = Σ dy · x̂
        dx = w / √(σ² + ε) · (dy − db/m − x̂ · dw/m)    in training, where μ and σ² depend on x
        dx = w / √(σ² + ε) · dy                        otherwise, where they are constants

    In training μ and σ² = Σ (x − μ)² / m are those of the channel's m numbers, over all axes but the second;
    otherwise they are `running_mean` and `running_var`. A channel whose numbers are all equal has y = b, and its
    gradients may be 1/√ε times as large as dy.

    In training, torch updates the running statistics in place. This op modifies none of its arguments:
    `running_statistics` returns the new ones.

    Args:
        input: x, (N, C), (N, C, L), (N, C, H, W) or with more axes.
        running_mean: (C,), or None in training, where it is not read, and for an empty batch.
        running_var: (C,), or None if running_mean is None.
        weight: w, (C,), or None for 1.
        bias: b, (C,), or None for 0.
        training: whether μ and σ² come from x.
        momentum: unused here; `running_statistics` uses it.
        eps: ε, added to the variance so that the division is never by 0.

    Returns:
        y of x's shape, and the pullback dy → (dx, None, None, dw, db); dw and db are None if their array is.

    Raises:
        ValueError: shapes, dtypes or options are invalid; in training also if a channel has one number (its
            variance is always 0) or eps is 0.

    Source: S. Ioffe and C. Szegedy, Batch Normalization: Accelerating Deep Network Training (2015).
    """
    y, pullback, _, _ = _batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    return y, pullback


def batch_norm_and_statistics(
    input: Array,
    running_mean: Array,
    running_var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Pullback, tuple[Array, Array]]:
    """`batch_norm` in training and `running_statistics`, from μ and σ² computed once.

    Args:
        input: x, as for `batch_norm`.
        running_mean: (C,), before the step.
        running_var: (C,), before the step.
        weight: w, (C,), or None for 1.
        bias: b, (C,), or None for 0.
        momentum: the weight of the new batch.
        eps: ε, added to the variance.

    Returns:
        y and the pullback of `batch_norm`, and the result of `running_statistics`.

    Raises:
        ValueError: as in `batch_norm`.

    Source: as `batch_norm`.
    """
    y, pullback, mean, var = _batch_norm(input, running_mean, running_var, weight, bias, True, momentum, eps)
    return y, pullback, _updated(input, running_mean, running_var, mean, var, momentum)


def _batch_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Array, Pullback, Array, Array]:
    """y, the pullback, μ and σ²."""
    if getattr(x, "shape", None) == (0,):
        return _of_empty_vector(x, running_mean, running_var, weight, bias, training, momentum, eps)
    _check(x, running_mean, running_var, weight, bias, training=training, momentum=momentum, eps=eps)
    count = _count(x)
    if training or running_mean is None or running_var is None:  # statistics may be missing for an empty batch
        mean, var, deviation = _moments(x)
    else:
        mean, var = _along(running_mean, x), _along(running_var, x).astype(np.float64)
        deviation = _centred(x, mean)
    with np.errstate(invalid="ignore", divide="ignore"):  # a negative variance gives NaN, as in torch
        rstd = (1 / np.sqrt(var + eps)).astype(x.dtype)
        xhat = np.multiply(deviation, rstd, out=deviation)
        y = xhat.copy("K") if weight is None else xhat * _along(weight, x)
        if bias is not None:
            y += _along(bias, x)

    def pullback(dy: Array) -> tuple[Array, None, None, Array | None, Array | None]:
        dy = cotangent("batch_norm", dy, y)
        scale = rstd if weight is None else rstd * _along(weight, x)
        with np.errstate(invalid="ignore"):
            db, dw = total(dy, _axes(x)), total_product(dy, xhat, _axes(x))
            if training and count:
                dx = dy - (db / count).astype(x.dtype)
                dx -= xhat * (dw / count).astype(x.dtype)
                dx *= scale
            else:
                dx = dy * scale
        return (
            dx,
            None,
            None,
            None if weight is None else dw.astype(x.dtype).reshape(weight.shape),
            None if bias is None else db.astype(x.dtype).reshape(bias.shape),
        )

    return y, pullback, mean, var


def _of_empty_vector(x: Array, *rest: Any) -> tuple[Array, Pullback, Array, Array]:
    """An empty x without an axis of channels, which torch accepts as well."""
    y, batch_pullback, mean, var = _batch_norm(x.reshape(0, 0), *rest)

    def pullback(dy: Array) -> tuple[Any, ...]:
        _, *others = batch_pullback(cotangent("batch_norm", dy, x).reshape(0, 0))
        return x.copy(), *others

    return y.reshape(0), pullback, mean, var


def running_statistics(
    input: Array, running_mean: Array, running_var: Array, momentum: float = 0.1
) -> tuple[Array, Array]:
    """The running statistics after one training step, as torch's batch_norm writes them to its arguments.

        running_mean ← (1 − momentum) · running_mean + momentum · μ
        running_var  ← (1 − momentum) · running_var + momentum · Σ (x − μ)² / (m − 1)

    A separate function, because an op modifies none of its arguments. The sum is divided by m − 1 here and by m in
    `batch_norm`: here it estimates the variance of all data, there it makes the variance of this batch 1.

    Args:
        input: x, as for `batch_norm`.
        running_mean: (C,), before the step.
        running_var: (C,), before the step.
        momentum: the weight of the new batch.

    Returns:
        running_mean and running_var, new arrays. An empty batch changes neither.

    Raises:
        ValueError: as in `batch_norm`.

    Source: as `batch_norm`.
    """
    x = input
    _check(x, running_mean, running_var, None, None, training=True, momentum=momentum, eps=1.0)
    mean, var, _ = _moments(x)
    return _updated(x, running_mean, running_var, mean, var, momentum)


def _updated(
    x: Array, running_mean: Array, running_var: Array, mean: Array, var: Array, momentum: float
) -> tuple[Array, Array]:
    count = _count(x)
    if count == 0:
        return running_mean.copy(), running_var.copy()
    kept = 1 - momentum
    return (
        (kept * running_mean + momentum * mean.reshape(running_mean.shape)).astype(x.dtype),
        (kept * running_var + momentum * var.reshape(running_var.shape) * (count / (count - 1))).astype(x.dtype),
    )


def _moments(x: Array) -> tuple[Array, Array, Array]:
    """μ and σ² of each channel, and x − μ. The mean is subtracted first, because Σ x²/m − μ² would cancel."""
    count = _count(x)
    with np.errstate(invalid="ignore"):  # for an empty batch the mean is 0/0, NaN, and unused
        mean = (total(x, _axes(x)) / count).astype(x.dtype)
        deviation = _centred(x, mean)
        return mean, total_product(deviation, deviation, _axes(x)) / count, deviation


def _centred(x: Array, mean: Array) -> Array:
    with np.errstate(invalid="ignore"):  # ∞ − ∞ is NaN as in torch, so do not warn
        return np.asarray(x - mean)


def _axes(x: Array) -> tuple[int, ...]:
    """All axes but the channel axis."""
    return (0, *range(2, x.ndim))


def _count(x: Array) -> int:
    """m, the number of entries of a channel."""
    return math.prod(x.shape[axis] for axis in _axes(x))


def _along(channels: Array, x: Array) -> Array:
    """One number per channel (C,), shaped to broadcast against x (N, C, …)."""
    return channels.reshape(-1, *(1,) * (x.ndim - 2))


def _check(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    *,
    training: bool,
    momentum: float,
    eps: float,
) -> None:
    arrays = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    check_floats("batch_norm", input=x, **arrays)
    if x.ndim < 2:
        raise ValueError(f"batch_norm: expected (N, C) or (N, C, …), got {x.shape}")
    for name, array in arrays.items():
        if array is not None and array.shape != x.shape[1:2]:
            raise ValueError(
                f"batch_norm: {name} must have the shape {x.shape[1:2]} for the input {x.shape}, got {array.shape}"
            )
    check_running("batch_norm", x, running_mean, running_var)
    if not isinstance(training, (bool, np.bool_)):
        raise ValueError(f"batch_norm: training must be True or False, got {training!r}")
    for name, value in (("momentum", momentum), ("eps", eps)):
        if not isinstance(value, Real):
            raise ValueError(f"batch_norm: {name} must be a number, got {value!r}")
    if not training and running_mean is None and x.size:
        raise ValueError("batch_norm: training=False needs running_mean and running_var, got None")
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"batch_norm: eps must be {'above' if training else 'at least'} 0, got {eps!r}")
    if training and _count(x) == 1:
        raise ValueError(
            f"batch_norm: training needs more than 1 number per channel, the input {x.shape} has 1: "
            "its variance is 0, and y would be the bias for every x"
        )


def check_running(op: str, x: Array, running_mean: Array | None, running_var: Array | None) -> None:
    check_floats(op, input=x, running_mean=running_mean, running_var=running_var)
    if (running_mean is None) != (running_var is None):
        missing = "running_mean" if running_mean is None else "running_var"
        raise ValueError(f"{op}: {missing} is None but the other is not: pass both or neither")
    for name, array in (("running_mean", running_mean), ("running_var", running_var)):
        if array is not None and array.shape != x.shape[1:2]:
            raise ValueError(f"{op}: {name} must have the shape {x.shape[1:2]}, got {array.shape}")
