"""The one training loop, for both backends."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from numpy_cnn.common.data.dataset import PixelScale, Split
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import Backend
from numpy_cnn.common.spec.config import TrainConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import Checkpoint, Position, save_checkpoint
from numpy_cnn.common.training.interrupt import Interrupt
from numpy_cnn.common.training.progress import Progress
from numpy_cnn.common.training.run_folder import Row, RunFolder

EVALUATION_BATCH = 500


class Interrupted(Exception):  # noqa: N818  # a request that was met, not an error
    """Ctrl-C was pressed; the run is saved up to the batch before."""


@dataclass(frozen=True)
class Plan:
    """All that a run needs beside the backend; nothing here changes while it runs."""

    backend_name: str
    architecture: Architecture
    config: TrainConfig
    data_size: tuple[int, int]
    pixel: PixelScale
    train: Split
    validation: Split

    @property
    def batches(self) -> int:
        return -(-len(self.train) // self.config.batch_size)

    def progress(self, position: Position) -> float:
        """The share of all steps that is done."""
        return (position.epoch * self.batches + position.batch) / (self.config.epochs * self.batches)

    def order(self, epoch: int) -> Iterator[npt.NDArray[np.int64]]:
        """The batches of an epoch, counted from 0: its own permutation, so that a resumed run meets the same."""
        shuffled = np.random.default_rng([self.config.seed, 1, epoch]).permutation(len(self.train))
        size = self.config.batch_size
        return (shuffled[start : start + size] for start in range(0, len(shuffled), size))


def train(
    backend: Backend, plan: Plan, run: RunFolder, progress: Progress, interrupt: Interrupt, position: Position
) -> None:
    """Go on from `position` to the last epoch, saving `last` after each epoch and `best` after the best.

    The best epoch is the one with the highest validation accuracy, and of those the lowest validation loss;
    without a validation split, the last.

    Raises:
        Interrupted: Ctrl-C was pressed. `last` holds the batches done; a resumed run ends in the same bits as one
            that was never interrupted.
        UserError: the loss or a parameter is no longer finite. `last` is the one of the epoch before.
    """
    while position.epoch < plan.config.epochs:
        began = time.perf_counter()
        spent = position.seconds
        for number, batch in enumerate(plan.order(position.epoch)):
            if number < position.batch:
                continue
            if interrupt.requested:
                save_checkpoint(run.last, _checkpoint(backend, plan, position))
                raise Interrupted
            lr = plan.config.optimization.step_size(plan.progress(position))
            loss, scores = backend.train_step(plan.train.images[batch], plan.train.labels[batch], lr)
            if not np.isfinite(loss):
                raise _diverged(plan, position, f"the loss is {loss}")
            position = replace(
                position,
                batch=number + 1,
                loss_sum=position.loss_sum + loss * len(batch),
                correct=position.correct + _correct(scores, plan.train.labels[batch]),
                seen=position.seen + len(batch),
                seconds=spent + time.perf_counter() - began,
            )
            progress.batch(position.epoch + 1, number + 1, position.loss_sum / position.seen)
        row = _row(backend, plan, position)
        for name, parameter in backend.parameters().items():
            if not np.isfinite(parameter).all():
                raise _diverged(plan, position, f"{name} is no longer finite")
        position = _next_epoch(position, row)
        # The history first: a row without its checkpoint is dropped on resume, a lost row could not be made again.
        run.append(row)
        if position.best_epoch == position.epoch:
            save_checkpoint(run.best, _checkpoint(backend, plan, position))
        save_checkpoint(run.last, _checkpoint(backend, plan, position))
        progress.epoch(row)


def evaluate(backend: Backend, split: Split) -> tuple[float, float, npt.NDArray[np.int64]]:
    """The mean loss, the share of right answers, and the answer to each image."""
    total, answers = 0.0, np.empty(len(split), dtype=np.int64)
    for start in range(0, len(split), EVALUATION_BATCH):
        part = split[start : start + EVALUATION_BATCH]
        scores = backend.logits(part.images)
        total += backend.loss(scores, part.labels) * len(part)
        answers[start : start + len(part)] = scores.argmax(axis=1)
    if not len(split):
        return float("nan"), float("nan"), answers
    return total / len(split), float((answers == split.labels).mean()), answers


def _diverged(plan: Plan, position: Position, how: str) -> UserError:
    lr = plan.config.optimization.step_size(0.0)
    return UserError(f"training diverged in epoch {position.epoch + 1}: {how}; try a smaller --lr than {lr:g}")


def _row(backend: Backend, plan: Plan, position: Position) -> Row:
    loss, accuracy, _ = evaluate(backend, plan.validation)
    return {
        "epoch": position.epoch + 1,
        "train_loss": position.loss_sum / position.seen,
        "train_accuracy": position.correct / position.seen,
        "validation_loss": loss,
        "validation_accuracy": accuracy,
        "seconds": round(position.seconds, 3),
    }


def _next_epoch(position: Position, row: Row) -> Position:
    accuracy, loss = row["validation_accuracy"], row["validation_loss"]
    done = Position(
        epoch=position.epoch + 1,
        best_epoch=position.best_epoch,
        best_accuracy=position.best_accuracy,
        best_loss=position.best_loss,
    )
    without_validation = accuracy != accuracy
    if without_validation:
        return replace(done, best_epoch=done.epoch)
    if (accuracy, -loss) > (position.best_accuracy, -position.best_loss):
        return replace(done, best_epoch=done.epoch, best_accuracy=accuracy, best_loss=loss)
    return done


def _checkpoint(backend: Backend, plan: Plan, position: Position) -> Checkpoint:
    return Checkpoint(
        backend=plan.backend_name,
        architecture=plan.architecture,
        data_size=plan.data_size,
        pixel=plan.pixel,
        config=plan.config,
        position=position,
        parameters=backend.parameters(),
        optimizer_state=backend.optimizer_state(),
    )


def _correct(scores: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> int:
    return int((scores.argmax(axis=1) == labels).sum())
