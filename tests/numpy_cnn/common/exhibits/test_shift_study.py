"""The study of shifted digits: shifting, counting, and the written results."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mnist_files import small_mnist, write_mnist
from PIL import Image
from programs import HANG, PROGRAMS, error_of, start, succeed

import numpy_cnn.views.dense
import torch_cnn.views.dense
from numpy_cnn.backend import Backend
from numpy_cnn.common.data import mnist
from numpy_cnn.common.data.dataset import Split
from numpy_cnn.common.exhibits.shift_study import picture
from numpy_cnn.common.exhibits.shift_study.dense import DenseSizes
from numpy_cnn.common.exhibits.shift_study.picture import _apart
from numpy_cnn.common.exhibits.shift_study.shifts import DIRECTIONS, ink_kept, measure, shifted
from numpy_cnn.common.exhibits.shift_study.training import train
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.initial import initial_parameters

DENSE = {"numpy_cnn": numpy_cnn.views.dense.Dense, "torch_cnn": torch_cnn.views.dense.Dense}


def test_shifted_pixels_beyond_the_edge_are_dropped() -> None:
    image = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    assert shifted(image, 1, 0, 0.0)[0, 0].tolist() == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    assert shifted(image, 0, -2, -1.0)[0, 0].tolist() == [[3, -1, -1], [6, -1, -1], [9, -1, -1]]
    assert shifted(image, 0, 0, 0.0).tolist() == image.tolist()
    assert image.ravel().tolist() == [*range(1, 10)], "the picture itself is left alone"
    with pytest.raises(ValueError, match="a shift by 3 rows and 0 columns leaves nothing of 3x3 pixels"):
        shifted(image, 3, 0, 0.0)


def test_the_ink_that_stays_is_counted() -> None:
    pixels = np.zeros((1, 1, 5, 5))
    pixels[0, 0, 2, 2] = pixels[0, 0, 2, 4] = 1
    # A shift by one to the right drops the second point: half of the ink, in one of four directions.
    assert ink_kept(pixels, 2).tolist() == [1, 1 - 1 / 8, 1 - 1 / 8]


def test_the_share_of_right_answers_is_measured_in_each_direction() -> None:
    class Corner:
        """Predicts class 1 if the upper left pixel has ink."""

        def logits(self, images: np.ndarray) -> np.ndarray:
            return np.stack([np.full(len(images), 0.5), images[:, 0, 0, 0]], axis=1)

    images = np.zeros((4, 1, 3, 3), np.float32)
    images[:2, 0, 0, 0] = 1  # found only without a shift
    images[2:, 0, 0, 1] = 1  # found only after a shift to the left by one
    table = measure(Corner(), Split(images, np.ones(4, np.int64)), 1, 0.0)
    assert table[0] == dict.fromkeys([*DIRECTIONS, "mean"], 0.5)
    assert table[1] == {"up": 0, "down": 0, "left": 0.5, "right": 0, "mean": 0.125}


def test_both_dense_networks_give_the_same_scores() -> None:
    """With small integers in float64, both networks give the exact scores."""
    rng = np.random.default_rng(0)
    sizes = DenseSizes(pixels=16, hidden=5, classes=4)
    parameters = {
        name: rng.integers(-3, 4, shape).astype(np.float64) for name, shape in sizes.parameter_shapes().items()
    }
    images = rng.integers(-3, 4, (6, 1, 4, 4)).astype(np.float64)
    networks = [kind(parameters, OptimizerConfig(optimizer="sgd")) for kind in DENSE.values()]
    first, second = (network.logits(images) for network in networks)
    assert np.array_equal(first, second)
    x = images.reshape(6, 16)
    hidden = np.maximum(x @ parameters["fc1.weight"].T + parameters["fc1.bias"], 0)
    assert np.array_equal(first, hidden @ parameters["fc2.weight"].T + parameters["fc2.bias"])


@pytest.mark.parametrize("program", sorted(DENSE))
def test_a_dense_network_learns(program: str) -> None:
    rng, sizes = np.random.default_rng(0), DenseSizes(pixels=16, hidden=32, classes=3)
    labels = rng.integers(0, 3, 60)
    images = (rng.standard_normal((60, 1, 4, 4)) + 2 * labels[:, None, None, None]).astype(np.float32)
    start_here = sizes.initial_parameters(0)
    before = {name: array.copy() for name, array in start_here.items()}
    network = DENSE[program](start_here, OptimizerConfig())
    losses = [network.train_step(images, labels, 0.01)[0] for _ in range(100)]
    assert losses[-1] < losses[0] / 4
    assert all(np.array_equal(before[name], array) for name, array in start_here.items()), "copied, not changed"


def test_the_study_is_printed_drawn_and_written(tmp_path: Path, program: str) -> None:
    write_mnist(tmp_path / "data", small_mnist())
    out = tmp_path / "out"
    result = succeed(
        program, "shift-study", "--data-dir", tmp_path / "data", "--epochs", 1, "--limit", 40, "--pools", 2, 6,
        "--out", out,
    )  # fmt: skip
    *table, drawing, numbers = result.out.splitlines()
    assert [drawing, numbers] == [f"{out}/shift_study.png", f"{out}/shift_study.json"]
    assert len([line for line in table if "%" in line]) == 3 * 5
    assert "SimpleCNN: training on 40 images" in result.err
    with Image.open(drawing) as drawn:
        assert min(drawn.size) > 500
    report = json.loads(Path(numbers).read_text())
    assert (report["schema"], report["backend"], report["train_images"], report["test_images"]) == (
        1,
        program,
        40,
        20,
    )
    assert [network["name"] for network in report["networks"]] == ["dense", "SimpleCNN", "SimpleCNN, pool 6"]
    assert [network["parameters"] for network in report["networks"]] == [101_770, 174_554, 17_882]
    assert len(report["ink_kept"]) == 5
    assert report["ink_kept"][0] == 1
    for network in report["networks"]:
        assert network["seconds"] > 0
        assert [row["pixels"] for row in network["shifts"]] == [0, 1, 2, 3, 4]
        for row in network["shifts"]:
            assert row["mean"] == sum(row[direction] for direction in DIRECTIONS) / 4


def test_the_axes_of_the_picture_are_labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(picture, "save", lambda figure, _: figures.append(figure))
    table = [dict.fromkeys([*DIRECTIONS, "mean"], accuracy) for accuracy in (0.9, 0.4)]
    picture.draw({"dense": table}, picture.Walk(np.zeros((2, 4, 4)), 3, {"dense": [3, 5]}), "", Path("s.png"))
    *_, axes = figures[0].axes
    assert axes.get_xlabel().startswith("shift in pixels")
    assert axes.get_ylabel() == "accuracy on the test images"


def test_on_the_real_mnist_a_shift_costs_the_dense_network_most(mnist_dir: Path) -> None:
    """The result of docs/shift-study.md on fewer images."""
    dataset, optimization = mnist.load(mnist_dir), OptimizerConfig()
    test, means = dataset.test[:1500], {}
    for name, learner in {
        "dense": numpy_cnn.views.dense.Dense(DenseSizes().initial_parameters(0), optimization),
        "SimpleCNN": Backend(Architecture(), initial_parameters(Architecture(), 0), optimization),
    }.items():
        train(learner, dataset.train[:12_000], optimization, epochs=2, batch_size=64, seed=0)
        table = measure(learner, test, 4, float(dataset.pixel.inputs(np.zeros(1)).item()))
        means[name] = [row["mean"] for row in table]
        assert means[name] == sorted(means[name], reverse=True)
        assert means[name][0] > 0.9
        assert means[name][4] < 0.5, "moved by 4 pixels, most digits are lost"
    assert means["SimpleCNN"][3] > means["dense"][3]
    kept = ink_kept(dataset.pixel.fraction(test.images).clip(0, 1).round(6), 4)
    assert kept[4] > 0.99, "although nearly all of their ink is there"


def test_mistakes_are_reported(tmp_path: Path, program: str) -> None:
    assert "MNIST: no such folder" in error_of(program, "shift-study", "--data-dir", tmp_path / "none")
    assert error_of(program, "shift-study", "--epochs", 0) == "--epochs must be at least 1, got 0"
    assert error_of(program, "shift-study", "--seed", -1) == "--seed must not be negative, got -1"
    assert error_of(program, "shift-study", "--pools", 2, 2) == "--pools contains a size twice: 2 2"
    assert "pool1 needs at least 30 pixels" in error_of(program, "shift-study", "--pools", 30)
    write_mnist(tmp_path, {name: a[:, :20, :20] if a.ndim == 3 else a for name, a in small_mnist().items()})
    message = error_of(program, "shift-study", "--data-dir", tmp_path, "--out", tmp_path / "out")
    assert message == f"{tmp_path}: the images have 20x20 pixels; shift-study needs 28x28"
    (tmp_path / "file").touch()
    assert "that is a file, not a folder" in error_of(program, "shift-study", "--out", tmp_path / "file")


def test_ctrl_c_ends_it_with_one_line(tmp_path: Path) -> None:
    write_mnist(tmp_path / "data", small_mnist())
    process = start(
        "-m", "numpy_cnn", "shift-study", "--data-dir", "data", "--epochs", 100_000, "--out", "out", cwd=tmp_path
    )  # fmt: skip
    try:
        assert process.stderr.readline() == "dense: training on 50 images\n"
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, reported = process.communicate(timeout=HANG)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out) == (130, "")
    assert reported.endswith("numpy_cnn: interrupted\n")
    assert "Traceback" not in reported


def test_labels_of_lines_with_equal_ends_do_not_overlap() -> None:
    assert _apart([0.5, 0.2, 0.9], 0.05) == [0.5, 0.2, 0.9]
    assert [round(height, 6) for height in _apart([0.5, 0.49, 0.51], 0.05)] == [0.54, 0.49, 0.59]
    assert [*PROGRAMS] == [*DENSE]


def test_every_network_sees_the_same_images_in_the_same_order() -> None:
    class Recording:
        """Records the labels of its batches instead of learning."""

        def __init__(self) -> None:
            self.batches: list[list[int]] = []

        def train_step(self, images: np.ndarray, labels: np.ndarray, lr: float) -> tuple[float, np.ndarray]:
            self.batches.append(labels.tolist())
            return lr, np.zeros((len(images), 1))

        def logits(self, images: np.ndarray) -> np.ndarray:
            return images

    images, orders = Split(np.zeros((20, 1, 3, 3), np.float32), np.arange(20)), []
    for seed in (0, 0, 1):
        train(network := Recording(), images, OptimizerConfig(), epochs=2, batch_size=8, seed=seed)
        assert [len(batch) for batch in network.batches] == [8, 8, 4] * 2
        orders.append([label for batch in network.batches for label in batch])
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0][:20]) == sorted(orders[0][20:]) == [*range(20)]
    assert orders[0][:20] != orders[0][20:], "each epoch has its own order"
