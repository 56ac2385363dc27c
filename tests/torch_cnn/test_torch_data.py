"""torchvision's MNIST and the hand-written reader give identical bits and the same errors."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from mnist_files import idx_bytes, real_mnist_dir, small_mnist, write_mnist

from numpy_cnn.common.data import Dataset, load, mnist
from numpy_cnn.common.spec.errors import UserError
from torch_cnn import data as torch_data
from torch_cnn import torchvision_import


def assert_bit_equal(ours: Dataset, theirs: Dataset) -> None:
    for mine, other in ((ours.train, theirs.train), (ours.test, theirs.test)):
        assert mine.images.dtype == other.images.dtype == np.float32
        assert mine.labels.dtype == other.labels.dtype == np.int64
        assert np.array_equal(mine.images.view(np.uint32), other.images.view(np.uint32))
        assert np.array_equal(mine.labels, other.labels)


@pytest.mark.parametrize("folder", ["MNIST/raw", "."])
@pytest.mark.parametrize("gzipped", [False, True])
def test_both_readers_are_bit_equal_on_a_small_set(tmp_path, folder, gzipped):
    write_mnist(tmp_path / folder, small_mnist(), gzipped)

    assert_bit_equal(load("mnist", tmp_path), load("mnist", tmp_path, torch_data.load))


def test_every_pixel_value_becomes_the_same_bits(tmp_path):
    arrays = small_mnist()
    arrays["train_images"].reshape(-1)[:256] = np.arange(256)
    write_mnist(tmp_path, arrays)

    theirs = load("mnist", tmp_path, torch_data.load).train.images.reshape(-1)[:256]
    assert np.array_equal(theirs.view(np.uint32), mnist.PIXEL.inputs(np.arange(256)).view(np.uint32))


def test_both_readers_are_bit_equal_on_the_real_mnist():
    folder = real_mnist_dir()
    assert_bit_equal(load("mnist", folder), load("mnist", folder, torch_data.load))


@pytest.mark.parametrize("damage", ["cut", "swapped", "missing"])
def test_a_bad_file_gives_the_same_line_on_both_sides(tmp_path, damage):
    files = write_mnist(tmp_path / "MNIST" / "raw", small_mnist())
    if damage == "cut":
        files.train_images.write_bytes(files.train_images.read_bytes()[:-1])
    elif damage == "swapped":
        files.train_images.write_bytes(idx_bytes(small_mnist()["train_labels"]))
    else:
        files.test_images.unlink()

    messages = []
    for loader in (mnist.load, torch_data.load):
        with pytest.raises(UserError) as error:
            load("mnist", tmp_path, loader)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_a_download_without_a_network_is_one_line(tmp_path, monkeypatch):
    datasets = torchvision_import.torchvision_module("datasets")
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://localhost:9/"])

    with pytest.raises(UserError, match=r"cannot download MNIST into .*: .*check the network") as error:
        torch_data.download(tmp_path)
    assert "\n" not in str(error.value)


def test_the_download_process_prints_what_went_wrong(tmp_path, monkeypatch, capsys):
    def failing(_folder):
        raise UserError("no network")

    monkeypatch.setattr(torch_data, "download", failing)
    assert torch_data.main([str(tmp_path)]) == 2
    assert capsys.readouterr().out == "no network\n"


def test_no_operators_are_declared_if_torchvision_has_its_own():
    extension = torchvision_import.torchvision_module("extension")
    torchvision_import.torchvision_module("transforms.v2")
    assert not (extension._has_ops() and torchvision_import._declared)


def test_a_torchvision_that_cannot_be_imported_gives_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(UserError, match=r"cannot import torchvision .* pip install torchvision"):
        torchvision_import.torchvision_module("datasets")
