"""Normalization within a sample: over its last axes, groups of channels, or single channels."""

import math
from collections.abc import Sequence
from numbers import Real

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent
from numpy_cnn.ops.batch_normalization import batch_norm, check_running

__all__ = ["group_norm", "instance_norm", "layer_norm"]


def layer_norm(
    input: Array,
    normalized_shape: Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> tuple[Array, Pullback]:
    """Normalize the last axes of every sample to mean 0 and variance 1, as `torch.nn.functional.layer_norm`.

        x̂ = (x − μ) / √(σ² + ε)        y = w · x̂ + b
        db = Σ dy        dw = Σ dy · x̂        over the leading axes
        dx = (g − mean(g) − x̂ · mean(g · x̂)) / √(σ² + ε)        with g = w · dy

    μ, σ² and the means are taken over the axes of `normalized_shape`.

    Args:
        input: x, (…, *normalized_shape).
        normalized_shape: the lengths of the last axes, which are normalized together.
        weight: w, of shape normalized_shape, or None for 1.
        bias: b, of shape normalized_shape, or None for 0.
        eps: ε, added to the variance.

    Returns:
        y of x's shape, and the pullback dy → (dx, dw, db); dw and db are None if their array is.

    Raises:
        ValueError: shapes, dtypes or eps are invalid.

    Source: J. Ba, J. Kiros and G. Hinton, Layer normalization (2016).
    """
    arrays = {"weight": weight, "bias": bias}
    check_floats("layer_norm", input=input, **arrays)
    shape = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(
            f"layer_norm: normalized_shape {shape} must equal the last axes of the input {input.shape}"
        )
    for name, array in arrays.items():
        if array is not None and array.shape != shape:
            raise ValueError(f"layer_norm: {name} must have the shape {shape}, got {array.shape}")
    leading = input.ndim - len(shape)
    axes, summed = tuple(range(leading, input.ndim)), tuple(range(leading))
    return _normalized("layer_norm", input, input.shape, axes, summed, weight, bias, shape, eps)


def group_norm(
    input: Array, num_groups: int, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> tuple[Array, Pullback]:
    """Normalize groups of channels of every sample to mean 0, variance 1, as `torch.nn.functional.group_norm`.

        x̂ = (x − μ) / √(σ² + ε)        y = w · x̂ + b        w and b per channel
        db = Σ dy        dw = Σ dy · x̂        over samples and positions
        dx = (g − mean(g) − x̂ · mean(g · x̂)) / √(σ² + ε)        with g = w · dy

    μ, σ² and the means are taken over the channels of a group and all positions.

    Args:
        input: x, (N, C, …).
        num_groups: number of groups that the C channels are divided into.
        weight: w, (C,), or None for 1.
        bias: b, (C,), or None for 0.
        eps: ε, added to the variance.

    Returns:
        y of x's shape, and the pullback dy → (dx, dw, db); dw and db are None if their array is.

    Raises:
        ValueError: shapes, dtypes or options are invalid, or there is one number per group and one sample.

    Source: Y. Wu and K. He, Group normalization (2018).
    """
    return _by_groups("group_norm", input, num_groups, weight, bias, eps)


def instance_norm(
    input: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Pullback]:
    """Normalize every channel of every sample to mean 0 and variance 1, as `torch.nn.functional.instance_norm`.

        use_input_stats: `group_norm` with one group per channel
        otherwise:       `batch_norm` in evaluation, with the running statistics

    If it uses the input's statistics, torch updates the running ones in place. This op modifies none of its
    arguments.

    Args:
        input: x, (N, C, …) with at least one axis of positions.
        running_mean: (C,), or None; used only without `use_input_stats`.
        running_var: (C,), or None if running_mean is None.
        weight: w, (C,), or None for 1.
        bias: b, (C,), or None for 0.
        use_input_stats: whether μ and σ² come from x.
        momentum: unused here.
        eps: ε, added to the variance.

    Returns:
        y of x's shape, and the pullback dy → (dx, None, None, dw, db); dw and db are None if their array is.

    Raises:
        ValueError: shapes, dtypes or options are invalid, or a channel has only one position.

    Source: D. Ulyanov, A. Vedaldi and V. Lempitsky, Instance normalization (2016).
    """
    check_floats("instance_norm", input=input, weight=weight, bias=bias)
    if input.ndim < 3:
        raise ValueError(f"instance_norm: expected (N, C, …) with positions, got {input.shape}")
    check_floats("instance_norm", input=input, running_mean=running_mean, running_var=running_var)
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    check_running("instance_norm", input, running_mean, running_var)
    if math.prod(input.shape[2:]) == 1:
        raise ValueError(f"instance_norm: needs more than 1 position per channel, the input {input.shape} has 1")
    y, pullback = _by_groups("instance_norm", input, input.shape[1], weight, bias, eps)

    def with_statistics(dy: Array) -> tuple[Array, None, None, Array | None, Array | None]:
        dx, dw, db = pullback(dy)
        return dx, None, None, dw, db

    return y, with_statistics


def _by_groups(
    op: str, x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Pullback]:
    arrays = {"weight": weight, "bias": bias}
    check_floats(op, input=x, **arrays)
    if x.ndim < 2:
        raise ValueError(f"{op}: expected (N, C) or (N, C, …), got {x.shape}")
    samples, channels, *positions = x.shape
    if not isinstance(groups, (int, np.integer)) or groups < 1 or channels % groups:
        raise ValueError(
            f"{op}: {channels} channels cannot be divided into num_groups {groups!r}: input {x.shape}"
        )
    for name, array in arrays.items():
        if array is not None and array.shape != (channels,):
            raise ValueError(f"{op}: {name} must have the shape ({channels},), got {array.shape}")
    if samples * (channels // groups) * math.prod(positions) == 1:
        raise ValueError(f"{op}: needs more than 1 number per group, the input {x.shape} has 1: its variance is 0")
    grouped = samples, groups, channels // groups, *positions
    along = (groups, channels // groups, *(1,) * len(positions))
    axes, summed = tuple(range(2, len(grouped))), (0, *range(3, len(grouped)))
    return _normalized(op, x, grouped, axes, summed, weight, bias, along, eps)


def _normalized(
    op: str,
    x: Array,
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    summed: tuple[int, ...],
    weight: Array | None,
    bias: Array | None,
    along: tuple[int, ...],
    eps: float,
) -> tuple[Array, Pullback]:
    """Normalize x, reshaped to `shape`, over `axes`; then scale and shift.

    weight and bias have the shape `along`, which broadcasts against `shape`; their gradients are summed over
    `summed`.
    """
    if not isinstance(eps, Real) or eps < 0:
        raise ValueError(f"{op}: eps must be a number of at least 0, got {eps!r}")
    seen = x.reshape(shape)
    count = math.prod(shape[axis] for axis in axes)
    w = None if weight is None else weight.reshape(along)

    def total(a: Array, over: tuple[int, ...]) -> Array:
        return np.asarray(a.sum(axis=over, keepdims=True, dtype=np.float64))

    with np.errstate(invalid="ignore", divide="ignore"):  # ∞ − ∞, and 0/0 in the mean of no numbers
        xhat = seen - (total(seen, axes) / count).astype(x.dtype)
        rstd = (1 / np.sqrt(total(xhat * xhat, axes) / count + eps)).astype(x.dtype)
        xhat *= rstd
        y = xhat.copy() if w is None else xhat * w
        if bias is not None:
            y += bias.reshape(along)
    y = y.reshape(x.shape)

    def pullback(dy: Array) -> tuple[Array, Array | None, Array | None]:
        u = cotangent(op, dy, y).reshape(shape)
        with np.errstate(invalid="ignore", divide="ignore"):
            g = u if w is None else u * w
            dx = g - (total(g, axes) / count).astype(x.dtype)
            dx -= xhat * (total(g * xhat, axes) / count).astype(x.dtype)
            dx *= rstd
            dw = None if weight is None else total(u * xhat, summed).astype(x.dtype).reshape(weight.shape)
            db = None if bias is None else total(u, summed).astype(x.dtype).reshape(bias.shape)
        return dx.reshape(x.shape), dw, db

    return y, pullback
