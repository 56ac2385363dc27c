"""RMSprop."""

from collections.abc import Mapping

import numpy as np

from numpy_cnn.arguments import Array
from numpy_cnn.optim.base import Optimizer, first_state


class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradients, as `torch.optim.RMSprop`.

        g ← g + λ·w                                   weight decay λ
        v ← α·v + (1−α)·g²                            the mean square
        ḡ ← α·ḡ + (1−α)·g                             only if centered; v − ḡ² then replaces v below
        d ← g / (√v + ε)
        w ← w − lr·d, or with momentum b ← μ·b + d, w ← w − lr·b

    Args:
        parameters: {name: array}, changed in place by `step`.
        lr: step size.
        alpha: α, the decay rate of the mean square.
        eps: ε, added outside of the root.
        weight_decay: λ.
        momentum: μ in [0, ∞).
        centered: divide by the standard deviation instead of the root mean square.
        maximize: climb instead of descend: g ← −g first.

    Raises:
        ValueError: a setting is outside its range.

    Source: T. Tieleman and G. Hinton, Lecture 6.5, Neural networks for machine learning (2012); A. Graves,
    Generating sequences with recurrent neural networks (2013), for the centered form.
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr, weight_decay, maximize, alpha=alpha, eps=eps, momentum=momentum)
        self.alpha, self.eps, self.momentum, self.centered = alpha, eps, momentum, centered

    def step(self, gradients: Mapping[str, Array | None]) -> None:
        """Update every parameter that has a gradient; the gradients are not changed."""
        names = ["square_avg", *["momentum_buffer"] * (self.momentum > 0), *["grad_avg"] * self.centered]
        for name, w, g in self.directions(gradients):
            if name not in self.state:
                self.state[name] = first_state(w, *names)
            state = self.state[name]
            state["step"] += 1
            v = state["square_avg"]
            v *= self.alpha
            v += (1 - self.alpha) * g * g
            if self.centered:
                mean = state["grad_avg"]
                mean *= self.alpha
                mean += (1 - self.alpha) * g
                v = v - mean * mean
            d = g / (np.sqrt(v) + self.eps)
            if self.momentum:
                b = state["momentum_buffer"]
                b *= self.momentum
                b += d
                d = b
            w -= self.lr * d
