"""Data sets and operations on their training split."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from numpy_cnn.common.spec.errors import UserError


@dataclass(frozen=True)
class PixelScale:
    """The scaling of raw pixels to inputs: ``(x / maximum − mean) / std``, in float32.

    ``maximum`` is the largest raw value; ``mean`` and ``std`` are those of the training images after the
    division by ``maximum``.
    """

    maximum: float
    mean: float
    std: float

    def inputs(self, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
        """Raw pixels in 0..maximum, any shape and integer or float type, to inputs of the same shape.

        The division by ``maximum`` is a multiplication by its float32 reciprocal, then come the subtraction
        and a true division: the arithmetic of torchvision's ``ToDtype(float32, scale=True)`` followed by
        ``Normalize``, so both give the same bits.
        """
        scaled = pixels.astype(np.float32)
        scaled *= np.float32(1.0 / self.maximum)
        scaled -= np.float32(self.mean)
        scaled /= np.float32(self.std)
        return scaled

    @property
    def background(self) -> float:
        """The input of an empty pixel."""
        return float(self.inputs(np.zeros(1)).item())

    def fraction(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The inverse, for pictures: inputs back to the share of ``maximum``, 0 to 1 up to rounding."""
        return inputs * np.float32(self.std) + np.float32(self.mean)


@dataclass(frozen=True)
class Split:
    """Input images, float32 ``(N, C, H, W)``, and their labels, int64 ``(N,)``."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: slice | NDArray[np.generic]) -> Split:
        """The examples selected by a slice, an index array or a mask."""
        return Split(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Dataset:
    """A training and a test split, and the scaling of their raw pixels."""

    name: str
    train: Split
    test: Split
    pixel: PixelScale


def limit(dataset: Dataset, n: int | None) -> Dataset:
    """The data set with only the first ``n`` training examples (all of them if ``n`` is None).

    Raises UserError if ``n`` is below 1 or above the number of training examples.
    """
    if n is None:
        return dataset
    if n < 1:
        raise UserError(f"cannot train on {n} images: the limit must be at least 1")
    if n > len(dataset.train):
        raise UserError(f"cannot take {n} training images: {dataset.name} has {len(dataset.train)}")
    return replace(dataset, train=dataset.train[:n])


def hold_out(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Split into (train, validation); ``round(fraction · N)`` examples, at least one, go to validation.

    Which ones is drawn from ``numpy.random.default_rng(seed)``; both parts keep the order of ``split``.
    A fraction of 0 gives an empty validation part.

    Raises UserError if ``fraction`` is outside [0, 1) or leaves nothing to train on.
    """
    if not 0 <= fraction < 1:
        raise UserError(f"validation fraction must be at least 0 and below 1, not {fraction}")
    if not len(split):
        raise UserError("there are no training images: only test files were found in --data-dir")
    held = max(1, round(fraction * len(split))) if fraction > 0 else 0
    if held >= len(split):
        raise UserError(
            f"a validation fraction of {fraction} holds out {held} of {len(split)} images: "
            "none are left to train on"
        )
    validation = np.zeros(len(split), dtype=np.bool_)
    validation[np.random.default_rng(seed).permutation(len(split))[:held]] = True
    return split[~validation], split[validation]
