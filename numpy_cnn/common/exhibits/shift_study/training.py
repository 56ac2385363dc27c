"""The experiment's training: the same images in the same order for every network."""

import time

import numpy as np

from numpy_cnn.common.data.dataset import Split
from numpy_cnn.common.exhibits.shift_study.dense import Learner
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.display import training_display


def train(
    learner: Learner, images: Split, optimization: OptimizerConfig, epochs: int, batch_size: int, seed: int
) -> float:
    """Train for `epochs` epochs and report progress; return the duration in seconds.

    Raises:
        UserError: the loss is no longer finite.
    """
    batches = -(-len(images) // batch_size)
    started = time.perf_counter()
    with training_display(epochs, batches) as display:
        for epoch in range(epochs):
            order = np.random.default_rng([seed, 1, epoch]).permutation(len(images))
            loss_sum, right, seen = 0.0, 0, 0
            for number in range(batches):
                part = images[order[number * batch_size : (number + 1) * batch_size]]
                lr = optimization.lr_at(epoch * batches + number, epochs * batches, batches)
                loss, scores = learner.train_step(part.images, part.labels, lr)
                if not np.isfinite(loss):
                    raise UserError(f"training diverged in epoch {epoch + 1}: the loss is {loss}")
                loss_sum += loss * len(part)
                right += int((scores.argmax(axis=1) == part.labels).sum())
                seen += len(part)
                display.batch(epoch + 1, number + 1, loss_sum / seen)
            display.epoch(
                {
                    "epoch": epoch + 1,
                    "train_loss": loss_sum / seen,
                    "train_accuracy": right / seen,
                    "validation_loss": float("nan"),
                    "validation_accuracy": float("nan"),
                    "seconds": time.perf_counter() - started,
                }
            )
    return time.perf_counter() - started
