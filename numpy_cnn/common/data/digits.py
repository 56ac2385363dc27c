"""The embedded data set: 1,797 handwritten digits, 8x8, that need no download.

Source and licence: ``digits.LICENSE`` beside this file.
"""

from __future__ import annotations

from importlib import resources

import numpy as np

from numpy_cnn.common.data.dataset import Dataset, PixelScale, Split

IMAGE_SIZE = (8, 8)

# Pixels count the inked points of a 4x4 block of a 32x32 bitmap. Mean and std of the training images.
PIXEL = PixelScale(maximum=16, mean=0.3058, std=0.3764)

TEST_EVERY = 5


def load() -> Dataset:
    """1,438 training and 359 test images, ``(N, 1, 8, 8)``.

    The split is fixed: every fifth image of the file (index % 5 == 4) is a test image, 21 (the ones) to 52
    (the threes) of each digit. The same people wrote the digits of both splits.
    """
    with (
        resources.files(__package__).joinpath("digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        images, labels = arrays["images"], arrays["labels"]
    everything = Split(PIXEL.inputs(images[:, None]), labels.astype(np.int64))
    test = np.arange(len(labels)) % TEST_EVERY == TEST_EVERY - 1
    return Dataset("digits", everything[~test], everything[test], PIXEL)
