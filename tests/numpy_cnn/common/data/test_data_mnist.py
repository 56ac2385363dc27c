"""Reading MNIST: supported locations and names of its files, and messages for missing or damaged ones."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from mnist_files import idx_bytes, real_mnist_dir, small_mnist, write_mnist

from numpy_cnn.common.data import hold_out, load, mnist
from numpy_cnn.common.spec.errors import UserError


def test_a_file_instead_of_its_folder(tmp_path):
    file = write_mnist(tmp_path, small_mnist()).train_images
    with pytest.raises(UserError, match=f"this is a file; name its folder: {tmp_path}"):
        mnist.load(file)


@pytest.mark.parametrize("folder", ["MNIST/raw", ".", "raw", "MNIST", "mnist/raw", "data/MNIST/raw", "Data"])
@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_every_layout_gives_the_same_arrays(tmp_path, folder, gzipped, dotted):
    arrays = small_mnist()
    files = write_mnist(tmp_path / folder, arrays, gzipped, dotted)

    assert mnist.find(tmp_path) == files
    dataset = load("mnist", tmp_path)
    assert np.array_equal(dataset.train.labels, arrays["train_labels"])
    assert dataset.test.labels.dtype == np.int64
    assert np.array_equal(dataset.test.images, mnist.PIXEL.inputs(arrays["test_images"])[:, None])


@pytest.mark.parametrize("gzipped", [False, True])
def test_names_in_capitals_are_found(tmp_path, gzipped):
    arrays = small_mnist()
    for path in vars(write_mnist(tmp_path, arrays, gzipped)).values():
        path.rename(path.with_name(path.name.upper()))
    assert np.array_equal(load("mnist", tmp_path).train.labels, arrays["train_labels"])


def test_a_missing_folder_is_reported_with_the_expected_files(tmp_path):
    with pytest.raises(UserError) as error:
        load("mnist", tmp_path / "absent")
    names = [path.name for path in vars(mnist.standard_files(tmp_path)).values()]
    for part in (str(tmp_path / "absent" / "MNIST" / "raw"), *names, "--download", "--data-dir"):
        assert part in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    write_mnist(tmp_path / "MNIST" / "raw", small_mnist()).test_labels.unlink()

    with pytest.raises(UserError, match=r"expected t10k-labels-idx1-ubyte \(plain or \.gz\) in .*raw; --download"):
        load("mnist", tmp_path)


def test_images_and_labels_of_different_length(tmp_path):
    arrays = small_mnist()
    write_mnist(tmp_path, arrays | {"train_labels": arrays["train_labels"][:-1]})

    with pytest.raises(
        UserError, match=r"train-images.* contains 50 images and .*train-labels.* contains 49 labels"
    ):
        load("mnist", tmp_path)


def test_a_label_that_is_not_a_digit(tmp_path):
    arrays = small_mnist()
    arrays["test_labels"][3] = 11
    write_mnist(tmp_path, arrays)

    with pytest.raises(UserError, match=r"t10k-labels.*: expected labels from 0 to 9, found 11 at index 3"):
        load("mnist", tmp_path)


def test_training_and_test_images_of_different_size(tmp_path):
    write_mnist(tmp_path, small_mnist() | {"test_images": np.zeros((20, 14, 14), np.uint8)})

    with pytest.raises(UserError, match=r"contains 28x28 images and .* contains 14x14 ones"):
        load("mnist", tmp_path)


def test_the_reader_reports_damage(tmp_path):
    files = write_mnist(tmp_path, small_mnist())
    files.train_images.write_bytes(idx_bytes(small_mnist()["train_images"])[:-100])

    with pytest.raises(UserError, match="cut short"):
        load("mnist", tmp_path)


def test_download_skips_existing_files(tmp_path, monkeypatch):
    write_mnist(tmp_path, small_mnist(), gzipped=True)
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_options: pytest.fail("a process was started"))

    assert len(load("mnist", tmp_path, download=True).train) == 50


def test_download_without_torchvision_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "find_spec", lambda _name: None)

    with pytest.raises(UserError, match="not installed: pip install torchvision"):
        load("mnist", tmp_path, download=True)


def test_a_failed_download_reports_the_line_of_its_process(tmp_path, monkeypatch):
    def failing(command, **_options):
        assert command[1:] == ["-m", "torch_cnn.data", str(tmp_path)]
        return subprocess.CompletedProcess(command, 2, stdout="no network\n")

    monkeypatch.setattr(mnist, "find_spec", lambda _name: True)
    monkeypatch.setattr(subprocess, "run", failing)
    with pytest.raises(UserError, match=r"^no network$"):
        load("mnist", tmp_path, download=True)


def test_the_constants_are_those_of_the_real_training_images():
    dataset = load("mnist", real_mnist_dir())
    raw, _ = mnist.read(mnist.find(real_mnist_dir()))
    counts = np.bincount(raw.images.ravel(), minlength=256)
    share = np.arange(256) / mnist.PIXEL.maximum
    mean = np.average(share, weights=counts)
    std = np.sqrt(np.average((share - mean) ** 2, weights=counts))

    assert dataset.train.images.shape == (60_000, 1, 28, 28)
    assert dataset.test.images.shape == (10_000, 1, 28, 28)
    assert (round(mean, 4), round(std, 4)) == (mnist.PIXEL.mean, mnist.PIXEL.std)


def equal(dataset, arrays) -> bool:
    """Whether the data set contains exactly these images, in this order."""
    return all(
        np.array_equal(split.images, mnist.PIXEL.inputs(arrays[f"{name}_images"])[:, None])
        and np.array_equal(split.labels, arrays[f"{name}_labels"])
        for name, split in (("train", dataset.train), ("test", dataset.test))
    )


def test_each_file_may_be_in_a_folder_of_its_name(tmp_path):
    for path in vars(write_mnist(tmp_path, small_mnist())).values():
        content = path.read_bytes()
        path.unlink()
        path.mkdir()
        (path / path.name).write_bytes(content)
    assert equal(load("mnist", tmp_path), small_mnist())


def test_test_files_alone_are_enough_to_evaluate_and_not_to_train(tmp_path):
    files = write_mnist(tmp_path, small_mnist())
    files.train_images.unlink()
    files.train_labels.unlink()
    dataset = load("mnist", tmp_path)
    assert (len(dataset.train), len(dataset.test)) == (0, 20)
    with pytest.raises(UserError, match="no training images"):
        hold_out(dataset.train, 0.1, 0)


def test_unrecognised_files_are_listed(tmp_path):
    (tmp_path / "train.parquet").touch()
    with pytest.raises(UserError, match=r"not understood: train\.parquet; --download"):
        load("mnist", tmp_path)
