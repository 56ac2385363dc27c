"""Second derivatives: a pullback, as an op of x and dy, is checked against torch's double backward."""

from typing import Any

import numpy as np
import torch

import parity


def gradient(x: torch.Tensor, dy: torch.Tensor) -> torch.Tensor:
    """The gradient of the sigmoid by autograd, which can be differentiated again."""
    return torch.autograd.grad(torch.sigmoid(x), x, dy, create_graph=True)[0]


def sigmoid_backward(x: Any, dy: Any) -> Any:
    """dx = dy·s·(1 − s) and its pullback v → (v·dy·s·(1 − s)·(1 − 2s), v·s·(1 − s))."""
    s = 1 / (1 + np.exp(-x))
    slope = s * (1 - s)
    return dy * slope, lambda v: (v * dy * slope * (1 - 2 * s), v * slope)


HOW: Any = {"like": gradient, "shapes": "n m, n m", "examples": 40}


def test_a_pullback_with_a_pullback_is_checked_against_double_backward() -> None:
    assert parity.check("sigmoid_backward", sigmoid_backward, **HOW).ok


def test_a_wrong_second_derivative_fails() -> None:
    def wrong(x: Any, dy: Any) -> Any:
        dx, pullback = sigmoid_backward(x, dy)
        return dx, lambda v: (-pullback(v)[0], pullback(v)[1])

    failures = parity.check("sigmoid_backward", wrong, **HOW).failures
    assert {failure.quantity for failure in failures} == {"grad_input"}
