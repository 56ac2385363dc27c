"""A training run of both backends, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass

from parity.cases.case import Dtype


@dataclass(frozen=True)
class Step:
    """One training step of both backends; parameters are those after it."""

    number: int  # counted from 1
    numpy_loss: float  # of the free runs, before the step
    torch_loss: float
    fractions: Mapping[str, float]  # error of the lockstep update over what is allowed, by parameter
    drift: float  # largest |numpy_cnn − torch_cnn| over all parameters of the free runs
    ulp_drift: float  # the same for two runs of PyTorch that start one ulp apart


@dataclass(frozen=True)
class Departure:
    """The step and the parameter of the first update that exceeds its bound."""

    step: int
    parameter: str
    fraction: float


@dataclass(frozen=True)
class TrainingReport:
    """All steps of a run."""

    dtype: Dtype
    steps: tuple[Step, ...]

    @property
    def worst(self) -> dict[str, float]:
        """The largest fraction of each parameter over all steps."""
        return {name: max(step.fractions[name] for step in self.steps) for name in self.steps[0].fractions}

    @property
    def departure(self) -> Departure | None:
        """The first update that exceeds its bound; None if there is none.

        Of several parameters in one step it is the last one, the nearest to the loss: a wrong gradient there also
        reaches the layers before it, never the layers behind.
        """
        for step in self.steps:
            outside = [name for name, fraction in step.fractions.items() if not fraction <= 1]
            if outside:
                return Departure(step.number, outside[-1], step.fractions[outside[-1]])
        return None

    @property
    def ok(self) -> bool:
        """Whether every update agrees."""
        return self.departure is None
