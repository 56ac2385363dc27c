"""Adapting a data set to the inputs and classes of a network."""

from __future__ import annotations

import numpy as np
import pytest

from numpy_cnn.common.data import Dataset, PixelScale, Split, fit, load
from numpy_cnn.common.spec.errors import UserError


def test_a_data_set_that_fits_is_unchanged():
    dataset = load("digits")

    for classes in (10, 12):
        fitted, note = fit(dataset, (8, 8), classes)
        assert fitted is dataset
        assert note is None


def test_digits_for_the_tiny_network():
    dataset, note = fit(load("digits"), (4, 4), 2)

    assert note == "digits: images averaged 8x8 -> 4x4; only classes 0-1 kept (360 of 1797 images)"
    assert dataset.train.images.shape[1:] == (1, 4, 4)
    assert dataset.train.images.dtype == np.float32
    assert set(dataset.train.labels) == set(dataset.test.labels) == {0, 1}
    assert len(dataset.train) + len(dataset.test) == 360


def test_averaging_takes_the_mean_of_each_block():
    images = np.arange(2 * 4 * 6, dtype=np.float32).reshape(2, 1, 4, 6)
    split = Split(images, np.zeros(2, np.int64))
    dataset = Dataset("numbers", split, split, PixelScale(1, 0, 1))

    fitted, note = fit(dataset, (2, 3), 1)
    by_hand = [
        [images[n, 0, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean() for j in range(3)]
        for n in range(2)
        for i in range(2)
    ]
    assert fitted.train.images.reshape(4, 3).tolist() == by_hand
    assert note == "numbers: images averaged 4x6 -> 2x3"


@pytest.mark.parametrize("image_size", [(3, 3), (16, 16), (0, 4), (8, 7)])
def test_only_whole_factors_work(image_size):
    with pytest.raises(
        UserError, match=r"digits has 8x8, .* whole factor: train with --image-size 8 8, .* 1, 2, 4, 8"
    ):
        fit(load("digits"), image_size, 10)


def test_a_single_class_is_named_as_one():
    _, note = fit(load("digits"), (8, 8), 1)
    assert note == "digits: only class 0 kept (178 of 1797 images)"


def test_missing_classes_are_reported():
    dataset = load("digits")
    with pytest.raises(UserError, match="at least 1 class, not 0"):
        fit(dataset, (8, 8), 0)

    nines = Dataset("nines", dataset.train[dataset.train.labels == 9], dataset.test, dataset.pixel)
    with pytest.raises(UserError, match="nines has 0 training"):
        fit(nines, (8, 8), 2)
