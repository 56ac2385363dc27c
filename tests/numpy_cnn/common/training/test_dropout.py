"""Dropout in training: both backends drop what the masks of the step say, in slices, shards and resumed runs."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from programs import PROGRAMS, ROOT, error_of, last, succeed
from test_group import members

from numpy_cnn.common.spec.architecture import Architecture, preset
from numpy_cnn.common.spec.backend import Backend
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.training.group import train_step

NETWORK = preset("hidden", image_size=(8, 8), dropout=0.4)


def backend(program: str, architecture: Architecture = NETWORK) -> Backend:
    parameters = initial_parameters(architecture, 0, np.float64)
    return PROGRAMS[program].backend()(architecture, parameters, OptimizerConfig(optimizer="sgd"))


def batch(images: int = 300) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """More images than the NumPy backend sends through the network at a time."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((images, 1, 8, 8))
    return x, generator.integers(0, 10, images), dict(NETWORK.masks(images, generator))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_dropped_unit_gets_no_gradient_and_the_others_are_scaled_up(program: str) -> None:
    x, labels, masks = batch()
    masks["dropout1"][:, 5] = False
    dropping, plain = backend(program), backend(program, NETWORK.evaluated)
    found = dict(dropping.quantities(x, labels, masks))
    before, after = found["the output of relu2"], found["the output of dropout1"]
    np.testing.assert_array_equal(after[:, 5], 0)
    np.testing.assert_allclose(after, before * masks["dropout1"] / 0.6, rtol=1e-14)
    assert not found["the gradient of fc2.weight"][:, 5].any()
    assert not found["the gradient of fc1.weight"][5].any()
    # Evaluation drops nothing; the products may be summed in another order.
    np.testing.assert_allclose(dropping.logits(x), plain.logits(x), rtol=0, atol=1e-14)


def test_both_backends_take_the_same_step() -> None:
    x, labels, masks = batch()
    ours, theirs = backend("numpy_cnn"), backend("torch_cnn")
    for learner in (ours, theirs):
        learner.train_step(x, labels, 0.1, masks)
    for name, parameter in ours.parameters().items():
        np.testing.assert_allclose(parameter, theirs.parameters()[name], rtol=1e-12, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_shard_gets_its_part_of_the_masks(program: str) -> None:
    x, labels, masks = batch(10)
    whole, parts = backend(program), [backend(program) for _ in range(3)]
    whole.train_step(x, labels, 1.0, masks)
    with ThreadPoolExecutor(3) as pool:
        deque(pool.map(lambda p, g: train_step(p, g, x, labels, 1.0, False, masks), parts, members(3)))
    for name, parameter in whole.parameters().items():
        np.testing.assert_allclose(parts[0].parameters()[name], parameter, rtol=1e-12, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("program", PROGRAMS)
def test_training_without_masks_is_an_error(program: str) -> None:
    x, labels, _ = batch(4)
    with pytest.raises(ValueError, match=r"training needs a mask of shape \(4, 128\), got None"):
        backend(program).train_step(x, labels, 0.1)


def test_masks_drop_the_share() -> None:
    mask = NETWORK.masks(500, np.random.default_rng(0))["dropout1"]
    deviation = (0.4 * 0.6 / mask.size) ** 0.5
    assert abs((~mask).mean() - 0.4) < 5 * deviation
    assert NETWORK.evaluated.masks(500, np.random.default_rng(0)) == {}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_resumed_run_drops_the_same_units(tmp_path: Path, program: str) -> None:
    flags = ("--dropout", 0.5, "--limit", 100, "--seed", 2)
    succeed(program, "train", *flags, "--epochs", 2, "--schedule", "constant", "--out", tmp_path / "unbroken")
    succeed(program, "train", *flags, "--epochs", 1, "--schedule", "constant", "--out", tmp_path / "broken")
    succeed(program, "train", "--resume", tmp_path / "broken", "--epochs", 2)
    whole, resumed = (last(tmp_path / run).parameters for run in ("unbroken", "broken"))
    for name, parameter in whole.items():
        np.testing.assert_array_equal(resumed[name], parameter, err_msg=name)


def test_the_walkthrough_shows_the_network_after_training(tmp_path: Path) -> None:
    run = tmp_path / "run"
    succeed("numpy_cnn", "train", "--dropout", 0.5, "--limit", 50, "--epochs", 1, "--out", run)
    picture, arrays = ROOT / "docs" / "images" / "walkthrough_seven.png", tmp_path / "arrays.npz"
    flags = ("--kernel", "learned", "--checkpoint", run, "--arrays", arrays)
    succeed("numpy_cnn", "walkthrough", picture, *flags)
    with np.load(arrays) as stages:
        assert "relu2" in " ".join(stages)
        assert "dropout1" not in " ".join(stages)


def test_invalid_fractions() -> None:
    assert "dropout must be in [0, 1), got 1.0" in error_of("numpy_cnn", "train", "--dropout", 1)
    assert "vgg has its own layers, got dropout 0.5" in error_of(
        "numpy_cnn", "train", "--arch", "vgg", "--dropout", 0.5
    )
