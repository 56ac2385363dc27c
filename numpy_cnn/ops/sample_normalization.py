"""Normalization within a sample: over its last axes, groups of channels, or single channels."""

import math
from collections.abc import Sequence

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent, flag, integer, real
from numpy_cnn.ops.batch_normalization import batch_norm, check_running
from numpy_cnn.ops.fast.elementwise import PIECE
from numpy_cnn.ops.fast.sums import over_columns, over_rows, total, total_product

__all__ = ["group_norm", "instance_norm", "layer_norm"]

BLOCK = 4 * PIECE  # numbers at a time: in smaller blocks the 30 calls for each take longer than the work


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
        eps: ε, added to the variance; as in torch, a negative sum of both gives NaN.

    Returns:
        y of x's shape, and the pullback dy → (dx, dw, db); dw and db are None if their array is.

    Raises:
        ValueError: shapes, dtypes or eps are invalid.

    Source: J. Ba, J. Kiros and G. Hinton, Layer normalization (2016).
    """
    arrays = {"weight": weight, "bias": bias}
    check_floats("layer_norm", input=input, **arrays)
    if not isinstance(normalized_shape, (tuple, list)):  # F.layer_norm rejects an int, nn.LayerNorm reads it
        raise ValueError(f"layer_norm: normalized_shape must be a tuple of ints, got {normalized_shape!r}")
    shape = tuple(integer("layer_norm", "normalized_shape", side) for side in normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(
            f"layer_norm: normalized_shape {shape} must equal the last axes of the input {input.shape}"
        )
    for name, array in arrays.items():
        if array is not None and array.shape != shape:
            raise ValueError(f"layer_norm: {name} must have the shape {shape}, got {array.shape}")
    grouped = math.prod(input.shape[: input.ndim - len(shape)]), 1, math.prod(shape), 1
    return _normalized("layer_norm", input, grouped, weight, bias, eps)


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
        eps: ε, added to the variance; as in torch, a negative sum of both gives NaN.

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
        eps: ε, added to the variance; as in torch, a negative sum of both gives NaN.

    Returns:
        y of x's shape, and the pullback dy → (dx, None, None, dw, db); dw and db are None if their array is.

    Raises:
        ValueError: shapes, dtypes or options are invalid, or a channel has only one position.

    Source: D. Ulyanov, A. Vedaldi and V. Lempitsky, Instance normalization (2016).
    """
    check_floats("instance_norm", input=input, weight=weight, bias=bias)
    check_floats("instance_norm", input=input, running_mean=running_mean, running_var=running_var)
    real("instance_norm", "momentum", momentum)
    if input.ndim < 2:
        raise ValueError(f"instance_norm: expected (N, C, …) with positions, got {input.shape}")
    if not flag("instance_norm", "use_input_stats", use_input_stats):
        if running_mean is None and running_var is None:
            raise ValueError("instance_norm: use_input_stats=False needs running_mean and running_var, got None")
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    check_running("instance_norm", input, running_mean, running_var)
    if input.ndim < 3:
        raise ValueError(f"instance_norm: expected (N, C, …) with positions, got {input.shape}")
    if math.prod(input.shape[2:]) == 1:
        raise ValueError(f"instance_norm: needs more than 1 position per channel, the input {input.shape} has 1")
    y, pullback = _by_groups("instance_norm", input, max(1, input.shape[1]), weight, bias, eps)

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
    if integer(op, "num_groups", groups) < 1 or channels % groups:
        raise ValueError(
            f"{op}: {channels} channels cannot be divided into num_groups {groups!r}: input {x.shape}"
        )
    for name, array in arrays.items():
        if array is not None and array.shape != (channels,):
            raise ValueError(f"{op}: {name} must have the shape ({channels},), got {array.shape}")
    if samples * (channels // groups) * math.prod(positions) == 1:
        raise ValueError(f"{op}: needs more than 1 number per group, the input {x.shape} has 1: its variance is 0")
    grouped = samples, groups, channels // groups, math.prod(positions)
    return _normalized(op, x, grouped, weight, bias, eps)


def _normalized(
    op: str,
    x: Array,
    shape: tuple[int, int, int, int],
    weight: Array | None,
    bias: Array | None,
    eps: float,
) -> tuple[Array, Pullback]:
    """Normalize x over the channels and positions of its `shape` (samples, groups, channels, positions).

    There is one weight and one bias for each channel of each group. With d = x − μ and r = 1 / √(σ² + ε):

        y = d · (r · w) + b        dx = u · (r · w) − (d · r³ · mean(w · u · d) + r · mean(w · u))

    Σ u and Σ u · d over the positions of each channel are all that the means, dw and db need of the large arrays.
    Samples are independent, and are processed a few at a time, so that they stay in the cache.
    """
    eps = real(op, "eps", eps)
    samples, groups, channels, positions = shape
    grouped, count = x.reshape(shape), channels * positions
    w = np.ones((groups, channels), x.dtype) if weight is None else weight.reshape(groups, channels)
    step = max(1, BLOCK // max(1, groups * count))
    blocks = [slice(start, start + step) for start in range(0, samples if count else 0, step)]
    deviation, y = np.empty(shape, x.dtype), np.empty(shape, x.dtype)
    rstd = np.empty((samples, groups, 1, 1), x.dtype)

    def scale(a: Array, r: Array, out: Array) -> None:
        """a · r · w; with many positions the small r · w comes first."""
        np.multiply(a, r if positions == 1 else r * w[..., None], out=out)
        if positions == 1 and weight is not None:
            out *= w[..., None]

    with np.errstate(invalid="ignore", divide="ignore"):  # ∞ − ∞, and the root of a negative sum
        for block in blocks:
            mean = (total(grouped[block], (2, 3)) / count).astype(x.dtype)
            d = np.subtract(grouped[block], mean, out=deviation[block])
            rstd[block] = 1 / np.sqrt(total_product(d, d, (2, 3)) / count + eps)
            scale(d, rstd[block], out=y[block])
            if bias is not None:
                y[block] += bias.reshape(groups, channels, 1)
    result = y.reshape(x.shape)

    def pullback(dy: Array) -> tuple[Array, Array | None, Array | None]:
        u = cotangent(op, dy, result).reshape(shape)
        dx = np.empty(shape, x.dtype)
        dw, db = np.zeros((groups, channels)), np.zeros((groups, channels))
        with np.errstate(invalid="ignore", divide="ignore"):
            for block in blocks:
                d, r = deviation[block], rstd[block]
                sums, products = _over_positions(u[block], d)
                if weight is not None:
                    dw += over_rows(r[..., 0, 0], products)
                if bias is not None:
                    db += over_rows(np.ones_like(r[..., 0, 0]), sums)
                mean, slope = (over_columns(a, w)[..., None, None] / count for a in (sums, products))
                scale(u[block], r, out=dx[block])
                correction = d * (r.astype(np.float64) ** 3 * slope).astype(x.dtype)
                correction += (r * mean).astype(x.dtype)
                dx[block] -= correction
        return (
            dx.reshape(x.shape),
            None if weight is None else dw.astype(x.dtype).reshape(weight.shape),
            None if bias is None else db.astype(x.dtype).reshape(bias.shape),
        )

    return result, pullback


def _over_positions(u: Array, d: Array) -> tuple[Array, Array]:
    """Σ u and Σ u · d over the last axis; the single position of `layer_norm` needs no sum."""
    if u.shape[-1] == 1:
        return u[..., 0], (u * d)[..., 0]
    return total(u, (3,))[..., 0], total_product(u, d, (3,))[..., 0]
