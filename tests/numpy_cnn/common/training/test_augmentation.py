"""Shifts and rotations in training: both backends, shards and resumed runs receive the same images."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from programs import PROGRAMS, bits, call, error_of, last, succeed
from test_dropout import backend
from test_group import members

from numpy_cnn.common.exhibits.shift_study.shifts import shifted
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.config import AugmentationConfig
from numpy_cnn.common.training import plan as plans
from numpy_cnn.common.training.augmentation import augmented, transformed
from numpy_cnn.common.training.group import shard, train_step

pytestmark = pytest.mark.usefixtures("no_pictures")
SMALL = ("--limit", 80, "--batch-size", 20, "--filters", 2, "--hidden", 6)
MOVING = ("--shift", 1.5, "--rotate", 20)
PAPER = -0.5


def pictures(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("offset", [(0, 0), (1, 0), (0, -2), (-3, 4), (6, 8)])
def test_a_shift_by_whole_pixels_is_a_slice(offset: tuple[int, int]) -> None:
    x = pictures(3, 2, 7, 9)
    moved = transformed(x, np.array([offset] * 3), np.zeros(3), PAPER)
    np.testing.assert_array_equal(moved, shifted(x, *offset, PAPER), strict=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [7, 8])
def test_quarter_turns_are_those_of_numpy(size: int, dtype: type) -> None:
    x = pictures(5, 2, size, size).astype(dtype)
    turned = transformed(x, np.zeros((5, 2)), np.array([0, 90, 180, -90, 360]), PAPER)
    for image, turns, result in zip(x, (0, 1, 2, -1, 0), turned, strict=True):
        expected = np.rot90(image, turns, axes=(1, 2))
        np.testing.assert_allclose(result, expected, rtol=0, atol=100 * np.finfo(dtype).eps, strict=True)


def test_pixels_between_are_interpolated() -> None:
    x = np.array([[[[4.0, 8.0], [0.0, 16.0]]]])
    moved = transformed(x, np.array([[0.25, -0.5]]), np.zeros(1), 0.0)
    across = np.array([[6.0, 4.0], [8.0, 8.0]])  # each the mean of a pixel and its right neighbour
    np.testing.assert_array_equal(moved[0, 0], [0.75 * across[0], 0.25 * across[0] + 0.75 * across[1]])


def test_every_image_has_its_own_changes_within_the_limits() -> None:
    x = np.zeros((200, 1, 15, 15), np.float32)
    x[:, :, 7, 7] = 1
    moved = augmented(x, AugmentationConfig(shift=3), [0], 0.0)[:, 0]
    np.testing.assert_allclose(moved.sum(axis=(1, 2)), 1, rtol=1e-6)
    for axis in (1, 2):
        distance = np.tensordot(moved.sum(axis=axis), np.arange(15) - 7.0, axes=1)
        assert np.abs(distance).max() <= 3
        assert distance.min() < -2.5
        assert distance.max() > 2.5
        assert len(np.unique(distance)) == 200


def test_rotation_does_not_change_the_offsets() -> None:
    x = pictures(4, 1, 8, 8)
    both = augmented(x, AugmentationConfig(shift=2, rotate=1e-9), [5], 0.0)
    np.testing.assert_allclose(both, augmented(x, AugmentationConfig(shift=2), [5], 0.0), atol=1e-6)


def test_limits_of_zero_return_the_images_themselves() -> None:
    x = pictures(4, 1, 8, 8)
    assert augmented(x, AugmentationConfig(), [0], PAPER) is x


def test_limits_of_zero_leave_a_run_unchanged(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed(program, *SMALL, "--epochs", 1, "--shift", 0, "--rotate", 0, "--out", tmp_path / "zero")
    monkeypatch.setattr(plans, "augmented", lambda images, *_: images)
    succeed(program, *SMALL, "--epochs", 1, "--out", tmp_path / "without")
    assert bits(last(tmp_path / "zero").parameters) == bits(last(tmp_path / "without").parameters)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Array]:
    """The images of all steps."""
    images: list[Array] = []

    def recorded(*arguments: object) -> Array:
        images.append(augmented(*arguments))
        return images[-1]

    monkeypatch.setattr(plans, "augmented", recorded)
    return images


def test_both_backends_receive_the_same_images(shown: list[Array], tmp_path: Path) -> None:
    for name in PROGRAMS:
        succeed(name, *SMALL, *MOVING, "--epochs", 2, "--out", tmp_path / name)
    ours, theirs = shown[:8], shown[8:]
    assert len(theirs) == 8  # 72 images, two epochs
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)
    first, second = (np.sort(np.concatenate(part), axis=None) for part in (ours[:4], ours[4:]))
    assert (first != second).any(), "each epoch has changes of its own"


def test_a_diverging_epoch_is_repeated_with_the_same_images(shown: list[Array], tmp_path: Path) -> None:
    result = call("numpy_cnn", *SMALL, *MOVING, "--optimizer", "sgd", "--lr", 1e20, "--out", tmp_path / "run")
    assert "training diverged in epoch 1: in step 2 of 4" in result.err
    assert len(shown) == 4
    for one, other in zip(shown[:2], shown[2:], strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def test_a_resumed_run_gives_the_same_bits(program: str, tmp_path: Path) -> None:
    flags = (*SMALL, *MOVING, "--schedule", "constant")
    succeed(program, *flags, "--epochs", 2, "--out", tmp_path / "whole")
    succeed(program, *flags, "--epochs", 1, "--out", tmp_path / "resumed")
    succeed(program, "--resume", tmp_path / "resumed", "--epochs", 2)
    assert bits(last(tmp_path / "whole").parameters) == bits(last(tmp_path / "resumed").parameters)
    assert error_of(program, "--resume", tmp_path / "resumed", "--shift", 3) == (
        f"--shift 3.0 contradicts {tmp_path / 'resumed'}, which was started with 1.5; omit --shift"
    )


def test_the_file_of_settings_reproduces_the_run(tmp_path: Path) -> None:
    succeed("numpy_cnn", *SMALL, *MOVING, "--epochs", 1, "--out", tmp_path / "run")
    settings = tmp_path / "run" / "run.toml"
    assert "shift = 1.5\nrotate = 20.0\n" in settings.read_text()
    succeed("numpy_cnn", "--config", settings, "--out", tmp_path / "again")
    assert bits(last(tmp_path / "run").parameters) == bits(last(tmp_path / "again").parameters)


def test_only_training_images_are_changed(tmp_path: Path) -> None:
    """Without steps, the accuracy on validation and test images depends on the images alone."""
    tested = []
    for name, flags in (("without", ()), ("moving", MOVING)):
        line = succeed("numpy_cnn", *SMALL, "--lr", 0, "--epochs", 1, *flags, "--out", tmp_path / name).out
        tested.append(line[line.index("test accuracy") : line.index(", epoch")])
    assert tested[0] == tested[1]
    rows = [last(tmp_path / run).history[0] for run in ("without", "moving")]
    assert rows[0]["validation_loss"] == rows[1]["validation_loss"]
    assert rows[0]["train_loss"] != rows[1]["train_loss"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_shard_gets_its_part_of_the_changed_images(program: str) -> None:
    x = augmented(pictures(10, 1, 8, 8).astype(np.float64), AugmentationConfig(2, 30), [0], PAPER)
    labels = np.arange(10)
    masks = {"dropout1": np.ones((10, 128), np.bool_)}
    received: list[list[Array]] = [[], [], []]

    def recording(parts: list[Array]) -> Callable[..., tuple]:
        learner = backend(program)
        compute = learner.gradients

        def gradients(images: Array, *arguments: object) -> tuple:
            parts.append(images)
            return compute(images, *arguments)

        learner.gradients = gradients
        return learner

    learners = [recording(parts) for parts in received]
    with ThreadPoolExecutor(3) as pool:
        deque(pool.map(lambda p, g: train_step(p, g, x, labels, 1.0, False, masks), learners, members(3)))
    for (images,), group in zip(received, members(3), strict=True):
        np.testing.assert_array_equal(images, x[shard(10, group)], strict=True)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--shift", -1), "--shift must be a number of pixels, at least 0, got -1.0"),
        (("--shift", "nan"), "--shift must be a number of pixels, at least 0, got nan"),
        (("--shift", "inf"), "--shift must be a number of pixels, at least 0, got inf"),
        (("--rotate", 200), "--rotate must be between 0 and 180 degrees, got 200.0"),
        (("--rotate", "nan"), "--rotate must be between 0 and 180 degrees, got nan"),
        (("--rotate", "left"), "--rotate: expected a number, got 'left'"),
        (("--shift", 8), "--shift 8 may leave nothing of an image of 8x8 pixels; pass less than 8"),
    ],
)
def test_an_invalid_limit_gives_one_line(flags: tuple, expected: str) -> None:
    assert error_of("numpy_cnn", *flags, "--dry-run") == expected
