"""Scores of ±10⁴ in float32: losses and gradients stay finite, and no warning is raised."""

from typing import Any

import numpy as np
import pytest

from numpy_cnn import ops

X = np.array([[1e4, -1e4, 0], [-1e4, -1e4, 1e4], [1e4, 1e4, 1e4]], np.float32)
TARGET = np.array([1, 0, 2])
SPREAD = np.full_like(X, 1 / 3)


@pytest.mark.parametrize(
    ("name", "arrays", "options"),
    [
        ("softmax", (X,), {"dim": 1}),
        ("log_softmax", (X,), {"dim": 1}),
        ("cross_entropy", (X, TARGET), {}),
        ("cross_entropy", (X, TARGET), {"label_smoothing": 0.1}),
        ("cross_entropy", (X, SPREAD), {}),
        ("binary_cross_entropy_with_logits", (X, SPREAD), {"pos_weight": np.full(3, 2, np.float32)}),
        ("mse_loss", (X, SPREAD), {}),
        ("l1_loss", (X, SPREAD), {}),
        ("smooth_l1_loss", (X, SPREAD), {}),
        ("huber_loss", (X, SPREAD), {}),
        ("kl_div", (X, SPREAD), {"reduction": "batchmean"}),
        ("sigmoid", (X,), {}),
        ("tanh", (X,), {}),
        ("softplus", (X,), {}),
        ("elu", (X,), {}),
        ("silu", (X,), {}),
        ("gelu", (X,), {}),
        ("gelu", (X,), {"approximate": "tanh"}),
    ],
)
def test_losses_and_gradients_are_finite(name: str, arrays: tuple[Any, ...], options: dict[str, Any]) -> None:
    y, pullback = getattr(ops, name)(*arrays, **options)
    assert np.isfinite(y).all()
    for gradient in pullback(np.ones_like(y)):
        assert gradient is None or (np.isfinite(gradient).all() and gradient.dtype == np.float32)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div"])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_losses_of_single_numbers_keep_float32(name: str, reduction: str) -> None:
    y, pullback = getattr(ops, name)(np.array(2, np.float32), np.array(0.5, np.float32), reduction=reduction)
    assert y.dtype == np.float32
    assert {gradient.dtype for gradient in pullback(np.ones((), np.float32))} == {np.dtype(np.float32)}
