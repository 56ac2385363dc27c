"""Schedules and gradient clipping are compared with torch's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from numpy_cnn import clipping
from numpy_cnn.common.spec import schedules

LR, STEPS = 0.1, 60
EPS = float(np.finfo(np.float64).eps)
SCHEDULES: dict[str, tuple[Callable[[int], float], Callable[[Any], Any]]] = {
    "step": (
        lambda t: schedules.step(LR, t, 7, 0.5),
        lambda o: torch.optim.lr_scheduler.StepLR(o, 7, 0.5),
    ),
    "cosine": (
        lambda t: schedules.cosine(LR, t, STEPS, 0.01),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS, 0.01),
    ),
    "warm_up": (
        lambda t: schedules.warm_up(LR, t, 10, 0.25),
        lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.25, 1.0, 10),
    ),
    "one_cycle": (
        lambda t: schedules.one_cycle(LR, t, STEPS),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, LR, STEPS),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_step_sizes_are_torchs(name: str) -> None:
    ours, make = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR, momentum=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns because the optimizer takes no steps
        scheduler = make(optimizer)
        for t in range(STEPS):
            # torch updates the rate recursively; the closed form differs by one or two roundings per step.
            np.testing.assert_allclose(ours(t), optimizer.param_groups[0]["lr"], rtol=4 * (t + 4) * EPS, atol=EPS)
            if t < STEPS - 1:
                scheduler.step()


def gradients() -> dict[str, Any]:
    draw = np.random.default_rng(0).standard_normal
    return {"a": draw((3, 4)), "none": None, "b": draw(5) * 10}


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, np.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clipping_by_norm_is_torchs(norm_type: float, max_norm: float) -> None:
    given = gradients()
    clipped, norm = clipping.clip_grad_norm(given, max_norm, norm_type)
    tensors = [torch.zeros(g.shape, dtype=torch.float64) for g in given.values() if g is not None]
    for tensor, g in zip(tensors, (g for g in given.values() if g is not None), strict=True):
        tensor.grad = torch.from_numpy(g.copy())
    expected = torch.nn.utils.clip_grad_norm_(tensors, max_norm, norm_type)
    np.testing.assert_allclose(norm, expected.item(), rtol=64 * EPS)
    for name, tensor in zip(("a", "b"), tensors, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(clipped[name], tensor.grad.numpy(), rtol=64 * EPS)
        np.testing.assert_array_equal(given[name], gradients()[name])
    assert clipped["none"] is None


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("norm_type", [2.0, 1.0, "inf"])
def test_a_norm_that_is_not_finite_is_treated_as_by_torch(special: float, norm_type: Any) -> None:
    given = {"a": np.array([1.0, special]), "b": np.array([-2.0, 0.0])}
    clipped, norm = clipping.clip_grad_norm(given, 1.0, norm_type)
    tensors = [torch.zeros(2, dtype=torch.float64) for _ in given]
    for tensor, g in zip(tensors, given.values(), strict=True):
        tensor.grad = torch.from_numpy(g.copy())
    np.testing.assert_equal(norm, torch.nn.utils.clip_grad_norm_(tensors, 1.0, norm_type).item())
    for tensor, g in zip(tensors, clipped.values(), strict=True):
        assert tensor.grad is not None
        np.testing.assert_array_equal(g, tensor.grad.numpy())
    with pytest.raises(ValueError, match=r"the norm of the gradients is (nan|inf)"):
        clipping.clip_grad_norm(given, 1.0, norm_type, error_if_nonfinite=True)


def test_clipping_keeps_the_dtype() -> None:
    given = {"a": np.float32([1, -2])}
    assert clipping.clip_grad_value(given, np.float64(0.5))["a"].dtype == np.float32
    assert clipping.clip_grad_norm(given, np.float64(0.5))[0]["a"].dtype == np.float32


def test_clipping_by_value_limits_each_number() -> None:
    clipped = clipping.clip_grad_value(gradients(), 0.5)
    assert clipped["none"] is None
    for name in ("a", "b"):
        np.testing.assert_array_equal(clipped[name], np.clip(gradients()[name], -0.5, 0.5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clipping.clip_grad_norm({}, -1.0), "max_norm must be at least 0"),
        (lambda: clipping.clip_grad_norm({}, 1.0, 0.0), "norm_type above 0, got 1.0 and 0.0"),
        (lambda: clipping.clip_grad_value({}, -1.0), "must not be negative, got -1.0"),
    ],
)
def test_limits_out_of_range(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
