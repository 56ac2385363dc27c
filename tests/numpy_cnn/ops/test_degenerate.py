"""Batches without variance, without images and without targets give what PyTorch gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from numpy_cnn import ops

Array = np.ndarray[Any, Any]
NORMS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "batch_norm": (
        lambda x, w: ops.batch_norm(x, np.zeros(4, np.float32), np.ones(4, np.float32), w, training=True),
        lambda x, w: F.batch_norm(x, torch.zeros(4), torch.ones(4), w, training=True),
    ),
    "layer_norm": (
        lambda x, w: ops.layer_norm(x, normalized_shape=(4,), weight=w),
        lambda x, w: F.layer_norm(x, (4,), w),
    ),
    "group_norm": (
        lambda x, w: ops.group_norm(x, num_groups=2, weight=w),
        lambda x, w: F.group_norm(x, 2, w),
    ),
}


def both(name: str, x: Array, dy: Array) -> tuple[list[Array], list[Array]]:
    """Output and gradients by numpy_cnn and by PyTorch."""
    weight = np.array([1, 2, -1, 3], np.float32)
    ours, theirs = NORMS[name]
    y, pullback = ours(x, weight)
    gradients = [g for g in pullback(dy) if g is not None]
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, weight)]
    t = theirs(*tensors)
    t.backward(torch.tensor(dy))
    return [y, *gradients], [a.detach().numpy() for a in (t, *(t.grad for t in tensors))]


@pytest.mark.parametrize("name", NORMS)
def test_a_batch_without_variance(name: str) -> None:
    """Every number is the mean, so y is 0; 1/√eps is finite, and so are the gradients."""
    ours, _ = both(name, np.full((6, 4), 3, np.float32), np.eye(6, 4, dtype=np.float32))
    np.testing.assert_array_equal(ours[0], np.zeros((6, 4), np.float32))
    assert all(np.isfinite(gradient).all() for gradient in ours[1:])


@pytest.mark.parametrize("name", NORMS)
def test_a_batch_without_images(name: str) -> None:
    ours, theirs = both(name, np.zeros((0, 4), np.float32), np.zeros((0, 4), np.float32))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_group_norm_without_positions_has_the_weight_gradient_of_an_empty_sum() -> None:
    """PyTorch returns NaN there: it multiplies 0 by the reciprocal of the variance of nothing."""
    x = np.zeros((2, 4, 0), np.float32)
    ours, theirs = both("group_norm", x, x)
    np.testing.assert_array_equal(ours[2], np.zeros(4, np.float32))
    assert np.isnan(theirs[2]).all()


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("samples", [0, 3], ids=["empty", "all ignored"])
def test_losses_without_a_target(name: str, reduction: str, samples: int) -> None:
    """The mean of nothing is NaN, and its gradient is the one that PyTorch returns."""
    x = np.linspace(-2, -1, 2 * samples, dtype=np.float32).reshape(samples, 2)
    target = np.full(samples, -100)
    y, pullback = getattr(ops, name)(x, target, reduction=reduction)
    dy = np.ones_like(y)
    tensor = torch.tensor(x, requires_grad=True)
    t = getattr(F, name)(tensor, torch.tensor(target), reduction=reduction)
    t.backward(torch.tensor(dy))
    np.testing.assert_array_equal(y, t.detach().numpy())
    np.testing.assert_array_equal(pullback(dy)[0], tensor.grad.numpy())
