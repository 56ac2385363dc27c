"""Splits, the limit, the validation split, and the scale of the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_cnn.common.data import Dataset, PixelScale, Split, digits, hold_out, limit, load
from numpy_cnn.common.spec.errors import UserError


def numbered(n: int) -> Split:
    """A split in which each image and label equals its index."""
    return Split(np.arange(n, dtype=np.float32).reshape(n, 1, 1, 1), np.arange(n))


@given(n=st.integers(2, 200), fraction=st.floats(0, 0.5), seed=st.integers(0, 2**32 - 1))
def test_hold_out_splits_the_examples(n, fraction, seed):
    train, validation = hold_out(numbered(n), fraction, seed)

    assert len(validation) == (0 if fraction == 0 else max(1, round(fraction * n)))
    assert sorted([*train.labels, *validation.labels]) == list(range(n))
    for part in (train, validation):
        assert (part.images.ravel() == part.labels).all()
        assert (np.diff(part.labels) > 0).all()


def test_hold_out_depends_only_on_the_seed():
    def held(seed):
        return hold_out(numbered(100), 0.1, seed)[1].labels.tolist()

    assert held(0) == held(0)
    assert held(0) != held(1)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_hold_out_rejects_a_fraction_outside_its_range(fraction):
    with pytest.raises(UserError, match=f"at least 0 and below 1, not {fraction}"):
        hold_out(numbered(10), fraction, 0)


def test_hold_out_leaves_something_to_train_on():
    with pytest.raises(UserError, match="holds out 1 of 1 images"):
        hold_out(numbered(1), 0.5, 0)


def test_limit_takes_the_first_training_examples_only():
    dataset = Dataset("numbers", numbered(10), numbered(5), PixelScale(1, 0, 1))
    limited = limit(dataset, 3)

    assert limited.train.labels.tolist() == [0, 1, 2]
    assert limited.train.images.ravel().tolist() == [0, 1, 2]
    assert len(limited.test) == 5
    assert limit(dataset, None) is dataset
    assert len(limit(dataset, 10).train) == 10


@pytest.mark.parametrize(("n", "message"), [(0, "0 images"), (-1, "-1 images"), (11, "numbers has 10")])
def test_limit_rejects_more_examples_than_there_are(n, message):
    with pytest.raises(UserError, match=message):
        limit(Dataset("numbers", numbered(10), numbered(5), PixelScale(1, 0, 1)), n)


def test_converting_pixels_to_inputs_leaves_the_pixels_unchanged():
    pixels = np.array([[0, 8, 16]], dtype=np.uint8)
    inputs = PixelScale(maximum=16, mean=0.5, std=0.25).inputs(pixels)

    assert inputs.dtype == np.float32
    assert inputs.tolist() == [[-2, 0, 2]]
    assert pixels.tolist() == [[0, 8, 16]]
    assert PixelScale(16, 0.5, 0.25).fraction(inputs).tolist() == [[0, 0.5, 1]]


def test_load_rejects_an_unknown_name():
    assert load("digits").train.images.shape == digits.load().train.images.shape
    with pytest.raises(UserError, match="unknown data set 'cifar': choose digits or mnist"):
        load("cifar")
