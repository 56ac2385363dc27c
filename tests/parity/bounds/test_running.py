"""Bounds by running error analysis are wide enough for rounding and too narrow for a mistake."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from parity.bounds.derived import BoundInputs, copies
from parity.bounds.running import analysed, running
from parity.bounds.with_error import NoRule
from parity.cases.op import Array
from parity.cases.primitives import draw_plainly
from parity.cases.torch_op import oracle
from parity.lanes.reference import expect
from parity.rows.registry import ROWS

U, TINY = 2.0**-24, float(np.finfo(np.float32).tiny)


def inputs(like: Callable[..., Any], *arrays: Array, seed: int = 0) -> BoundInputs:
    """Inputs of a bound whose arrays and cotangent are representable in float32."""
    wide = tuple(a.astype(np.float32).astype(np.float64) if a.dtype.kind == "f" else a for a in arrays)
    op = oracle(like)
    y, _ = op(*wide)
    dy = np.random.default_rng(100 + seed).standard_normal(y.shape).astype(np.float32).astype(np.float64)
    return BoundInputs(like, op, wide, {}, dy, U, TINY)


def results(s: BoundInputs, dtype: type) -> list[Array | None]:
    """The output and the gradients, computed in the given precision."""
    arrays = [a.astype(dtype) if a is not None and a.dtype.kind == "f" else a for a in s.arrays]
    y, pullback = s.op(*arrays)
    return [y, *pullback(s.dy.astype(dtype))]


X, W, V = (np.random.default_rng(seed).standard_normal((3, 4, 5, 6)) * 3 for seed in range(3))
POSITIVE, CLASSES = np.abs(W) + 0.1, np.arange(90).reshape(3, 5, 6) % 4


def ones(like: torch.Tensor) -> torch.Tensor:
    return torch.ones(like.shape, dtype=like.dtype)


FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Array, ...]]] = {
    "arithmetic": (lambda a, b, c: (a * b - c) / (2.5 + a * a) + 0.1 * b, (X, W, V)),
    "powers": (lambda a, b: a**3 + b**1.5 + b.rsqrt() - 1 / b + b.sqrt(), (X, POSITIVE)),
    "functions": (lambda a, b: a.sin() * b.log() + b.log1p() * a.atan() - a.cos().exp(), (X, POSITIVE)),
    "activations": (lambda a: F.silu(a) + F.gelu(a) * F.softplus(a) - F.elu(a) + F.mish(a) * F.hardswish(a), (X,)),
    "choices": (lambda a, b: torch.where(a > b, a * b, torch.maximum(a, b)) + (a * b).clamp(-1, 2), (X, W)),
    "sums": (lambda a, b: a.mean(1) + (a * b).sum(1) + a.cumsum(0).sum(1), (X, W)),
    "statistics": (lambda a: a.amax(1) + a.var(1) - a.std(1) - a.logsumexp(1), (X,)),
    "moves": (lambda a, b: torch.cat([a, b], 1)[:, ::2].flip(0).permute(0, 2, 1, 3).reshape(3, -1), (X, W)),
    "steps": (
        lambda a, b, c: torch.lerp(a, b, 0.1).addcmul(a, b, value=0.3).addcdiv(b.lerp(c, 0.7), 3 + a * a),
        (X, W, V),
    ),
    "steps by constants": (
        lambda a: torch.lerp(ones(a), a, 0.1).addcmul_(ones(a), ones(a)).addcdiv(ones(a), ones(a)),
        (X,),
    ),
    "in place": (lambda a, b: a.clone().mul_(b).add_(a, alpha=0.3).relu_(), (X, W)),
    "products": (lambda a, b: (a @ b.transpose(-1, -2)).tanh() @ b, (X, W)),
    "convolutions": (
        lambda x, w, v: F.conv_transpose2d(F.conv2d(x * 0.7, w, padding=1), v, stride=2),
        (X, W[:, :, :3, :3], V[:, :, :3, :3]),
    ),
    "maxima": (lambda x: F.max_pool2d(F.relu(x * 0.3), 3, 2, 1, ceil_mode=True), (X,)),
    "averages": (lambda x: F.adaptive_avg_pool2d(F.avg_pool2d(x, 2, padding=1), (2, 3)), (X,)),
    "interpolation": (lambda x: F.interpolate(x * 0.1, scale_factor=2, mode="bilinear"), (X,)),
    "norms": (lambda x: F.layer_norm(x + 50, (6,)) + F.group_norm(x, 2) * F.normalize(x), (X,)),
    "batch norm": (lambda x: F.batch_norm(x, None, None, training=True), (X + 20,)),
    "losses": (
        lambda x, t, p: F.cross_entropy(x, t, label_smoothing=0.1) + F.huber_loss(x, p)
        + F.binary_cross_entropy_with_logits(x, p) + F.kl_div(x.log_softmax(1), p, reduction="sum"),
        (X, CLASSES, np.clip(POSITIVE / 20, 0, 1)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_single_precision_stays_within_the_bound_and_a_mistake_exceeds_it(name: str) -> None:
    like, arrays = FUNCTIONS[name]
    s = inputs(like, *arrays)
    error_y, errors = analysed(s)
    for truth, got, error in zip(results(s, np.float64), results(s, np.float32), [error_y, *errors], strict=True):
        assert (truth is None) == (error is None)
        if truth is not None and got is not None and error is not None:
            assert np.isfinite(error).all()
            assert (np.abs(got - truth) <= error).all()
            assert (np.abs(truth) * 1e-3 > error).any(), "every element allows a relative error of 1e-3"


def test_the_bound_covers_choices_that_rounding_may_change() -> None:
    x = np.array([[[[1.0, 1.0 + 1e-7, -2.0, 3.0]]]])
    s = inputs(lambda x: F.max_pool2d(x * 0.1, (1, 2)), x)
    _, (dx,) = analysed(s)
    assert dx is not None
    # float32 may round 0.1 and 0.1 + 1e-8 to the same number: either pixel may receive the whole cotangent.
    assert (dx[..., :2] >= 0.1 * np.abs(s.dy[..., :1])).all()
    s = inputs(lambda x: F.max_pool2d(x, (1, 2)), x)  # without rounding, the maximum is certain
    assert np.asarray(analysed(s)[1][0]).max() < 1e-5
    kink = inputs(lambda x: F.relu(x * 0.1 - 0.1), np.array([1.0, 2.0, -1.0]))
    (error,) = analysed(kink)[1]
    assert error is not None
    assert error[0] >= 0.1 * abs(kink.dy[0]) > error[2]


def test_without_a_rule_for_an_operation_the_bound_is_measured() -> None:
    s = inputs(torch.linalg.det, X[0, :3, :3, 0] + 3 * np.eye(3))
    with pytest.raises(NoRule, match="_linalg_det"):
        analysed(s)
    error_y, _ = running(s)
    assert 0 < error_y < 1e-2


def test_an_unbounded_error_is_measured() -> None:
    s = inputs(lambda x: (x * 0.1).amax(1), X)  # two rounded values of each maximum are compared
    with pytest.raises(NoRule, match="the error is unbounded"):
        analysed(s)
    (dx,) = running(s)[1]
    assert dx is not None
    assert 0 < dx.max() < 1e-4


BY_HAND = [name for name, row in ROWS.items() if row.bound not in (running, copies)]


@pytest.mark.parametrize("name", BY_HAND)
def test_a_bound_derived_by_hand_is_tighter(name: str) -> None:
    """Tighter in the geometric mean over all quantities; the ratio of each quantity is printed."""
    row, generator = ROWS[name], random.Random(0)
    ratios: dict[str, list[float]] = {}
    for _ in range(20):
        case = replace(draw_plainly(row.strategy(lane="bound"), generator)[0], dtype="float32")
        expected = expect(row, case, "bound")
        arrays, options = expected.inputs.in_float64()
        s = BoundInputs(row.like, expected.like, arrays, options, expected.dy.astype(np.float64), U, TINY)
        try:
            (hand_y, hand), (own_y, own) = row.bound(s), analysed(s)
        except NoRule:  # torch computes this mode in one operation, which has no rule
            continue
        pairs = [("output", hand_y, own_y), *zip(expected.inputs.names, hand, own, strict=True)]
        for quantity, a, b in pairs:
            if a is not None and b is not None and a.size:
                ratio = float(np.median(b / np.maximum(a, U * TINY)))
                if np.isfinite(ratio):  # the mean over no targets is NaN
                    ratios.setdefault(quantity, []).append(min(ratio, 1e3))  # a hand-derived bound may be 0
    typical = {quantity: float(np.exp(np.mean(np.log(values)))) for quantity, values in ratios.items()}
    print(name, {quantity: f"{value:.3g} times" for quantity, value in typical.items()})
    assert np.mean(np.log([*typical.values()])) > 0
