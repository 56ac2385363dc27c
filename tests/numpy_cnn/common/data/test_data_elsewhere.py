"""MNIST in the formats of other programs: both backends read identical bits."""

from __future__ import annotations

import numpy as np
import pytest
from mnist_files import small_mnist
from PIL import Image

from numpy_cnn.common.data import Dataset, load, mnist
from numpy_cnn.common.spec.errors import UserError
from torch_cnn import data as torch_data

WEB_PAGE = b"<!DOCTYPE html><html><title>404</title></html>\n"


def read(folder) -> Dataset:
    """Read the data set with both backends, check that the results are identical, and return it."""
    ours, theirs = load("mnist", folder), load("mnist", folder, torch_data.load)
    for mine, other in ((ours.train, theirs.train), (ours.test, theirs.test)):
        assert np.array_equal(mine.images, other.images)
        assert np.array_equal(mine.labels, other.labels)
    return ours


def holds(dataset: Dataset, arrays) -> bool:
    """Whether the data set contains exactly these images with these labels, in any order."""

    def key(images, labels):
        return sorted((int(label), image.tobytes()) for image, label in zip(images, labels, strict=True))

    return all(
        key(split.images, split.labels)
        == key(mnist.PIXEL.inputs(arrays[f"{name}_images"])[:, None], arrays[f"{name}_labels"])
        for name, split in (("train", dataset.train), ("test", dataset.test))
    )


def write_csv(path, images, labels, header=True) -> None:
    rows = np.concatenate([labels[:, None], images.reshape(len(images), -1)], axis=1)
    names = ",".join(["label", *(f"pixel{n}" for n in range(images[0].size))])
    np.savetxt(path, rows, fmt="%d", delimiter=",", header=names if header else "", comments="")


@pytest.mark.parametrize("header", [True, False])
def test_two_tables(tmp_path, header):
    arrays = small_mnist()
    for name in ("train", "test"):
        write_csv(tmp_path / f"mnist_{name}.csv", arrays[f"{name}_images"], arrays[f"{name}_labels"], header)
    assert holds(read(tmp_path), arrays)


def test_a_table_with_a_test_set_that_has_no_labels(tmp_path):
    """As in Kaggle's competition: every sixth labelled image is a test image."""
    arrays = small_mnist()
    write_csv(tmp_path / "train.csv", arrays["train_images"], arrays["train_labels"])
    np.savetxt(tmp_path / "test.csv", arrays["test_images"].reshape(20, -1), fmt="%d", delimiter=",")
    dataset = read(tmp_path)
    assert (len(dataset.train), len(dataset.test)) == (42, 8)
    assert np.array_equal(dataset.test.labels, arrays["train_labels"][5::6])


def test_keras_npz(tmp_path):
    arrays = small_mnist()
    names = {
        "x_train": "train_images",
        "y_train": "train_labels",
        "x_test": "test_images",
        "y_test": "test_labels",
    }
    np.savez(tmp_path / "mnist.npz", **{theirs: arrays[ours] for theirs, ours in names.items()})
    assert holds(read(tmp_path), arrays)


@pytest.mark.parametrize("inverted", [False, True])
def test_folders_of_pictures_by_class(tmp_path, inverted):
    arrays = small_mnist()
    for name in ("train", "test"):
        arrays[f"{name}_images"] //= 4  # mostly dark, like MNIST
        for number, (image, label) in enumerate(
            zip(arrays[f"{name}_images"], arrays[f"{name}_labels"], strict=True)
        ):
            folder = tmp_path / name / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(255 - image if inverted else image).save(folder / f"{number}.png")
    assert holds(read(tmp_path), arrays)


def refused(folder) -> str:
    with pytest.raises(UserError) as error:
        load("mnist", folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_other_contents_give_one_line(tmp_path):
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    np.savez(pickled / "mnist.npz", x_train=np.array([{}]), y_train=[0], x_test=[0], y_test=[0])
    assert "mnist.npz: contains Python objects, which are not read" in refused(pickled)
    (pickled / "mnist.npz").write_bytes(WEB_PAGE)
    assert "mnist.npz: not a readable .npz file of numbers, but a web page or an XML file" in refused(pickled)

    huge = tmp_path / "huge"
    huge.mkdir()
    np.savez_compressed(huge / "mnist.npz", x_train=np.zeros(200_000_000, np.uint8))
    assert "more than MNIST (200000000)" in refused(huge)

    other = tmp_path / "other"
    other.mkdir()
    np.savez(other / "weights.npz", w=np.zeros(3))
    assert "x_train, y_train, x_test, y_test missing" in refused(other)

    table = tmp_path / "table"
    table.mkdir()
    (table / "train.csv").write_text("label,a,b,c\n1,2,3,4\n")
    assert "expected rows of a label and 784 pixels" in refused(table) or "have no labels" in refused(table)
    (table / "train.csv").write_text("name,age\nx,3\n")
    assert "not a table of whole numbers" in refused(table)
    (table / "train.csv").write_bytes(WEB_PAGE)
    assert "train.csv: not a table of numbers, but a web page or an XML file" in refused(table)
    (table / "train.csv").write_text("label,pixel\n")
    assert "train.csv: has no rows of numbers" in refused(table)

    labels = tmp_path / "labels" / "3"
    labels.mkdir(parents=True)
    (labels / "notes.txt").write_text("by hand")
    assert "notes.txt: not a picture" in refused(labels.parent)
    (labels / "notes.txt").rename(labels / "a.png")
    assert "a.png: not a picture that can be read, but a text file" in refused(labels.parent)
    (labels / "a.png").write_bytes(WEB_PAGE)
    assert "a.png: not a picture that can be read, but a web page or an XML file" in refused(labels.parent)
