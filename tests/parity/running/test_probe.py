"""What an implementation does not support is found out by calling it, and never hides a mistake."""

import math
from typing import Any

import pytest
import torch

import parity


def scalar_tanh(x: Any) -> Any:
    if x.ndim:
        raise ValueError("expected one number")
    return math.tanh(x), lambda dy: dy * (1 - math.tanh(x) ** 2)


class ScalarSigmoid:
    def forward(self, x: Any) -> Any:
        self.y = 1 / (1 + math.exp(-x))
        return self.y

    def backward(self, dout: Any) -> Any:
        return dout * self.y * (1 - self.y)


@pytest.mark.usefixtures("unexplained")
@pytest.mark.parametrize(
    ("row", "layer", "error"),
    [("tanh", scalar_tanh, "expected one number"), ("sigmoid", ScalarSigmoid, "only 0-dimensional arrays")],
)
def test_a_layer_that_raises_for_every_array_does_not_agree(row: str, layer: Any, error: str) -> None:
    report = parity.check(row, layer, examples=20)
    assert not report.ok
    assert error in str(report.failures[0].diagnosis)
    assert parity.check(row, layer, examples=5, supports={"rank": 0}).ok


def tanh(x: Any) -> Any:
    return torch.tanh(x)


def tanh_backward(dout: Any, x: Any) -> Any:
    return dout * (1 - torch.tanh(x))


def relu(x: Any) -> Any:
    return x.clamp(min=0), lambda dy: dy * (x < 0)


def relu_backward(dout: Any, x: Any) -> Any:
    return dout * (x > 0)


@pytest.mark.usefixtures("unexplained")
@pytest.mark.parametrize("layer", [tanh, relu])
def test_autograd_or_a_helper_does_not_replace_the_backward_of_the_author(layer: Any) -> None:
    report = parity.check(layer.__name__, layer, examples=10, lanes=["bound"])
    assert [failure.quantity for failure in report.failures] == ["grad_input"]
