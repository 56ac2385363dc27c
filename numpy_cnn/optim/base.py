"""The base class of optimizers: parameters, checks, and the steps that do not depend on the update rule."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np

from numpy_cnn.arguments import Array

State: TypeAlias = dict[str, dict[str, Array]]  # {parameter's name: {torch's name of the state: array}}


class Optimizer:
    """A rule that changes {name: array} in place, with a state per parameter.

    Args:
        parameters: {name: array}, changed in place by `step`.
        lr: step size.
        weight_decay: λ, the weight of ½‖w‖² in the loss.
        maximize: climb instead of descend: g ← −g first.
        **settings: other settings that must not be negative; they are only checked.

    Raises:
        ValueError: a setting is negative or NaN.

    Source: the arguments of torch.optim.Optimizer.
    """

    def __init__(
        self, parameters: Mapping[str, Array], lr: float, weight_decay: float, maximize: bool, **settings: float
    ) -> None:
        for name, value in {"lr": lr, "weight_decay": weight_decay, **settings}.items():
            if not value >= 0:
                raise ValueError(f"{type(self).__name__}: {name} must not be negative, got {value}")
        self.parameters = parameters
        self.lr, self.weight_decay, self.maximize = lr, weight_decay, maximize
        self.state: State = {}

    def step(self, gradients: Mapping[str, Array | None]) -> None:
        """Update every parameter that has a gradient; the gradients are not changed."""
        raise NotImplementedError

    def present(self, gradients: Mapping[str, Array | None]) -> dict[str, Array]:
        """The gradients that are not None. Raises ValueError unless each has the shape of its parameter."""
        optimizer = type(self).__name__
        present = {name: gradient for name, gradient in gradients.items() if gradient is not None}
        for name, gradient in present.items():
            if name not in self.parameters:
                raise ValueError(
                    f"{optimizer}: {name!r} has a gradient but is not a parameter; the parameters are "
                    f"{[*self.parameters]}"
                )
            if gradient.shape != self.parameters[name].shape:
                raise ValueError(
                    f"{optimizer}: {name} has the shape {self.parameters[name].shape}, "
                    f"its gradient {gradient.shape}"
                )
        return present

    def directions(self, gradients: Mapping[str, Array | None]) -> Iterator[tuple[str, Array, Array]]:
        """(name, w, g) for every gradient, after `maximize` and the weight decay: g ← ±g + λ·w."""
        for name, gradient in self.present(gradients).items():
            w, g = self.parameters[name], -gradient if self.maximize else gradient
            yield name, w, g + self.weight_decay * w if self.weight_decay else g


def first_state(w: Array, *names: str, value: float = 0.0) -> dict[str, Array]:
    """The state before the first step: a step count of 0, and an array like w, filled with `value`, per name."""
    return {"step": np.zeros((), np.float32)} | {name: np.full_like(w, value) for name in names}
