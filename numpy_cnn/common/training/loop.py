"""The training loop for both backends."""

import signal
import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from numpy_cnn.common.data.dataset import Split
from numpy_cnn.common.spec.backend import Array, Backend
from numpy_cnn.common.training.checkpoint import Checkpoint, Progress
from numpy_cnn.common.training.display import Display
from numpy_cnn.common.training.divergence import Start, diverged, exploding
from numpy_cnn.common.training.group import Group, ProcessLost, train_step
from numpy_cnn.common.training.history import Row
from numpy_cnn.common.training.interrupt import Interrupt
from numpy_cnn.common.training.plan import TrainingPlan
from numpy_cnn.common.training.run_folder import RunFolder

EVALUATION_BATCH = 500


class Interrupted(Exception):  # noqa: N818  # a request, not an error
    """Ctrl-C was pressed or the process was terminated; the run is saved up to the last complete batch."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


def train(
    backend: Backend,
    plan: TrainingPlan,
    run: RunFolder,
    display: Display,
    interrupt: Interrupt,
    group: Group,
    progress: Progress | None = None,
    history: tuple[Row, ...] = (),
) -> None:
    """Continue from `progress` to the last epoch, or the end of the patience, saving the run after each epoch.

    The best epoch is the one with the highest validation accuracy, and of those the lowest validation loss;
    without a validation split, the last.

    Args:
        backend: the network and its optimizer.
        plan: the data and the settings.
        run: the folder to save to.
        display: receives the events.
        interrupt: checked between two batches.
        group: the processes that share each batch; all of them call this with equal arguments.
        progress: the progress so far; None for a new run.
        history: one row per complete epoch.

    Raises:
        Interrupted: the process received a request to stop. `last` contains the complete batches; a resumed run
            gives the same result, bit for bit, as one that was never interrupted.
        ProcessLost: another process of the group has ended. `last` contains the complete batches.
        UserError: the loss or a parameter is no longer finite. `last` is that of the previous epoch.
    """
    progress, warned, requested = progress or Progress(), False, False
    if group.size > 1 and not run.last.exists():
        run.save(_checkpoint(backend, plan, progress, history))  # a killed process may leave no time to save
    while not plan.ended(progress):
        began, spent = time.perf_counter(), progress.seconds
        # Copies, to repeat the epoch if it diverges.
        start = Start(progress, _copies(backend.parameters()), _copies(backend.optimizer_state()))
        for number, batch in enumerate(plan.order(progress.epoch)):
            if number < progress.batch:
                continue
            # A single process stops immediately; a group stops after the step that shares the request.
            signalled = bool(interrupt.requested)
            if requested or (group.size == 1 and signalled):
                if not _finite(backend):
                    raise diverged(backend, plan, run, start)
                run.save(_checkpoint(backend, plan, progress, history))
                raise Interrupted(interrupt.requested or signal.SIGTERM)
            images, labels = plan.images(progress.epoch, number, batch), plan.train.labels[batch]
            lr = plan.step_size(progress)
            masks = plan.masks(progress.epoch, number, len(batch))
            try:
                loss, correct, requested = train_step(backend, group, images, labels, lr, signalled, masks)
            except ProcessLost:
                run.save(_checkpoint(backend, plan, progress, history))
                raise
            if not np.isfinite(loss):
                raise diverged(backend, plan, run, start)
            progress = replace(
                progress,
                batch=number + 1,
                loss_sum=progress.loss_sum + loss * len(batch),
                correct=progress.correct + correct,
                seen=progress.seen + len(batch),
                seconds=spent + max(0.0, time.perf_counter() - began),
            )
            display.batch(progress.epoch + 1, number + 1, progress.loss_sum / progress.seen)
        if not _finite(backend):
            raise diverged(backend, plan, run, start)
        row = _row(backend, plan, progress)
        progress, history = _next_epoch(progress, row), (*history, row)
        run.save(_checkpoint(backend, plan, progress, history))
        display.epoch(row)
        if not warned and (warning := exploding(backend, plan, row)):
            warned = True
            display.warn(warning)
    if interrupt.requested:
        raise Interrupted(interrupt.requested)


def evaluate(backend: Backend, split: Split) -> tuple[float, float, npt.NDArray[np.int64]]:
    """The mean loss, the accuracy, and the predicted class of each image."""
    total, answers = 0.0, np.empty(len(split), dtype=np.int64)
    for start in range(0, len(split), EVALUATION_BATCH):
        part = split[start : start + EVALUATION_BATCH]
        scores = backend.logits(part.images)
        total += backend.loss(scores, part.labels) * len(part)
        answers[start : start + len(part)] = scores.argmax(axis=1)
    if not len(split):
        return float("nan"), float("nan"), answers
    return total / len(split), float((answers == split.labels).mean()), answers


def _row(backend: Backend, plan: TrainingPlan, progress: Progress) -> Row:
    loss, accuracy, _ = evaluate(backend, plan.validation)
    return {
        "epoch": progress.epoch + 1,
        "train_loss": progress.loss_sum / progress.seen,
        "train_accuracy": progress.correct / progress.seen,
        "validation_loss": loss,
        "validation_accuracy": accuracy,
        "seconds": round(progress.seconds, 3),
        "lr": plan.step_size(replace(progress, batch=progress.batch - 1)),
    }


def _next_epoch(progress: Progress, row: Row) -> Progress:
    accuracy, loss = row["validation_accuracy"], row["validation_loss"]
    done = Progress(
        epoch=progress.epoch + 1,
        best_epoch=progress.best_epoch,
        best_accuracy=progress.best_accuracy,
        best_loss=progress.best_loss,
    )
    without_validation = accuracy != accuracy
    if without_validation:
        return replace(done, best_epoch=done.epoch)
    if (accuracy, -loss) > (progress.best_accuracy, -progress.best_loss):
        return replace(done, best_epoch=done.epoch, best_accuracy=accuracy, best_loss=loss)
    return done


def _checkpoint(backend: Backend, plan: TrainingPlan, progress: Progress, history: tuple[Row, ...]) -> Checkpoint:
    return Checkpoint(
        backend=plan.backend_name,
        architecture=plan.architecture,
        data_size=plan.data_size,
        pixel=plan.pixel,
        config=plan.config,
        progress=progress,
        parameters=backend.parameters(),
        optimizer_state=backend.optimizer_state(),
        history=history,
    )


def _finite(backend: Backend) -> bool:
    return all(np.isfinite(parameter).all() for parameter in backend.parameters().values())


def _copies(arrays: dict[str, Array]) -> dict[str, Array]:
    return {name: array.copy() for name, array in arrays.items()}
