"""Layers that update their own parameters, and implementations that raise what is no Exception."""

import numpy as np
import pytest

import parity


class Updating:
    """The step inside the backward."""

    def __init__(self, n_in, n_out):  # type: ignore[no-untyped-def]
        self.weights, self.bias = np.random.randn(n_in, n_out), np.zeros(n_out)

    def forward(self, x):  # type: ignore[no-untyped-def]
        self.x = x
        return x @ self.weights + self.bias

    def backward(self, grad, learning_rate):  # type: ignore[no-untyped-def]
        dx = grad @ self.weights.T
        self.weights -= learning_rate * (self.x.T @ grad)
        self.bias -= learning_rate * grad.sum(axis=0)
        return dx


class StepTooEarly(Updating):
    """The input gradient is computed with weights that are already updated."""

    def backward(self, grad, learning_rate):  # type: ignore[no-untyped-def]
        super().backward(grad, learning_rate)  # type: ignore[no-untyped-call]  # written as users write
        return grad @ self.weights.T


class NoUpdate(Updating):
    """Its backward neither keeps the gradients nor updates the parameters."""

    def backward(self, grad, learning_rate):  # type: ignore[no-untyped-def]
        return grad @ self.weights.T


def test_gradients_are_read_from_the_update_exactly() -> None:
    report = parity.check("linear", Updating, examples=15)
    assert report.ok, report
    assert {"grad_weight", "grad_bias"} <= report.rows[0].quantities.keys()


def test_a_step_before_the_input_gradient_is_found() -> None:
    (failure,) = parity.check("linear", StepTooEarly, examples=15).failures
    assert failure.quantity == "grad_input"


def test_a_layer_without_parameter_gradients_is_not_called_right() -> None:
    report = parity.check("linear", NoUpdate, examples=10)
    assert {failure.quantity for failure in report.failures} == {"grad_weight", "grad_bias"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, BaseException])
def test_what_the_implementation_raises_itself_is_its_failure(error: type[BaseException]) -> None:
    def relu(x):  # type: ignore[no-untyped-def]
        raise error("stop")

    (failure,) = parity.check("relu", relu, examples=3, lanes=["bound"]).failures
    assert error.__name__ in failure.diagnosis


def test_swallowed_keywords_are_not_supported_options() -> None:
    def relu(x, **kwargs):  # type: ignore[no-untyped-def]
        return np.maximum(x, 0), lambda dy: dy * (x > 0)

    def leaky(x, negative_slope=0.01, **kwargs):  # type: ignore[no-untyped-def]
        return np.where(x > 0, x, negative_slope * x), lambda dy: np.where(x > 0, dy, negative_slope * dy)

    assert parity.check("relu", relu, examples=5, lanes=["bound"]).ok
    assert parity.check("leaky_relu", leaky, examples=5, lanes=["bound"]).ok
