"""Find out why training diverged: repeat the epoch and check every quantity of every step."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from numpy_cnn.common.spec.backend import Array, Backend, Masks
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import Progress
from numpy_cnn.common.training.history import Row
from numpy_cnn.common.training.plan import TrainingPlan
from numpy_cnn.common.training.run_folder import RunFolder

EXPLODED = 10  # times the loss of random guessing; a converging run stays below


@dataclass(frozen=True)
class Start:
    """The state from which an epoch is repeated."""

    progress: Progress
    parameters: dict[str, Array]
    optimizer_state: dict[str, Array]


def diverged(backend: Backend, plan: TrainingPlan, run: RunFolder, start: Start) -> UserError:
    """The error for a run whose loss or parameters stopped being finite in the epoch that began at `start`."""
    where = f"training diverged in epoch {start.progress.epoch + 1}"
    if (found := _first_not_finite(backend, plan, start)) is not None:
        step, name, array = found
        value = array.flat[int(np.argmin(np.isfinite(array)))]
        where += (
            f": in step {step} of {plan.batches}, {name} is no longer finite ({value}), before any other quantity"
        )
    kept = "no checkpoint was saved before"
    if run.last.is_file():
        kept = f"the last good checkpoint is {run.last}, after {_moment(start.progress)}"
    lr = plan.config.optimization.base_lr
    return UserError(f"{where}; {kept}; try a smaller --lr than {lr:g}")


def exploding(backend: Backend, plan: TrainingPlan, row: Row) -> str | None:
    """A warning if the loss of an epoch is finite but far above that of guessing, else None."""
    labels = plan.train.labels[:500]
    guessing = backend.loss(np.zeros((len(labels), plan.architecture.classes), np.float32), labels)
    if row["train_loss"] <= EXPLODED * guessing:
        return None
    return (
        f"the loss of epoch {row['epoch']:.0f} is {row['train_loss']:.3g}, but guessing gives {guessing:.3g}: "
        f"training diverges; try a smaller --lr than {plan.config.optimization.base_lr:g}"
    )


def _first_not_finite(backend: Backend, plan: TrainingPlan, start: Start) -> tuple[int, str, Array] | None:
    """The step, counted from 1, the name and the value of the first quantity that is not finite."""
    again = type(backend)(
        plan.architecture, start.parameters, plan.config.optimization, start.optimizer_state, backend.threads
    )
    progress = start.progress
    for number, batch in enumerate(plan.order(progress.epoch)):
        if number < progress.batch:
            continue
        lr = plan.step_size(Progress(epoch=progress.epoch, batch=number))
        images, masks = plan.images(progress.epoch, number, batch), plan.masks(progress.epoch, number, len(batch))
        for name, array in _quantities(again, images, plan.train.labels[batch], lr, masks):
            if not np.isfinite(array).all():
                return number + 1, name, array
    return None


def _quantities(
    backend: Backend, images: Array, labels: Array, lr: float, masks: Masks
) -> Iterator[tuple[str, Array]]:
    """Take one step, and yield all its quantities in the order of computation."""
    yield from backend.quantities(images, labels, masks)
    backend.train_step(images, labels, lr, masks)
    for name, array in backend.optimizer_state().items():
        yield f"the optimizer's {name}", array
    for name, array in backend.parameters().items():
        yield f"the updated {name}", array


def _moment(progress: Progress) -> str:
    batches = f" and {progress.batch} batches" if progress.batch else ""
    return f"epoch {progress.epoch}{batches}"
