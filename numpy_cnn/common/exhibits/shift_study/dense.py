"""The network without a convolution, the baseline for SimpleCNN: sizes, initial parameters, and the protocol."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.config import OptimizerConfig


class Learner(Protocol):
    """The part of `Backend` that the experiment needs: training and scores."""

    def train_step(self, images: Array, labels: Array, lr: float) -> tuple[float, Array]:
        """Take a step of size `lr` on images (N, C, H, W) and labels (N,); return the mean loss and the scores."""

    def logits(self, images: Array) -> Array:
        """The scores (N, classes) of images (N, C, H, W)."""


MakeDense: TypeAlias = Callable[[dict[str, Array], OptimizerConfig], Learner]


@dataclass(frozen=True)
class DenseSizes:
    """flatten → dense → ReLU → dense."""

    pixels: int = 28 * 28
    hidden: int = 128
    classes: int = 10

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter under torch's name for it."""
        return {
            "fc1.weight": (self.hidden, self.pixels),
            "fc1.bias": (self.hidden,),
            "fc2.weight": (self.classes, self.hidden),
            "fc2.bias": (self.classes,),
        }

    def initial_parameters(self, seed: int) -> dict[str, Array]:
        """Uniform in ±1/√fan_in, as `numpy_cnn.common.spec.initial` draws those of SimpleCNN; float32."""
        generator = np.random.default_rng([seed, 0])
        bound = {"fc1": 1 / math.sqrt(self.pixels), "fc2": 1 / math.sqrt(self.hidden)}
        return {
            name: generator.uniform(-bound[name[:3]], bound[name[:3]], shape).astype(np.float32)
            for name, shape in self.parameter_shapes().items()
        }
