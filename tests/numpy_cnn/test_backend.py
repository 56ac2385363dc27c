"""The NumPy backend processes a batch in slices; the step does not depend on their size."""

from __future__ import annotations

import numpy as np
import pytest

from numpy_cnn import backend
from numpy_cnn.common.spec.architecture import Architecture, preset
from numpy_cnn.common.spec.config import OptimizerConfig

TINY: Architecture = preset("tiny")


def integers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float64)


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_a_step_does_not_depend_on_the_slices(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    # Integers and halves, with powers of two as batch size and step size: every sum is exact in any order.
    images = integers((8, TINY.in_channels, *TINY.image_size), 0)
    labels = np.arange(8) % TINY.classes
    start = {name: integers(shape, i) for i, (name, shape) in enumerate(TINY.parameter_shapes().items())}
    found = []
    for slices in (8, size):
        monkeypatch.setattr(backend, "SCORED", slices)
        monkeypatch.setattr(backend, "TRAINED", slices)
        network = backend.Backend(TINY, start, OptimizerConfig(optimizer="sgd"))
        loss, scores = network.train_step(images, labels, lr=0.5)
        found.append((loss, scores, network.logits(images), network.parameters()))
    assert found[0][0] == found[1][0]
    for whole, sliced in zip(found[0][1:3], found[1][1:3], strict=True):
        assert np.array_equal(whole, sliced)
    for name in start:
        assert np.array_equal(found[0][3][name], found[1][3][name]), name
    assert any(not np.array_equal(found[0][3][name], start[name]) for name in start)


def test_no_images_give_no_scores() -> None:
    start = {name: integers(shape, 0) for name, shape in TINY.parameter_shapes().items()}
    network = backend.Backend(TINY, start, OptimizerConfig())
    assert network.logits(np.zeros((0, TINY.in_channels, *TINY.image_size))).shape == (0, TINY.classes)
