"""Scores of ±10⁴ in float32: every loss and normalization stays finite and close to PyTorch's in float64."""

from __future__ import annotations

import inspect
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

X = np.array([[1e4, -1e4, 0], [-1e4, -1e4, 1e4], [1e4, 1e4, 1e4]], np.float32)
LOGS = np.minimum(X, 0)
TARGET = np.array([1, 0, 2])
SPREAD = np.full_like(X, 1 / 3)
WEIGHT = np.array([1, 2, 0.5], np.float32)
ZEROS, ONES = np.zeros(3, np.float32), np.ones(3, np.float32)

LOSSES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("cross_entropy", (X, TARGET), {}),
    ("cross_entropy", (X, TARGET), {"label_smoothing": 0.1}),
    ("cross_entropy", (X, TARGET), {"weight": WEIGHT, "ignore_index": 0}),
    ("cross_entropy", (X, SPREAD), {}),
    ("nll_loss", (LOGS, TARGET), {}),
    ("nll_loss", (LOGS, TARGET), {"weight": WEIGHT}),
    ("binary_cross_entropy_with_logits", (X, SPREAD), {}),
    ("binary_cross_entropy_with_logits", (X, SPREAD), {"weight": WEIGHT, "pos_weight": WEIGHT}),
    ("mse_loss", (X, SPREAD), {}),
    ("l1_loss", (X, SPREAD), {}),
    ("smooth_l1_loss", (X, SPREAD), {}),
    ("smooth_l1_loss", (X, SPREAD), {"beta": 0.01}),
    ("huber_loss", (X, SPREAD), {}),
    ("huber_loss", (X, SPREAD), {"delta": 100.0}),
    ("kl_div", (LOGS, SPREAD), {}),
    ("kl_div", (LOGS, LOGS), {"log_target": True}),
]
NORMALIZATIONS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("batch_norm", (X, ZEROS, ONES, WEIGHT, ZEROS), {"training": True}),
    ("batch_norm", (X, ZEROS, ONES, WEIGHT, ZEROS), {}),
    ("batch_norm", (X[:, :, None], ZEROS, ONES), {"training": True}),
    ("layer_norm", (X, (3,), WEIGHT, ZEROS), {}),
    ("group_norm", (X[None], 1, WEIGHT, ZEROS), {}),
    ("group_norm", (X[None], 3), {}),
    ("instance_norm", (X[None],), {}),
    ("instance_norm", (X[None], None, None, WEIGHT, ZEROS), {}),
]
ACTIVATIONS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("softmax", (X,), {"dim": 1}),
    ("log_softmax", (X,), {"dim": 1}),
    ("sigmoid", (X,), {}),
    ("tanh", (X,), {}),
    ("softplus", (X,), {}),
    ("relu", (X,), {}),
    ("leaky_relu", (X,), {}),
    ("hardswish", (X,), {}),
    ("elu", (X,), {}),
    ("silu", (X,), {}),
    ("gelu", (X,), {}),
    ("gelu", (X,), {"approximate": "tanh"}),
]


def test_every_loss_and_normalization_is_covered() -> None:
    modules = (classification_loss, probability_loss, regression_loss, batch_normalization, sample_normalization)
    rows = {name for module in modules for name in module.__all__ if hasattr(F, name)}
    assert rows == {name for name, *_ in LOSSES + NORMALIZATIONS}


def check(name: str, arrays: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Check the result and the gradients: finite, float32, and as close to float64 as rounding allows."""
    y, pullback = getattr(ops, name)(*arrays, **options)
    dy = np.linspace(-1, 2, y.size, dtype=np.float32).reshape(y.shape)
    given = inspect.signature(getattr(ops, name)).bind_partial(*arrays).arguments
    words = [word for word in given if word not in ("num_groups", "normalized_shape")]
    gradients = dict(zip(words, pullback(dy), strict=False))  # None for the omitted arrays follows
    expected, theirs = in_float64(name, given, options, dy)
    for ours, reference in [(y, expected), *((gradients[word], gradient) for word, gradient in theirs.items())]:
        assert ours.dtype == np.float32
        assert np.isfinite(ours).all()
        # A result is a sum of at most n terms of its own size, with a few roundings each.
        allowed = 8 * X.size * np.finfo(np.float32).eps / 2 * max(1.0, np.abs(reference).max())
        np.testing.assert_allclose(ours, reference, rtol=0, atol=allowed)


def in_float64(name: str, given: dict[str, Any], options: dict[str, Any], dy: Any) -> tuple[Any, dict[str, Any]]:
    """PyTorch's result and gradients."""

    def tensor(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return torch.tensor(value, dtype=torch.int64 if value.dtype.kind == "i" else torch.float64)

    tensors = {word: tensor(value) for word, value in given.items()}
    floats = {
        word: value.requires_grad_()
        for word, value in tensors.items()
        if isinstance(value, torch.Tensor) and value.is_floating_point() and not word.startswith("running")
    }
    y = getattr(F, name)(**tensors, **{word: tensor(value) for word, value in options.items()})
    y.backward(torch.tensor(dy, dtype=torch.float64))
    return y.detach().numpy(), {word: value.grad.numpy() for word, value in floats.items()}


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(("name", "arrays", "options"), LOSSES)
def test_losses(name: str, arrays: tuple[Any, ...], options: dict[str, Any], reduction: str) -> None:
    check(name, arrays, options | {"reduction": reduction})


@pytest.mark.parametrize(("name", "arrays", "options"), NORMALIZATIONS)
def test_normalizations(name: str, arrays: tuple[Any, ...], options: dict[str, Any]) -> None:
    check(name, arrays, options)


@pytest.mark.parametrize(("name", "arrays", "options"), ACTIVATIONS)
def test_activations(name: str, arrays: tuple[Any, ...], options: dict[str, Any]) -> None:
    check(name, arrays, options)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div"])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_losses_of_single_numbers_keep_float32(name: str, reduction: str) -> None:
    y, pullback = getattr(ops, name)(np.array(2, np.float32), np.array(0.5, np.float32), reduction=reduction)
    assert y.dtype == np.float32
    assert {gradient.dtype for gradient in pullback(np.ones((), np.float32))} == {np.dtype(np.float32)}
