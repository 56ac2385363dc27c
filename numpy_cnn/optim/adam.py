"""Adam."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array
from numpy_cnn.optim.base import Optimizer, first_state
from numpy_cnn.optim.groups import Group


class Adam(Optimizer):
    """Adaptive moment estimation, as `torch.optim.Adam`.

        g ← g + λ·w                                   weight decay λ
        m ← β₁·m + (1−β₁)·g
        v ← β₂·v + (1−β₂)·g²
        w ← w − lr/(1−β₁ᵗ) · m / (√v / √(1−β₂ᵗ) + ε)

    t counts the steps of each parameter, from 1. With `amsgrad` v is replaced by the largest v so far, taken
    before the bias correction.

    Args:
        parameters: {name: array}, changed in place by `step`.
        lr: step size.
        betas: (β₁, β₂), the decay rates of the mean and of the mean square, each in [0, 1).
        eps: ε, added outside of the root.
        weight_decay: λ.
        amsgrad: keep the maximum of v.
        maximize: climb instead of descend: g ← −g first.

    Raises:
        ValueError: a setting is outside its range.

    Source: D. Kingma and J. Ba, Adam: a method for stochastic optimization (2015); S. Reddi, S. Kale and
    S. Kumar, On the convergence of Adam and beyond (2018).
    """

    decoupled_weight_decay = False

    def __init__(
        self,
        parameters: Mapping[str, Array],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr, weight_decay, maximize, eps=eps)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{type(self).__name__}: betas must be in [0, 1), got {betas}")
        self.betas, self.eps, self.amsgrad = betas, eps, amsgrad
        self._together: list[str] = []
        self._groups: list[Group] = []

    def step(self, gradients: Mapping[str, Array | None]) -> None:
        """Update every parameter that has a gradient; the gradients are not changed."""
        beta1, beta2 = self.betas
        given = self.present(gradients)
        for group in self._grouped([*given]):
            ws, gs = [self.parameters[name] for name in group.names], [given[name] for name in group.names]
            m, v = group.vectors["exp_avg"], group.vectors["exp_avg_sq"]
            group.vectors["step"] += 1
            t = float(group.vectors["step"][0])
            if self.maximize:
                gs = [-g for g in gs]
            if self.weight_decay and self.decoupled_weight_decay:
                for w in ws:
                    w *= 1 - self.lr * self.weight_decay
            elif self.weight_decay:
                gs = [g + self.weight_decay * w for w, g in zip(ws, gs, strict=True)]
            # Every line writes to an existing array: allocating one of fc1's size costs more than filling it. Each
            # part of the scratch array belongs to one parameter.
            scratch, parts = group.scratch, group.parts
            # m ← β₁·m + (1−β₁)·g
            for part, g in zip(parts, gs, strict=True):
                np.multiply(g, 1 - beta1, out=part)
            m *= beta1
            m += scratch
            # v ← β₂·v + (1−β₂)·g². The scratch array contains (1−β₁)·g, whose squares are (1−β₁)²·g².
            scratch *= scratch
            scratch *= (1 - beta2) / (1 - beta1) ** 2
            v *= beta2
            v += scratch
            if self.amsgrad:
                v = np.maximum(group.vectors["max_exp_avg_sq"], v, out=group.vectors["max_exp_avg_sq"])
            # Both corrections as one factor: m / (√v/r + ε) = r · m / (√v + r·ε), Kingma and Ba's section 2.
            r = math.sqrt(1 - beta2**t)
            np.sqrt(v, out=scratch)
            scratch += r * self.eps
            np.divide(m, scratch, out=scratch)
            scratch *= self.lr * r / (1 - beta1**t)
            for part, w in zip(parts, ws, strict=True):
                w -= part

    def _grouped(self, names: list[str]) -> list[Group]:
        """The groups of these parameters, cached while the same parameters have a gradient."""
        moments = ["exp_avg", "exp_avg_sq", *["max_exp_avg_sq"] * self.amsgrad]
        if names != self._together:
            alike: dict[tuple[Any, float], list[str]] = {}
            for name in names:
                w = self.parameters[name]
                if name not in self.state:
                    self.state[name] = first_state(w, *moments)
                state = self.state[name]
                alike.setdefault((w.dtype, float(state["step"])), []).append(name)
            self._together, self._groups = names, [Group(those, self.state) for those in alike.values()]
        return self._groups
