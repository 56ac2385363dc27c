"""Whole training runs of both backends, step by step.

Two runs in floating point drift apart, however right both are: each step magnifies the roundoff of those before.
How much, a run itself tells. PyTorch's own float32 run departs from its float64 run by a drift that began as
roundoff 2⁻²⁴; a float64 run of anyone else begins with roundoff 2⁻⁵³, so it may depart from PyTorch's by 2⁻²⁹ of
that drift, give or take how its roundings happen to fall. A mistake is no roundoff: it does not
shrink with the precision.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import numpy_cnn.backend
import torch_cnn.backend
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import Array, Backend
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.initial import initial_parameters
from parity.cases.torch_op import one_thread

# 2⁻²⁹ is the ratio of the two roundoffs. Over 24 runs of `python -m parity train` (--arch hidden and simple,
# --optimizer adam and sgd --momentum 0.9, --steps 20 and 200, --seed 0, 1 and 2) the worst quantity of a run lay
# between 0.02 and 6 times that. Five bits are allowed: a mistake is not smaller for being computed more precisely.
ALLOWED = 2.0**-29 * 2**5


@dataclass(frozen=True)
class Step:
    """The loss of one step on each side, in double precision, and PyTorch's in single."""

    numpy: float
    torch: float
    torch_single: float


@dataclass(frozen=True)
class TrainingReport:
    """The steps, and the distance of the parameters at the end."""

    steps: list[Step]
    parameters: dict[str, float]  # max |numpy − torch| in float64, by name
    drift: dict[str, float]  # max |torch float32 − torch float64|

    def fractions(self) -> dict[str, float]:
        """The distance of the losses and of each parameter, as a fraction of what is allowed.

        The losses count together, so that a step on which both happen to agree to the last bit does not decide.
        """
        losses = (
            max(abs(s.numpy - s.torch) for s in self.steps),
            max(abs(s.torch_single - s.torch) for s in self.steps),
        )
        pairs = {"loss": losses} | {name: (self.parameters[name], self.drift[name]) for name in self.parameters}
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                name: float(ours and np.divide(ours, ALLOWED * drift)) for name, (ours, drift) in pairs.items()
            }


def compare_training(
    architecture: Architecture,
    optimizer: OptimizerConfig,
    images: Array,
    labels: Array,
    *,
    batch_size: int,
    steps: int,
    seed: int,
) -> Iterator[Step | TrainingReport]:
    """Train numpy_cnn and torch_cnn side by side on the same batches; each step, and at the end the report."""
    kinds: dict[str, tuple[type[Backend], Any]] = {
        "numpy": (numpy_cnn.backend.Backend, np.float64),
        "torch": (torch_cnn.backend.Backend, np.float64),
        "torch_single": (torch_cnn.backend.Backend, np.float32),
    }
    with one_thread():
        runs = {
            name: (kind(architecture, initial_parameters(architecture, seed, dtype), optimizer), dtype)
            for name, (kind, dtype) in kinds.items()
        }
        generator = np.random.default_rng([seed, 1])
        told = []
        lr = optimizer.step_size(0.0)
        for _ in range(steps):
            batch = generator.integers(0, len(images), batch_size)
            losses = {
                name: backend.train_step(images[batch].astype(dtype), labels[batch], lr)[0]
                for name, (backend, dtype) in runs.items()
            }
            told.append(Step(**losses))
            yield told[-1]
        ends = {name: backend.parameters() for name, (backend, _) in runs.items()}
    yield TrainingReport(
        told,
        {name: _distance(ends["numpy"][name], ends["torch"][name]) for name in ends["torch"]},
        {name: _distance(ends["torch_single"][name], ends["torch"][name]) for name in ends["torch"]},
    )


def _distance(a: Array, b: Array) -> float:
    return float(np.abs(a.astype(np.float64) - b).max())
