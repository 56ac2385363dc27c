"""Rows for the normalizations."""

import inspect
import math
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops
from numpy_cnn.ops.batch_normalization import running_statistics
from parity.bounds.derived import SQRT_ERROR, BoundInputs, ErrorBounds, copies, gamma
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.op import Array
from parity.cases.primitives import booleans, composite, integers, sampled
from parity.cases.sizes import HUGE, LONG, RARELY, batch, extent, numbers, tail
from parity.cases.state import keep
from parity.rows.row import INEXACT, Row

EPSILONS = (1e-5, 1e-3, 0.1, 1.0)
MOMENTA = (0.1, 0.01, 0.25, 0.75, 0.9)  # none is 1/2, which is also the weight of the old statistics


@composite
def batch_norm(draw: st.DrawFn, lane: Lane) -> Case:
    """Rows, sequences, images and volumes, in training and in evaluation, near 0 and far from 0."""
    training = draw(booleans)
    samples, channels = 0 if lane == "structure" and draw(RARELY) else draw(extent(8)), draw(extent(3))
    around = [draw(extent(3)) for _ in range(draw(integers(0, 3)))]
    if draw(RARELY):  # a long axis: samples, channels, or the last one
        samples, channels, around = _with_tail(samples, channels, around, draw(sampled((0, 1, 2))), draw(LONG))
    if training and samples * math.prod(around) == 1:
        samples = 2  # one number has no variance, and torch rejects it
    has_statistics = draw(booleans) or not training
    each = (channels,)
    arrays = (
        ArraySpec("input", (samples, channels, *around), draw(sampled(["real", "shifted"]))),
        ArraySpec("running_mean", each if has_statistics else None),
        ArraySpec("running_var", each if has_statistics else None, "weights"),
        ArraySpec("weight", each if draw(booleans) else None),
        ArraySpec("bias", each if draw(booleans) else None),
    )
    options = {"training": training, "momentum": draw(sampled(MOMENTA)), "eps": draw(sampled(EPSILONS))}
    return Case("batch_norm", arrays, options, *numbers(draw))


def _with_tail(samples: int, channels: int, around: list[int], axis: int, size: int) -> tuple[int, int, list[int]]:
    """One axis of this size (samples, channels or the last one); the others are short if it is huge."""
    if size == HUGE:
        samples, channels, around = min(samples, 1), 1, [1 for _ in around]
    if axis == 2 and around:
        return samples, channels, [*around[:-1], size]
    if axis == 1:
        return samples, size, [max(2, around[0]), *around[1:]] if around else around
    return size if samples else 0, channels, around


