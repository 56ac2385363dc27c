"""A training run of both backends, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from parity.cases.case import Dtype

Part: TypeAlias = Literal["gradient", "update"]


@dataclass(frozen=True)
class Step:
    """One training step of both backends; parameters are those after it."""

    number: int  # counted from 1
    numpy_loss: float  # of the free runs, before the step
    torch_loss: float
    gradients: Mapping[str, float]  # error / allowed error from equal weights, including running statistics
    updates: Mapping[str, float]  # the same for the updated weights from equal gradients
    drift: float  # largest |numpy_cnn − torch_cnn| over all parameters of the free runs
    ulp_drift: float  # the same for two runs of PyTorch that start one ulp apart

    @property
    def worst(self) -> tuple[str, float]:
        """The gradient or the update with the largest error relative to the allowed error."""
        return max(self.errors.items(), key=lambda item: item[1])

    @property
    def errors(self) -> dict[str, float]:
        """The errors of all gradients, then of all updates, by name."""
        gradients = {f"the gradient of {name}": fraction for name, fraction in self.gradients.items()}
        return gradients | {f"the update of {name}": fraction for name, fraction in self.updates.items()}


@dataclass(frozen=True)
class Departure:
    """The step and its first part that exceeds the allowed error."""

    step: int
    part: Part
    parameter: str
    fraction: float


@dataclass(frozen=True)
class TrainingReport:
    """All steps of a run."""

    dtype: Dtype
    steps: tuple[Step, ...]

    @property
    def worst(self) -> dict[str, tuple[float, float]]:
        """The largest errors of each parameter's gradient and update over all steps."""
        return {
            name: (
                max(step.gradients[name] for step in self.steps),
                max(step.updates.get(name, 0.0) for step in self.steps),
            )
            for name in self.steps[0].gradients
        }

    @property
    def departure(self) -> Departure | None:
        """The first part of a step that exceeds the allowed error; None if there is none.

        Among several gradients it is the one nearest to the loss: a wrong gradient affects earlier layers, never
        later ones.
        """
        for step in self.steps:
            parts: tuple[tuple[Part, Mapping[str, float]], ...] = (
                ("gradient", step.gradients),
                ("update", step.updates),
            )
            for part, fractions in parts:
                outside = [name for name, fraction in fractions.items() if not fraction <= 1]
                if outside:
                    return Departure(step.number, part, outside[-1], fractions[outside[-1]])
        return None

    @property
    def ok(self) -> bool:
        """Whether every gradient and every update agrees."""
        return self.departure is None
