"""Three layers as people write them, and one with a mistake."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def relu(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    """A function that returns its result and its pullback."""
    return np.maximum(x, 0), lambda dy: np.where(x > 0, dy, 0)


class Linear:
    """A class that creates its own parameters."""

    def __init__(self, in_features: int, out_features: int) -> None:
        self.weight = np.zeros((out_features, in_features))
        self.bias = np.zeros(out_features)

    def forward(self, x: Array) -> Array:
        self.x = x
        y: Array = x @ self.weight.T + self.bias
        return y

    def backward(self, dy: Array) -> Array:
        self.grad_weight = dy.T @ self.x
        self.grad_bias = dy.sum(axis=0)
        dx: Array = dy @ self.weight
        return dx


def softmax_loss(x: Array, y: Array) -> tuple[float, Array]:
    """A loss in the form of courses: the mean and its gradient."""
    shifted = x - x.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    dx = np.exp(log_probabilities)
    dx[np.arange(len(x)), y] -= 1
    return -float(log_probabilities[np.arange(len(x)), y].mean()), dx / len(x)


class Transposed(Linear):
    """The gradient of the weight is transposed, then reshaped to fit."""

    def backward(self, dy: Array) -> Array:
        dx = super().backward(dy)
        self.grad_weight = (self.x.T @ dy).reshape(self.weight.shape)
        return dx
