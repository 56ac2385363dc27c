"""Gradients come in the same memory at each step, so that a buffer that is a gradient shows."""

from typing import Any

import pytest

import parity


class Momentum:
    """Its buffer begins as the gradient itself."""

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
    """Its buffer begins as a copy."""

    def first(self, gradient: Any) -> Any:
        return gradient.copy()


@pytest.mark.parametrize(("kind", "right"), [(Momentum, False), (Copying, True)])
def test_a_buffer_that_is_a_gradient_is_found(kind: type, right: bool) -> None:
    assert parity.check("SGD", kind, examples=60, seed=0).ok is right
