"""The embedded digits equal scikit-learn's; their split and constants are fixed."""

from __future__ import annotations

import numpy as np
import pytest

from numpy_cnn.common.data import digits


def raw_pixels(split) -> np.ndarray:
    return np.rint(digits.PIXEL.fraction(split.images) * digits.PIXEL.maximum)


def test_shapes_types_and_the_fixed_split():
    dataset = digits.load()

    assert dataset.train.images.shape == (1438, 1, 8, 8)
    assert dataset.test.images.shape == (359, 1, 8, 8)
    assert dataset.train.images.dtype == np.float32
    assert dataset.train.labels.dtype == np.int64
    assert dataset.train.labels[:8].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert dataset.test.labels[:4].tolist() == [4, 9, 4, 9]
    assert np.bincount(dataset.test.labels).tolist() == [27, 21, 34, 52, 34, 28, 31, 43, 47, 42]


def test_mean_and_std_are_those_of_the_training_images():
    share = raw_pixels(digits.load().train) / digits.PIXEL.maximum

    assert (round(share.mean(), 4), round(share.std(), 4)) == (digits.PIXEL.mean, digits.PIXEL.std)


def test_the_images_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    original = datasets.load_digits()
    dataset = digits.load()
    is_test = np.arange(len(original.target)) % 5 == 4

    for split, chosen in ((dataset.train, ~is_test), (dataset.test, is_test)):
        assert np.array_equal(raw_pixels(split)[:, 0], original.images[chosen])
        assert np.array_equal(split.labels, original.target[chosen])
