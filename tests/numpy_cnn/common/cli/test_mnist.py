"""Training on MNIST from the command line, and damaged or missing files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from mnist_files import idx_bytes, small_mnist, write_mnist
from programs import (
    OTHER,
    PROGRAMS,
    error_of,
    succeed,
)

from numpy_cnn.common.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small MNIST whose images are noise."""
    folder = tmp_path_factory.mktemp("mnist")
    write_mnist(folder / "MNIST" / "raw", small_mnist())
    return folder


@pytest.mark.usefixtures("no_pictures")
def test_training_on_mnist_stores_the_data_set(tmp_path: Path, program: str, small: Path) -> None:
    flags = ("--data", "mnist", "--epochs", 1, "--filters", 2, "--hidden", 4)
    result = succeed(program, "train", *flags, "--data-dir", small, "--out", tmp_path / "run")
    assert "mnist: 45 images to train, 5 to validate, 20 to test" in result.out
    path = RunFolder(tmp_path / "run").best
    assert "of 20 test images" in succeed(program, "evaluate", path).out
    assert "of 20 test images" in succeed(OTHER[program], "evaluate", path, "--data-dir", small).out
    message = error_of(program, "evaluate", path, "--data-dir", tmp_path)
    assert message.startswith("MNIST: files are missing: expected train-images-idx3-ubyte, ")


@pytest.mark.usefixtures("no_pictures")
def test_both_programs_learn_the_real_mnist(tmp_path: Path, mnist_dir: Path) -> None:
    flags = ("--data", "mnist", "--data-dir", mnist_dir, "--limit", 1000, "--epochs", 3)
    reports = {}
    for name in PROGRAMS:
        out = succeed(name, "train", *flags, "--out", tmp_path / name, "--json", "-").out
        reports[name] = json.loads(out)
        assert reports[name]["test_accuracy"] > 0.8
        path = RunFolder(tmp_path / name).best
        evaluated = json.loads(succeed(OTHER[name], "evaluate", path, "--json", "-").out)
        assert evaluated["correct"] == round(reports[name]["test_accuracy"] * 10_000)


def damaged(folder: Path, damage: str) -> str:
    """Damage one of the files; return the expected message."""
    arrays = small_mnist()
    files = write_mnist(folder, arrays)
    content = files.train_images.read_bytes()
    if damage == "truncated":
        files.train_images.write_bytes(content[:-1])
        return "expected 50x28x28 = 39200 bytes after the header, found 39199"
    if damage == "truncated gzip":
        files.train_images.unlink()
        files.train_images.with_suffix(".gz").write_bytes(gzip.compress(content)[:-9])
        return "expected gzip data, found damaged ones"
    if damage == "magic":
        files.train_images.write_bytes(b"\0\0\x08\x04" + content[4:])
        return "expected magic number 0x00000803"
    if damage == "missing":
        files.train_images.unlink()
        return "expected train-images-idx3-ubyte (plain or .gz) in"
    files.train_labels.write_bytes(idx_bytes(arrays["train_labels"][:-1]))
    return "contains 50 images and"


@pytest.mark.parametrize("damage", ["truncated", "truncated gzip", "magic", "missing", "length"])
def test_damaged_files_of_mnist_are_reported(tmp_path: Path, program: str, damage: str) -> None:
    reported = damaged(tmp_path, damage)
    message = error_of(program, "train", "--data", "mnist", "--data-dir", tmp_path, "--out", tmp_path / "run")
    assert reported in message
    assert str(tmp_path) in message
    assert not (tmp_path / "run").exists()


def test_a_missing_data_folder_is_reported_with_the_files(here: Path, program: str) -> None:
    message = error_of(program, "train", "--data", "mnist", "--data-dir", "nowhere")
    assert message.startswith("MNIST: no such folder: expected train-images-idx3-ubyte, ")
    assert "in nowhere/MNIST/raw; --download fetches them, --data-dir names another folder" in message
