"""The interface between the shared training loop and a backend."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.config import OptimizerConfig

Array: TypeAlias = npt.NDArray[Any]
# {name of a dropout layer: mask of its inputs}. Both backends receive the same, so that they can agree.
Masks: TypeAlias = Mapping[str, Array]
NONE: Masks = {}


class Backend(Protocol):
    """A network and its optimizer; all arguments and results are NumPy arrays."""

    threads: int | None

    def __init__(
        self,
        architecture: Architecture,
        parameters: dict[str, Array],
        optimizer: OptimizerConfig,
        optimizer_state: dict[str, Array] | None = None,
        threads: int | None = None,
    ) -> None:
        """Start from these parameters and, if given, from a state that `optimizer_state` returned earlier.

        `threads` is the number of threads; None for the backend's own choice.
        """

    def train_step(self, images: Array, labels: Array, lr: float, masks: Masks = NONE) -> tuple[float, Array]:
        """Take a step of size `lr` on images (N, C, H, W) and labels (N,); return the mean loss and the scores.

        `masks` has an entry for each dropout layer, as drawn by `Architecture.masks`.
        """

    def gradients(
        self, images: Array, labels: Array, masks: Masks = NONE
    ) -> tuple[float, Array, dict[str, Array]]:
        """The sum of the images' losses, the scores, and that sum's gradients. No step is taken.

        Unlike means, sums can be added over processes with different numbers of images, including none.
        """

    def update(self, gradients: dict[str, Array], lr: float) -> None:
        """Take one step of size `lr` with these gradients of the trained parameters."""

    def quantities(self, images: Array, labels: Array, masks: Masks = NONE) -> Iterator[tuple[str, Array]]:
        """Every quantity of a forward and a backward pass with its name, in the order of computation.

        The output of each layer, the loss, then, from the last layer to the first, the gradients of the layer's
        output and of its parameters. No step is taken.
        """

    def logits(self, images: Array) -> Array:
        """The scores (N, classes) of images (N, C, H, W)."""

    def loss(self, scores: Array, labels: Array) -> float:
        """The mean loss of scores (N, classes)."""

    def probabilities(self, scores: Array) -> Array:
        """The softmax of scores (N, classes)."""

    def parameters(self) -> dict[str, Array]:
        """The current parameters under torch's names."""

    def optimizer_state(self) -> dict[str, Array]:
        """The optimizer's arrays under `<parameter>.<torch's name of the state>`."""


def one_hot(labels: Array, classes: int, dtype: npt.DTypeLike) -> Array:
    """Labels (N,) as rows (N, classes) with a single 1: the targets of a squared error."""

    return np.eye(classes, dtype=dtype)[labels]
