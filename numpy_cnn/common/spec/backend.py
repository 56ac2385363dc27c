"""What the shared loop asks of a backend."""

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.config import OptimizerConfig

Array: TypeAlias = npt.NDArray[Any]


class Backend(Protocol):
    """A network and its optimizer; arrays go in and come out as NumPy's, whatever computes in between."""

    def __init__(
        self,
        architecture: Architecture,
        parameters: dict[str, Array],
        optimizer: OptimizerConfig,
        optimizer_state: dict[str, Array] | None = None,
        threads: int | None = None,
    ) -> None:
        """Begin with these parameters, and with the optimizer's state as `optimizer_state` once gave it.

        `threads` compute; None for as many as the backend takes by itself.
        """

    def train_step(self, images: Array, labels: Array, lr: float) -> tuple[float, Array]:
        """Step once, by `lr`, on images (N, C, H, W) and labels (N,); the mean loss and the scores before that."""

    def logits(self, images: Array) -> Array:
        """The scores (N, classes) of images (N, C, H, W)."""

    def loss(self, scores: Array, labels: Array) -> float:
        """The mean loss of scores (N, classes)."""

    def probabilities(self, scores: Array) -> Array:
        """The softmax of scores (N, classes)."""

    def parameters(self) -> dict[str, Array]:
        """The parameters under torch's names, as they are now."""

    def optimizer_state(self) -> dict[str, Array]:
        """The optimizer's arrays under `<parameter>.<torch's name of the state>`."""


def one_hot(labels: Array, classes: int, dtype: npt.DTypeLike) -> Array:
    """Labels (N,) as rows (N, classes) with a single 1: the targets of a squared error."""

    return np.eye(classes, dtype=dtype)[labels]
