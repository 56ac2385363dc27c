"""Each step passes its gradients in the same memory, which reveals a buffer that aliases a gradient."""

from typing import Any

import numpy as np
import pytest

import parity
from parity.lanes.facts import ArgumentOverwritten
from parity.subjects.optimizer import of_rule


class Momentum:
    """Momentum whose buffer starts as the gradient itself."""

    def __init__(self, params: Any, lr: float, momentum: float) -> None:
        self.params, self.lr, self.momentum, self.buffers = params, lr, momentum, dict[str, Any]()

    def first(self, gradient: Any) -> Any:
        return gradient

    def step(self, grads: Any) -> None:
        for name, g in grads.items():
            b = self.buffers.get(name)
            self.buffers[name] = self.first(g) if b is None else self.momentum * b + g
            self.params[name] -= self.lr * self.buffers[name]


class Copying(Momentum):
    """Momentum whose buffer starts as a copy."""

    def first(self, gradient: Any) -> Any:
        return gradient.copy()


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize(("kind", "right"), [(Momentum, False), (Copying, True)])
def test_a_buffer_that_aliases_a_gradient_is_found(kind: type, right: bool) -> None:
    assert parity.check("SGD", kind, examples=60, seed=0).ok is right


class Decaying(Momentum):
    """Momentum that adds the weight decay to the gradient in place."""

    def __init__(self, params: Any, lr: float, weight_decay: float) -> None:
        self.params, self.lr, self.weight_decay = params, lr, weight_decay

    def step(self, grads: Any) -> None:
        for name, g in grads.items():
            if self.weight_decay:
                g += self.weight_decay * self.params[name]
            self.params[name] -= self.lr * g


class DecayingCopy(Decaying):
    """Adds the weight decay to copies of the gradients."""

    def step(self, grads: Any) -> None:
        super().step({name: g.copy() for name, g in grads.items()})


def test_a_step_that_writes_to_the_gradient_is_found() -> None:
    report = parity.check("SGD", Decaying, examples=40, lanes=["structure"])
    assert [failure.difference.fact for failure in report.failures] == [
        ArgumentOverwritten("gradient0", "forward")
    ]
    assert parity.check("SGD", DecayingCopy, examples=40, lanes=["structure"]).ok


class Adagrad:
    """Adagrad with torch's names for all settings; counts steps from 0, as torch does, or from 1."""

    first = 0

    def __init__(
        self,
        params: Any,
        lr: float = 0.01,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        maximize: bool = False,
    ) -> None:
        self.params, self.lr, self.lr_decay, self.eps = params, lr, lr_decay, eps
        self.weight_decay, self.sign = weight_decay, -1 if maximize else 1
        self.steps = dict.fromkeys(params, self.first)
        self.sums = {name: np.full_like(w, initial_accumulator_value) for name, w in params.items()}

    def step(self, grads: Any) -> None:
        for name, gradient in grads.items():
            if gradient is None:
                continue
            g = self.sign * gradient + self.weight_decay * self.params[name]
            lr = self.lr / (1 + self.steps[name] * self.lr_decay)
            self.steps[name] += 1
            self.sums[name] += g * g
            self.params[name] -= lr * g / (np.sqrt(self.sums[name]) + self.eps)


class AdagradFromOne(Adagrad):
    first = 1


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize(("kind", "right"), [(Adagrad, True), (AdagradFromOne, False)])
def test_an_optimizer_receives_settings_by_torchs_names(kind: type, right: bool) -> None:
    report = parity.check("Adagrad", kind, examples=30, lanes=["bound"])
    assert report.cases > 0
    assert report.ok is right


def test_an_optimizer_without_a_step_size_cannot_be_checked() -> None:
    class NoRate:
        def __init__(self, params: Any) -> None:
            self.params = params

        def step(self, grads: Any) -> None:
            for parameter, gradient in zip(self.params, grads, strict=True):
                parameter -= 0.1 * gradient

    row = parity.check("SGD", NoRate, examples=5, lanes=["bound"]).rows[0]
    assert row.verdict == "not checked"
    assert row.notes[-1].endswith("the last one: it has no parameter for lr")


def test_a_rule_may_return_the_parameter_alone() -> None:
    def sgd(w: Any, dw: Any, config: Any) -> Any:
        return w - config["learning_rate"] * dw

    def with_config(w: Any, dw: Any, config: Any) -> Any:
        return sgd(w, dw, config), config

    parameter, gradients = np.array([1.0, 2.0]), [np.array([2.0, 4.0]), np.array([4.0, 0.0])]
    for rule in (sgd, with_config):
        trajectory, _ = of_rule(rule)(parameter, *gradients, lr=0.5)
        assert trajectory.tolist() == [[0, 0], [-2, 0]]
