"""Adapt a data set to a network: fewer classes, smaller images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from numpy_cnn.common.data.dataset import Dataset, Split
from numpy_cnn.common.spec.errors import UserError


def fit(dataset: Dataset, image_size: tuple[int, int], classes: int) -> tuple[Dataset, str | None]:
    """Keep the labels below ``classes`` and average the images down to ``image_size`` (height, width).

    Returns the data set and one line that describes the changes, or None. A network with more outputs than labels
    is not changed: its additional outputs learn low scores.

    Raises UserError if ``classes`` is below 1, or the images are not a whole multiple of ``image_size``.
    """
    if classes < 1:
        raise UserError(f"a network needs at least 1 class, not {classes}")
    notes = []

    height, width = dataset.train.images.shape[2:]
    if (height, width) != image_size:
        _check_multiple(dataset.name, (height, width), image_size)
        notes.append(f"images averaged {height}x{width} -> {image_size[0]}x{image_size[1]}")
        dataset = replace(
            dataset,
            train=replace(dataset.train, images=average_pixels(dataset.train.images, image_size)),
            test=replace(dataset.test, images=average_pixels(dataset.test.images, image_size)),
        )

    train, test = _below(dataset.train, classes), _below(dataset.test, classes)
    kept, total = len(train) + len(test), len(dataset.train) + len(dataset.test)
    if kept < total:
        if (len(dataset.train) and not len(train)) or not len(test):
            raise UserError(
                f"{dataset.name} has {len(train)} training and {len(test)} test images with a label "
                f"below {classes}: both must have some; use more classes or a larger limit"
            )
        which = "class 0" if classes == 1 else f"classes 0-{classes - 1}"
        notes.append(f"only {which} kept ({kept} of {total} images)")
        dataset = replace(dataset, train=train, test=test)

    return dataset, f"{dataset.name}: {'; '.join(notes)}" if notes else None


def average_pixels(images: NDArray[np.float32], image_size: tuple[int, int]) -> NDArray[np.float32]:
    """``(..., H, W)`` to ``(..., h, w)``: each pixel the mean of a block of (H/h) x (W/w) pixels."""
    *rest, height, width = images.shape
    h, w = image_size
    blocks = images.reshape(*rest, h, height // h, w, width // w)
    averaged: NDArray[np.float32] = blocks.mean(axis=(-3, -1), dtype=np.float32)
    return averaged


def _below(split: Split, classes: int) -> Split:
    kept = split.labels < classes
    return split if kept.all() else split[kept]  # indexing copies all images, so skip it if all are kept


def _check_multiple(name: str, have: tuple[int, int], want: tuple[int, int]) -> None:
    if min(want) >= 1 and have[0] % want[0] == 0 and have[1] % want[1] == 0:
        return
    sizes = sorted(n for n in range(1, min(have) + 1) if have[0] % n == 0 and have[1] % n == 0)
    raise UserError(
        f"the network takes {want[0]}x{want[1]} images and {name} has {have[0]}x{have[1]}, which are only "
        f"averaged down by a whole factor: train with --image-size {have[0]} {have[1]}, or with a square size, "
        f"one of {', '.join(map(str, sizes))}"
    )
