"""Stochastic gradient descent."""

from collections.abc import Mapping

import numpy as np

from numpy_cnn.arguments import Array
from numpy_cnn.optim.base import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent, as `torch.optim.SGD`.

        g ← g + λ·w                                   weight decay λ
        b ← μ·b + (1−τ)·g, and b ← g at first         momentum μ, dampening τ (not in the first step)
        w ← w − lr · (g + μ·b if nesterov else b)

    Args:
        parameters: {name: array}, changed in place by `step`.
        lr: step size.
        momentum: μ in [0, ∞).
        dampening: τ.
        weight_decay: λ, the weight of ½‖w‖² in the loss.
        nesterov: look ahead along the momentum; requires a momentum and no dampening.
        maximize: climb instead of descend: g ← −g first.

    Raises:
        ValueError: a setting is outside its range.

    Source: I. Sutskever et al., On the importance of initialization and momentum in deep learning (2013).
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr, weight_decay, maximize, momentum=momentum)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                f"SGD: nesterov requires a momentum above 0 and no dampening, got momentum {momentum}, "
                f"dampening {dampening}"
            )
        self.momentum, self.dampening, self.nesterov = momentum, dampening, nesterov

    def step(self, gradients: Mapping[str, Array | None]) -> None:
        """Update every parameter that has a gradient; the gradients are not changed."""
        for name, w, g in self.directions(gradients):
            if not self.momentum:
                w -= self.lr * g
                continue
            if name not in self.state:
                self.state[name] = {"momentum_buffer": np.array(g)}  # an array even without axes
            else:
                b = self.state[name]["momentum_buffer"]
                b *= self.momentum
                b += (1 - self.dampening) * g
            b = self.state[name]["momentum_buffer"]
            w -= self.lr * (g + self.momentum * b if self.nesterov else b)
