"""Everything that defines a training run, apart from the backend that computes it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numpy_cnn.common.data.dataset import PixelScale, Split
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.config import TrainConfig
from numpy_cnn.common.training.augmentation import augmented
from numpy_cnn.common.training.checkpoint import Progress


@dataclass(frozen=True)
class TrainingPlan:
    """The immutable data and settings of a run, without the backend."""

    backend_name: str
    architecture: Architecture
    config: TrainConfig
    data_size: tuple[int, int]
    pixel: PixelScale
    train: Split
    validation: Split

    @property
    def batches(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self.train) // self.config.batch_size)

    def step_size(self, progress: Progress) -> float:
        """The step size of the next step."""
        done = progress.epoch * self.batches + progress.batch
        return self.config.optimization.lr_at(done, self.config.epochs * self.batches, self.batches)

    def ended(self, progress: Progress) -> bool:
        """Whether all epochs are done, or the last `patience` epochs brought no improvement."""
        return progress.epoch >= self.config.epochs or self.out_of_patience(progress)

    def out_of_patience(self, progress: Progress) -> bool:
        """Whether the last `patience` epochs brought no improvement on the validation split."""
        patience = self.config.patience
        return patience is not None and progress.epoch - progress.best_epoch >= patience

    def masks(self, epoch: int, batch: int, images: int) -> dict[str, npt.NDArray[np.bool_]]:
        """The masks of the dropout layers in one step; a resumed run draws the same."""
        if not self.architecture.dropout:
            return {}
        return self.architecture.masks(images, np.random.default_rng([self.config.seed, 3, epoch, batch]))

    def images(self, epoch: int, batch: int, chosen: npt.NDArray[np.int64]) -> Array:
        """The chosen training images as shown in one step: shifted and rotated; a resumed run draws the same."""
        seed = [self.config.seed, 4, epoch, batch]
        return augmented(self.train.images[chosen], self.config.augmentation, seed, self.pixel.background)

    def order(self, epoch: int) -> Iterator[npt.NDArray[np.int64]]:
        """The batches of an epoch, counted from 0; each epoch has its own permutation, also in a resumed run."""
        shuffled = np.random.default_rng([self.config.seed, 1, epoch]).permutation(len(self.train))
        size = self.config.batch_size
        return (shuffled[start : start + size] for start in range(0, len(shuffled), size))
