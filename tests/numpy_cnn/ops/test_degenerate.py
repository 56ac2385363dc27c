"""Batches without variance, without images and without targets give what PyTorch gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from numpy_cnn import ops
from numpy_cnn.ops import (
    batch_normalization,
    classification_loss,
    probability_loss,
    regression_loss,
    sample_normalization,
)

Array = np.ndarray[Any, Any]
NORMS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "batch_norm": (
        lambda x, w: ops.batch_norm(x, np.zeros(4, np.float32), np.ones(4, np.float32), w, training=True),
        lambda x, w: F.batch_norm(
            x, torch.zeros(4, dtype=x.dtype), torch.ones(4, dtype=x.dtype), w, training=True
        ),
    ),
    "layer_norm": (
        lambda x, w: ops.layer_norm(x, normalized_shape=(4,), weight=w),
        lambda x, w: F.layer_norm(x, (4,), w),
    ),
    "group_norm": (
        lambda x, w: ops.group_norm(x, num_groups=2, weight=w),
        lambda x, w: F.group_norm(x, 2, w),
    ),
    "instance_norm": (
        lambda x, w: ops.instance_norm(x, weight=w),
        lambda x, w: F.instance_norm(x, weight=w),
    ),
}
LOSSES: dict[str, Callable[[int], tuple[Array, ...]]] = {
    "cross_entropy": lambda n: (logits(n), np.full(n, -100)),
    "nll_loss": lambda n: (logits(n), np.full(n, -100)),
    "mse_loss": lambda n: (logits(n), logits(n)),
    "l1_loss": lambda n: (logits(n), logits(n)),
    "smooth_l1_loss": lambda n: (logits(n), logits(n)),
    "huber_loss": lambda n: (logits(n), logits(n)),
    "binary_cross_entropy_with_logits": lambda n: (logits(n), logits(n)),
    "kl_div": lambda n: (logits(n), logits(n)),
}


def logits(samples: int) -> Array:
    """Log-probabilities, (samples, 2)."""
    return np.linspace(-2, -1, 2 * samples, dtype=np.float32).reshape(samples, 2)


def both(name: str, x: Array, dy: Array, dtype: torch.dtype = torch.float32) -> tuple[list[Array], list[Array]]:
    """Output and gradients by numpy_cnn, and by PyTorch in `dtype`."""
    weight = np.array([1, 2, -1, 3], np.float32)
    ours, theirs = NORMS[name]
    y, pullback = ours(x, weight)
    gradients = [g for g in pullback(dy) if g is not None]
    tensors = [torch.tensor(a, dtype=dtype, requires_grad=True) for a in (x, weight)]
    t = theirs(*tensors)
    t.backward(torch.tensor(dy, dtype=dtype))
    return [y, *gradients], [a.detach().numpy() for a in (t, *(t.grad for t in tensors))]


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("value", [3.0, -1e4])
def test_a_batch_without_variance(name: str, value: float) -> None:
    """Every number is the mean, so y is 0 and every gradient is finite: at most w · dy / √eps."""
    shape = (6, 4, 2) if name == "instance_norm" else (6, 4)
    dy = np.linspace(-1, 2, math.prod(shape), dtype=np.float32).reshape(shape)
    # In float32 PyTorch's own mean of a large constant is not that constant.
    ours, theirs = both(name, np.full(shape, value, np.float32), dy, torch.float64)
    np.testing.assert_array_equal(ours[0], np.zeros_like(dy))
    largest = 3 * 2 / np.sqrt(1e-5)  # of w, of dy, of 1/√(σ² + eps)
    for a, b in zip(ours, theirs, strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=0, atol=8 * dy.size * np.finfo(np.float32).eps / 2 * largest)


@pytest.mark.parametrize("name", [name for name in NORMS if name != "instance_norm"])
def test_a_batch_without_images(name: str) -> None:
    ours, theirs = both(name, np.zeros((0, 4), np.float32), np.zeros((0, 4), np.float32))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_instance_norm_without_images() -> None:
    """PyTorch raises an IndexError there if there is a weight; its other normalizations do not."""
    x = np.zeros((0, 4, 2), np.float32)
    y, pullback = ops.instance_norm(x, weight=np.ones(4, np.float32))
    dx, *_, dw, _ = pullback(y)
    assert y.shape == dx.shape == x.shape
    np.testing.assert_array_equal(dw, np.zeros(4, np.float32))
    with pytest.raises(IndexError):
        F.instance_norm(torch.tensor(x), weight=torch.ones(4))


def test_group_norm_without_positions_has_the_weight_gradient_of_an_empty_sum() -> None:
    """PyTorch returns NaN there: it multiplies 0 by the reciprocal of the variance of nothing."""
    x = np.zeros((2, 4, 0), np.float32)
    ours, theirs = both("group_norm", x, x)
    np.testing.assert_array_equal(ours[2], np.zeros(4, np.float32))
    assert np.isnan(theirs[2]).all()


def like_torch(name: str, arrays: tuple[Array, ...], **options: Any) -> None:
    """Check that the loss and its gradient equal PyTorch's, NaN and zeros included."""
    y, pullback = getattr(ops, name)(*arrays, **options)
    dy = np.ones_like(y)
    tensor = torch.tensor(arrays[0], requires_grad=True)
    others = {word: torch.tensor(v) if isinstance(v, np.ndarray) else v for word, v in options.items()}
    t = getattr(F, name)(tensor, *map(torch.tensor, arrays[1:]), **others)
    t.backward(torch.tensor(dy))
    np.testing.assert_array_equal(y, t.detach().numpy())
    np.testing.assert_array_equal(pullback(dy)[0], tensor.grad.numpy())


def test_every_loss_and_normalization_is_covered() -> None:
    modules = (classification_loss, probability_loss, regression_loss, batch_normalization, sample_normalization)
    rows = {name for module in modules for name in module.__all__ if hasattr(F, name)}
    assert rows == {*LOSSES, *NORMS}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_losses_of_an_empty_batch(name: str, reduction: str) -> None:
    """The mean of nothing is NaN, and its gradient is the one that PyTorch returns."""
    like_torch(name, LOSSES[name](0), reduction=reduction)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("weight", [None, np.array([1, 0], np.float32)], ids=["unweighted", "weighted"])
def test_losses_of_ignored_targets(name: str, reduction: str, weight: Array | None) -> None:
    like_torch(name, LOSSES[name](3), reduction=reduction, weight=weight)
    planes = logits(12).reshape(3, 2, 2, 2)
    like_torch(name, (planes, np.full((3, 2, 2), 1)), reduction=reduction, weight=weight, ignore_index=1)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_a_smoothed_loss_of_ignored_targets(reduction: str) -> None:
    like_torch("cross_entropy", LOSSES["cross_entropy"](3), reduction=reduction, label_smoothing=0.1)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_a_mean_of_targets_that_have_no_weight(name: str) -> None:
    """The mean divides by the sum of the weights, 0."""
    like_torch(name, (logits(3), np.full(3, 1)), weight=np.array([1, 0], np.float32))
