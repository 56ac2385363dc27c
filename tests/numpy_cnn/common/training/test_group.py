"""Data-parallel training: the shards of several processes add up to the whole batch."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from programs import PROGRAMS

from numpy_cnn.common.spec.architecture import preset
from numpy_cnn.common.spec.backend import Array, Backend
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.group import Alone, Group, Step, shard, started_by, train_step

TINY = preset("tiny")


class Member:
    """A member of a group of threads that synchronise at a barrier."""

    def __init__(self, rank: int, size: int, sent: list[Array], barrier: threading.Barrier) -> None:
        self.rank, self.size, self._sent, self._barrier = rank, size, sent, barrier

    def all_reduce(self, values: Array) -> Array:
        self._sent[self.rank] = values
        self._barrier.wait()
        total = np.sum(self._sent, axis=0, dtype=values.dtype)
        self._barrier.wait()
        return np.asarray(total)


def members(size: int) -> list[Group]:
    sent, barrier = [np.empty(0)] * size, threading.Barrier(size, timeout=20)
    return [Member(rank, size, sent, barrier) for rank in range(size)]


def integer_backend(program: str) -> Backend:
    generator = np.random.default_rng(1)
    shapes = TINY.parameter_shapes()
    start = {name: generator.integers(-2, 3, shape).astype(np.float32) for name, shape in shapes.items()}
    return PROGRAMS[program].backend()(TINY, start, OptimizerConfig(optimizer="sgd", lr=1.0, schedule="constant"))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(("size", "images"), [(1, 8), (2, 8), (3, 8), (3, 2), (5, 4)])
def test_shards_give_the_bits_of_a_step_with_the_whole_batch(program: str, size: int, images: int) -> None:
    """On integers, with a number of images that is a power of two, every sum and quotient is exact."""
    generator = np.random.default_rng(0)
    batch = generator.integers(-3, 4, (images, 1, *TINY.image_size)).astype(np.float32)
    labels = generator.integers(0, TINY.classes, images)
    whole = integer_backend(program)
    loss, scores = whole.train_step(batch, labels, 1.0)
    parts = [integer_backend(program) for _ in range(size)]
    before = integer_backend(program).parameters()
    with ThreadPoolExecutor(size) as pool:
        steps = [*pool.map(lambda p, g: train_step(p, g, batch, labels, 1.0, False), parts, members(size))]
    assert steps == [Step(loss, int((scores.argmax(axis=1) == labels).sum()), False)] * size
    for part in parts:
        for name, parameter in whole.parameters().items():
            np.testing.assert_array_equal(part.parameters()[name], parameter, err_msg=name)
            assert name not in TINY.trained or (parameter != before[name]).any(), f"{name} did not move"


@pytest.mark.parametrize("program", PROGRAMS)
def test_gradients_are_those_of_the_sum(program: str) -> None:
    network = preset("simple", image_size=(8, 8))
    backend = PROGRAMS[program].backend()(network, PARAMETERS, OptimizerConfig(optimizer="sgd"))
    generator = np.random.default_rng(0)
    images = generator.standard_normal((6, 1, 8, 8)).astype(np.float32)
    labels = generator.integers(0, 10, 6)
    loss, scores, gradients = backend.gradients(images, labels)
    assert set(gradients) == set(network.trained)
    mean = dict(backend.quantities(images, labels))
    for name, gradient in gradients.items():
        # 2⁻¹⁴ in single precision is not a bound on rounding: it distinguishes the sum from the mean.
        np.testing.assert_allclose(gradient, 6 * mean[f"the gradient of {name}"], rtol=2**-14, atol=2**-14)
    assert loss == pytest.approx(6 * backend.loss(scores, labels), rel=2**-14)


def _parameters() -> dict[str, Array]:
    from numpy_cnn.common.spec.initial import initial_parameters

    return initial_parameters(preset("simple", image_size=(8, 8)), 0)


PARAMETERS = _parameters()


@pytest.mark.parametrize("images", [0, 1, 7, 8])
@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_shards_are_the_batch_in_order(images: int, size: int) -> None:
    parts = [shard(images, group) for group in members(size)]
    assert [i for part in parts for i in range(images)[part]] == [*range(images)]
    lengths = {part.stop - part.start for part in parts}
    assert max(lengths) - min(lengths) <= 1


def test_a_request_to_stop_reaches_every_process() -> None:
    batch, labels = np.zeros((2, 1, *TINY.image_size), np.float32), np.zeros(2, np.int64)
    with ThreadPoolExecutor(2) as pool:
        asked = pool.map(
            lambda group: train_step(integer_backend("numpy_cnn"), group, batch, labels, 1.0, group.rank == 1),
            members(2),
        )
        assert [step.requested for step in asked] == [True, True]


def test_the_launcher_of_the_other_backend_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_SIZE", "2")
    assert started_by("mpirun")
    with pytest.raises(UserError, match=r"mpirun started this process; .* use torchrun"):
        started_by("torchrun")
    monkeypatch.delenv("PMI_SIZE")
    assert not started_by("torchrun")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    assert started_by("torchrun")
    with pytest.raises(UserError, match=r"torchrun started this process; .* use mpirun"):
        started_by("mpirun")
    assert Alone().size == 1


def test_only_one_process_writes_the_run(tmp_path: Path) -> None:
    from numpy_cnn.common.training.run_folder import ReadOnlyRun

    run = ReadOnlyRun(tmp_path / "run")
    run.save(None)  # type: ignore[arg-type]  # the argument is unused
    assert not run.path.exists()
