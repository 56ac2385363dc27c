"""Several processes that train one network, each on its part of every batch."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, NamedTuple, Protocol

import numpy as np

from numpy_cnn.common.spec.backend import NONE, Array, Backend, Masks
from numpy_cnn.common.spec.errors import UserError


def started_by(launcher: Literal["mpirun", "torchrun"]) -> bool:
    """Whether `launcher` started this process as one of several.

    Raises:
        UserError: another launcher did, so each process would train its own network.
    """
    of_mpi = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")  # of Open MPI, MPICH and Slurm
    several = {
        "mpirun": any(os.environ.get(name, "1") != "1" for name in of_mpi),
        "torchrun": "TORCHELASTIC_RUN_ID" in os.environ,
    }
    other = next(name for name in several if name != launcher)
    if several[other] and not several[launcher]:
        raise UserError(
            f"{other} started this process; to train this backend in several processes, use {launcher}"
        )
    return several[launcher]


class ProcessLost(Exception):  # noqa: N818  # an event that the run survives as a checkpoint
    """Another process of the group has ended, so no further exchange is possible."""


class Group(Protocol):
    """The processes of a run; each has a rank from 0 to size − 1."""

    rank: int
    size: int

    def all_reduce(self, values: Array) -> Array:
        """Return the sum of the arrays of all processes, identical in every process.

        Raises:
            ProcessLost: a process has ended.
        """


class Alone:
    """The group of a single process."""

    rank, size = 0, 1

    def all_reduce(self, values: Array) -> Array:
        return values


def alone() -> AbstractContextManager[Group]:
    """The group of a program started without a launcher."""
    return nullcontext(Alone())


class Step(NamedTuple):
    """The result of one step, equal in every process."""

    loss: float  # the mean over the whole batch
    correct: int
    requested: bool  # whether a process received a request to stop


def shard(images: int, group: Group) -> slice:
    """This process's part of a batch: contiguous; the sizes of the parts differ by at most one."""
    start, stop = (images * rank // group.size for rank in (group.rank, group.rank + 1))
    return slice(start, stop)


def train_step(
    backend: Backend, group: Group, images: Array, labels: Array, lr: float, requested: bool, masks: Masks = NONE
) -> Step:
    """Take a step on the batch; each process computes its shard.

    The gradient of the batch's mean loss is Σ over processes of (Σ over images of ∂lossᵢ/∂θ) / N. Sums are
    exchanged, not means, so shards of different sizes, and empty ones, need no weights. One vector holds all.

    Args:
        backend: with the same parameters in every process.
        group: the processes.
        images: the whole batch, (N, C, H, W).
        labels: (N,).
        lr: the step size.
        requested: whether this process received a request to stop.
        masks: of the dropout layers, for the whole batch.

    Raises:
        ProcessLost: a process has ended; no step was taken.
    """
    if group.size == 1:
        loss, scores = backend.train_step(images, labels, lr, masks)
        return Step(loss, _correct(scores, labels), requested)
    part = shard(len(images), group)
    loss, scores, gradients = backend.gradients(
        images[part], labels[part], {name: mask[part] for name, mask in masks.items()}
    )
    counts = [loss, _correct(scores, labels[part]), requested]
    names = sorted(gradients)
    vector = np.concatenate([*(gradients[name].ravel() for name in names), np.array(counts, scores.dtype)])
    total = group.all_reduce(vector)
    mean = np.split(total / len(images), np.cumsum([gradients[name].size for name in names]))
    backend.update({name: own.reshape(gradients[name].shape) for name, own in zip(names, mean, strict=False)}, lr)
    loss, correct, requests = total[-len(counts) :].tolist()
    return Step(loss / len(images), round(correct), requests > 0)


def _correct(scores: Array, labels: Array) -> int:
    return int((scores.argmax(axis=1) == labels).sum())