def arrays_first(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adapt a function with an option between its arrays to (input, weight, bias) and keywords."""

    @wraps(function)
    def op(input: Any, weight: Any = None, bias: Any = None, **options: Any) -> Any:
        return function(input, weight=weight, bias=bias, **options)

    own = inspect.signature(function).parameters
    arrays = [own[name].replace(default=inspect.Parameter.empty) for name in ("input", "weight", "bias")]
    rest = [parameter for name, parameter in own.items() if name not in ("input", "weight", "bias")]
    op.__signature__ = inspect.Signature([*arrays, *rest])  # type: ignore[attr-defined]  # what inspect reads
    return op


@composite
def layer_norm(draw: st.DrawFn, lane: Lane) -> Case:
    """Up to three leading axes and one to three normalized ones, with and without weight and bias."""
    leading = [draw(batch(lane)) for _ in range(draw(integers(0, 3)))]
    each = tuple(draw(extent(5)) for _ in range(draw(integers(1, 3))))
    if draw(RARELY):
        each = tuple(tail(each, draw(LONG)))
        leading = [min(n, 1) for n in leading] if each[-1] == HUGE else leading
    arrays = (
        ArraySpec("input", (*leading, *each), draw(sampled(["real", "shifted"]))),
        ArraySpec("weight", each if draw(booleans) else None),
        ArraySpec("bias", each if draw(booleans) else None),
    )
    options = {"normalized_shape": each, "eps": draw(sampled(EPSILONS))}
    return Case("layer_norm", arrays, options, *numbers(draw))


@composite
def group_norm(draw: st.DrawFn, lane: Lane) -> Case:
    """Rows, sequences and images, with one group, several, or one per channel."""
    groups, of_group, samples = draw(extent(3)), draw(extent(3)), draw(batch(lane))
    around = [draw(extent(4)) for _ in range(draw(integers(0, 2)))]
    if draw(RARELY):
        samples, of_group, around = _with_tail(samples, of_group, around, draw(sampled((0, 1, 2))), draw(LONG))
        groups = 1 if HUGE in (samples, of_group, *around) else groups
    if samples * of_group * math.prod(around) == 1:
        samples = 2  # one number has no variance, and torch rejects it
    channels = groups * of_group
    weighted = draw(booleans)  # torch fails for a bias without a weight: "tensor does not have a device"
    arrays = (
        ArraySpec("input", (samples, channels, *around), draw(sampled(["real", "shifted"]))),
        ArraySpec("weight", (channels,) if weighted else None),
        ArraySpec("bias", (channels,) if draw(booleans) and weighted else None),
    )
    return Case("group_norm", arrays, {"num_groups": groups, "eps": draw(sampled(EPSILONS))}, *numbers(draw))


@composite
def instance_norm(draw: st.DrawFn, lane: Lane) -> Case:  # noqa: ARG001  # one strategy for all lanes
    """Sequences and images, normalized by the input's statistics or by running ones."""
    samples, channels = draw(extent(3)), draw(extent(3))  # torch rejects an empty batch
    around = [draw(integers(2, 5)), *(draw(extent(4)) for _ in range(draw(integers(0, 1))))]
    if draw(RARELY):
        samples, channels, around = _with_tail(samples, channels, around, draw(sampled((0, 1, 2))), draw(LONG))
    if math.prod(around) == 1:
        around = [2, *around[1:]]  # one number has no variance, and torch rejects it
    own = draw(booleans)
    each = (channels,)
    arrays = (
        ArraySpec("input", (samples, channels, *around), draw(sampled(["real", "shifted"]))),
        ArraySpec("running_mean", None if own else each),
        ArraySpec("running_var", None if own else each, "weights"),
        ArraySpec("weight", each if draw(booleans) else None),
        ArraySpec("bias", each if draw(booleans) else None),
    )
    return Case("instance_norm", arrays, {"use_input_stats": own, "eps": draw(sampled(EPSILONS))}, *numbers(draw))


def has_positions(case: Case) -> bool:
    """Whether there is an axis of positions; torch checks this only for the batch's statistics."""
    return len(case.arrays[0].shape or ()) > 2


# Roundings of x̂, y and dx besides those of the sums: subtractions, products, and α folded or separate.
STEPS = 6


class _Normalized(NamedTuple):
    """x̂ = (x − μ)·r with r = 1/√(σ² + ε), and the absolute errors of its parts."""

    xhat: Array
    of_xhat: Array
    r: Array
    rho: Array  # relative error of r
    of_mean: Array  # the mean of the deviations, 0 in exact arithmetic, as a multiple of √(σ² + ε)


def batch_norm_bound(s: BoundInputs) -> ErrorBounds:
    """y = w·x̂ + b; in training dx = w·r·(dy − mean dy − x̂·mean(dy·x̂)), each part with its error."""
    x, _, _, weight, bias = s.arrays
    assert x is not None
    if x.size == 0:
        return copies(s)  # nothing is summed
    axes, count = (0, *range(2, x.ndim)), x[:, 0].size
    xhat, of_xhat, r, rho, of_mean = _normalized(s, x, axes, count)
    w = np.ones(()) if weight is None else _along(np.abs(weight), x)
    b = np.zeros(()) if bias is None else _along(np.abs(bias), x)
    err_y = w * of_xhat + gamma(STEPS, s.u) * b

    size, hat = np.abs(s.dy), np.abs(xhat)
    db, dw = (np.abs(part.sum(axis=axes, keepdims=True)) for part in (s.dy, s.dy * xhat))
    err_db = gamma(count, s.u) * size.sum(axis=axes, keepdims=True)
    err_dw = (size * (of_xhat + gamma(count + 2, s.u) * (hat + of_xhat))).sum(axis=axes, keepdims=True)
    part, of_part = size, gamma(STEPS, s.u) * size
    if s.options["training"]:
        part = np.abs(
            s.dy
            - s.dy.sum(axis=axes, keepdims=True) / count
            - xhat * (s.dy * xhat).sum(axis=axes, keepdims=True) / count
        )
        # Differentiating through σ² and μ separately involves Σ (x − μ), 0 in exact arithmetic: `of_mean`.
        carried = err_db + hat * err_dw + (of_xhat + of_mean) * (dw + err_dw)
        of_part = (
            of_part + carried / count + gamma(STEPS, s.u) * (db + err_db + (hat + of_xhat) * (dw + err_dw)) / count
        )
    dx = w * r * ((1 + rho) * of_part + (rho + gamma(STEPS, s.u)) * part)
    return np.broadcast_to(err_y, x.shape), (
        np.broadcast_to(dx, x.shape),
        None,
        None,
        None if weight is None else err_dw.reshape(weight.shape),
        None if bias is None else err_db.reshape(bias.shape),
    )


def _normalized(s: BoundInputs, x: Array, axes: tuple[int, ...], count: int) -> _Normalized:
    """The errors of μ, σ² and r, each derived from the previous one."""
    eps = s.options["eps"]
    if s.options["training"]:
        mean, var, of_mean, of_var = _statistics(s, x, axes, count)
        deviation = x - mean
    else:
        running_mean, running_var = s.arrays[1:3]
        assert running_mean is not None
        assert running_var is not None
        mean, var = _along(running_mean, x), _along(running_var, x)
        deviation = x - mean
        of_mean = of_var = np.zeros_like(var)
    total = var + eps
    of_total = of_var + gamma(3, s.u) * (total + of_var)
    least = np.maximum(total - of_total, eps * (1 - gamma(3, s.u)))  # a sum of squares is not negative
    rho = np.sqrt(total / least) * (1 + gamma(SQRT_ERROR + 2, s.u)) - 1
    r = 1 / np.sqrt(total)
    rounded = of_mean + gamma(STEPS, s.u) * (np.abs(x) + np.abs(mean) + of_mean)
    of_xhat = r * (rho * np.abs(deviation) + (1 + rho) * rounded)
    of_sum = of_mean + gamma(2, s.u) * np.abs(deviation).mean(axis=axes, keepdims=True)
    return _Normalized(deviation * r, of_xhat, r, rho, (1 + rho) * r * of_sum)


def running_statistics_bound(s: BoundInputs) -> dict[str, Array]:
    """(1 − m)·r + m·μ and (1 − m)·r + m·σ²·n/(n − 1): the errors of μ and σ², two products and a sum."""
    x, mean, var, *_ = s.arrays
    if x is None or mean is None or var is None:
        return {}
    if not s.options["training"] or x.size == 0:
        return {"running_mean": np.zeros_like(mean), "running_var": np.zeros_like(var)}
    axes, count, m = (0, *range(2, x.ndim)), x[:, 0].size, s.options["momentum"]
    average, variance, of_mean, of_var = _statistics(s, x, axes, count)
    unbiased = count / (count - 1)
    parts = {
        "running_mean": (mean, average, of_mean),
        "running_var": (var, unbiased * variance, unbiased * of_var),
    }
    found = {}
    for name, (before, of_batch, error) in parts.items():
        size = (1 - m) * np.abs(before) + m * (np.abs(of_batch) + error).reshape(before.shape)
        found[name] = m * error.reshape(before.shape) + gamma(STEPS, s.u) * size
    return found


def _statistics(s: BoundInputs, x: Array, axes: tuple[int, ...], count: int) -> tuple[Array, Array, Array, Array]:
    """The batch's μ and σ², and the errors of both."""
    mean = x.mean(axis=axes, keepdims=True)
    var = ((x - mean) ** 2).mean(axis=axes, keepdims=True)
    of_mean = gamma(count + 1, s.u) * np.abs(x).mean(axis=axes, keepdims=True)
    # Deviations from a mean that is off by e add e² to σ², because their sum is 0. Welford's updates lose
    # m·u·max|x|/σ of it.
    largest = np.abs(x).max(axis=axes, keepdims=True)
    of_var = of_mean**2 + gamma(count + 4, s.u) * (var + of_mean**2 + largest * np.sqrt(var))
    return mean, var, of_mean, of_var


@wraps(ops.batch_norm)
def batch_norm_with_state(*arrays: Array | None, **options: Any) -> Any:
    """Our batch norm, reporting the running statistics that torch's writes to its arguments."""
    bound = inspect.signature(ops.batch_norm).bind(*arrays, **options)
    bound.apply_defaults()
    given = bound.arguments
    before = given["running_mean"], given["running_var"]
    result = ops.batch_norm(*bound.args, **bound.kwargs)
    if before[0] is not None:
        after = running_statistics(given["input"], *before, given["momentum"]) if given["training"] else before
        for name, value in zip(("running_mean", "running_var"), after, strict=True):
            keep(name, value)
    return result


def _along(channels: Array, x: Array) -> Array:
    """Reshape one number per channel to broadcast against x (N, C, …)."""
    return channels.reshape(-1, *(1,) * (x.ndim - 2))


ROWS = (
    Row(
        "batch_norm",
        batch_norm_with_state,
        F.batch_norm,
        batch_norm,
        batch_norm_bound,
        INEXACT,
        state_bound=running_statistics_bound,
        formulas={
            "output": "y = w·(x − μ)/√(σ² + ε) + b, μ and σ² over all axes but the channels",
            "grad_input": "dx = w/√(σ² + ε)·(dy − mean(dy) − x̂·mean(dy·x̂)) in training",
            "grad_weight": "dw = Σ dy·x̂ over all axes but the channels",
            "grad_bias": "db = Σ dy over all axes but the channels",
            "running_mean": "running_mean ← (1 − momentum)·running_mean + momentum·μ in training",
            "running_var": "running_var ← (1 − momentum)·running_var + momentum·σ²·m/(m − 1) in training",
        },
    ),
    Row(
        "layer_norm",
        arrays_first(ops.layer_norm),
        arrays_first(F.layer_norm),
        layer_norm,
        lanes=INEXACT,
        formulas={
            "output": "y = w·(x − μ)/√(σ² + ε) + b, μ and σ² over the axes of normalized_shape",
            "grad_input": "dx = (g − mean(g) − x̂·mean(g·x̂))/√(σ² + ε), g = w·dy",
            "grad_weight": "dw = Σ dy·x̂ over the leading axes",
            "grad_bias": "db = Σ dy over the leading axes",
        },
    ),
    Row(
        "group_norm",
        arrays_first(ops.group_norm),
        arrays_first(F.group_norm),
        group_norm,
        lanes=INEXACT,
        formulas={
            "output": "y = w·(x − μ)/√(σ² + ε) + b, μ and σ² over a group's channels and all positions",
            "grad_input": "dx = (g − mean(g) − x̂·mean(g·x̂))/√(σ² + ε), g = w·dy",
            "grad_weight": "dw = Σ dy·x̂ over samples and positions",
            "grad_bias": "db = Σ dy over samples and positions",
        },
    ),
    Row(
        "instance_norm",
        ops.instance_norm,
        F.instance_norm,
        instance_norm,
        lanes=INEXACT,
        formulas={
            "output": "y = w·(x − μ)/√(σ² + ε) + b, μ and σ² over the positions of each channel of each sample",
            "grad_input": "dx = (g − mean(g) − x̂·mean(g·x̂))/√(σ² + ε), g = w·dy",
            "grad_weight": "dw = Σ dy·x̂ over samples and positions",
            "grad_bias": "db = Σ dy over samples and positions",
        },
        sound=has_positions,
    ),
)
