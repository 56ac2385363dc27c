"""Omitted options: a default that differs from torch's is reported."""

from typing import Any

import numpy as np
import pytest

import parity
from numpy_cnn import ops
from parity.lanes.facts import DefaultDiffers
from parity.report import Report

pytestmark = pytest.mark.usefixtures("named")

HOW: Any = {"examples": 100, "lanes": ["structure"]}


def defaults(report: Report) -> set[str]:
    """The options that the report lists with another default."""
    assert report.ok, report
    return {note.fact.option for note in report.notes if isinstance(note.fact, DefaultDiffers)}


def pool(
    x: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, ceil_mode: Any = False
) -> Any:
    return ops.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode)


def norm(x: Any, weight: Any = None, bias: Any = None, *, normalized_shape: Any, eps: float = 1e-3) -> Any:
    return ops.layer_norm(x, normalized_shape, weight, bias, eps)


def loss(x: Any, t: Any, reduction: str = "sum") -> Any:
    return ops.mse_loss(x, t, reduction)


@pytest.mark.parametrize(
    ("row", "implementation", "option"),
    [("max_pool2d", pool, "stride"), ("layer_norm", norm, "eps"), ("mse_loss", loss, "reduction")],
)
def test_another_default_is_a_note(row: str, implementation: Any, option: str) -> None:
    report = parity.check(row, implementation, **HOW)
    assert defaults(report) == {option}
    assert f"without {option}, whose default in torch is" in " ".join(str(report).split())
    assert not defaults(parity.check(row, implementation, accept=["default"], **HOW))
    assert not parity.check(row, implementation, strict=True, **HOW).ok


@pytest.mark.parametrize("row", ["conv2d", "max_pool2d", "avg_pool2d", "layer_norm", "huber_loss", "elu"])
def test_torchs_defaults_are_not_reported(row: str) -> None:
    assert parity.check(row, **HOW).ok


def test_an_option_without_a_default_is_always_passed() -> None:
    def elu(x: Any, alpha: float) -> Any:
        y = np.where(x > 0, x, alpha * np.expm1(x))
        return y.astype(x.dtype), lambda dy: (np.where(x > 0, dy, dy * alpha * np.exp(x)).astype(x.dtype),)

    assert not defaults(parity.check("elu", elu, **HOW))


def test_a_wrong_gradient_is_not_reported_as_a_default() -> None:
    def wrong(x: Any, alpha: float = 1.0) -> Any:
        y, pullback = ops.elu(x, alpha)
        return y, lambda dy: (2 * pullback(dy)[0],)

    report = parity.check("elu", wrong, **HOW)
    assert not report.ok
    assert not any(isinstance(note.fact, DefaultDiffers) for note in report.notes)


class Momentum:
    """SGD, whose default momentum is not torch's 0."""

    def __init__(self, params: Any, lr: float = 0.01, momentum: float = 0.9) -> None:
        self.params, self.lr, self.momentum = params, lr, momentum
        self.buffers = {name: np.zeros_like(array) for name, array in params.items()}

    def step(self, gradients: Any) -> None:
        for name, gradient in gradients.items():
            if gradient is not None:
                self.buffers[name] = gradient.dtype.type(self.momentum) * self.buffers[name] + gradient
                self.params[name] -= gradient.dtype.type(self.lr) * self.buffers[name]


class Plain(Momentum):
    def __init__(self, params: Any, lr: float = 0.01, momentum: float = 0.0) -> None:
        super().__init__(params, lr, momentum)


@pytest.mark.parametrize(("optimizer", "options"), [(Momentum, {"momentum"}), (Plain, set())])
def test_a_setting_of_an_optimizer_with_another_default(optimizer: Any, options: set[str]) -> None:
    assert defaults(parity.check("SGD", optimizer, **HOW)) == options


class RMSprop:
    """RMSprop with torch's defaults; an omitted alpha is not the learning rate."""

    def __init__(self, params: Any, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8) -> None:
        self.params, self.lr, self.alpha, self.eps = params, lr, alpha, eps
        self.squares = {name: np.zeros_like(array) for name, array in params.items()}

    def step(self, gradients: Any) -> None:
        for name, g in gradients.items():
            if g is not None:
                kept = g.dtype.type(self.alpha)
                self.squares[name] = kept * self.squares[name] + (1 - kept) * g * g
                root = np.sqrt(self.squares[name]) + g.dtype.type(self.eps)
                self.params[name] -= g.dtype.type(self.lr) * g / root


def test_a_setting_whose_name_others_use_for_the_learning_rate() -> None:
    assert defaults(parity.check("RMSprop", RMSprop, **HOW)) == set()
