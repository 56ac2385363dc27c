"""Adagrad."""

from collections.abc import Mapping

import numpy as np

from numpy_cnn.arguments import Array
from numpy_cnn.optim.base import Optimizer, first_state


class Adagrad(Optimizer):
    """Steps divided by the root of all squared gradients so far, as `torch.optim.Adagrad`.

        g ← g + λ·w                                   weight decay λ
        s ← s + g²
        w ← w − lr / (1 + (t−1)·η) · g / (√s + ε)

    t counts the steps of each parameter, from 1.

    Args:
        parameters: {name: array}, changed in place by `step`.
        lr: step size.
        lr_decay: η, the decay rate of the step size.
        weight_decay: λ.
        initial_accumulator_value: s before the first step.
        eps: ε, added outside of the root.
        maximize: climb instead of descend: g ← −g first.

    Raises:
        ValueError: a setting is outside its range.

    Source: J. Duchi, E. Hazan and Y. Singer, Adaptive subgradient methods for online learning and stochastic
    optimization (2011).
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        maximize: bool = False,
    ) -> None:
        initial = {"initial_accumulator_value": initial_accumulator_value}
        super().__init__(parameters, lr, weight_decay, maximize, lr_decay=lr_decay, eps=eps, **initial)
        self.lr_decay, self.eps, self.initial_accumulator_value = lr_decay, eps, initial_accumulator_value

    def step(self, gradients: Mapping[str, Array | None]) -> None:
        """Update every parameter that has a gradient; the gradients are not changed."""
        for name, w, g in self.directions(gradients):
            if name not in self.state:
                self.state[name] = first_state(w, "sum", value=self.initial_accumulator_value)
            state = self.state[name]
            state["step"] += 1
            s = state["sum"]
            s += g * g
            lr = self.lr / (1 + (float(state["step"]) - 1) * self.lr_decay)
            w -= lr * g / (np.sqrt(s) + self.eps)
