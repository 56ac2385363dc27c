"""Random shifts and rotations of training images; both backends receive the same bits, computed here."""

from collections.abc import Sequence

import numpy as np

from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.config import AugmentationConfig


def augmented(images: Array, config: AugmentationConfig, seed: Sequence[int], background: float) -> Array:
    """Images (N, C, H, W), each moved and rotated by its own random amounts; unchanged if both limits are 0.

    Offsets are uniform in [−shift, shift] along each axis, angles in [−rotate, rotate]. The same
    numbers are drawn whatever the limits, so `--rotate` does not change the offsets.
    """
    if not config.changes_images:
        return images
    generator = np.random.default_rng(seed)
    offsets = config.shift * generator.uniform(-1, 1, (len(images), 2))
    return transformed(images, offsets, config.rotate * generator.uniform(-1, 1, len(images)), background)


def transformed(images: Array, offsets: Array, angles: Array, background: float) -> Array:
    """Images rotated counter-clockwise about their centre, then moved, with bilinear interpolation.

    With θ the angle, (d, r) the offset, and i, j, p, q counted from the centre of the image, ((H−1)/2, (W−1)/2):

        y[i, j] = x[p, q],   p = (i−d)·cos θ + (j−r)·sin θ,   q = (j−r)·cos θ − (i−d)·sin θ

    where x between pixels is the mean of the four around it, weighted by (1 − distance) along each axis.

    Args:
        images: (N, C, H, W), of a floating-point type.
        offsets: (N, 2), pixels down and to the right.
        angles: (N,), degrees.
        background: the value of pixels outside the image.

    Returns:
        (N, C, H, W), of the type of `images`. Whole pixels and quarter turns of a square copy the pixels.
    """
    n, channels, height, width = images.shape
    down, right = offsets.T[:, :, None, None]
    radians = np.deg2rad(angles)[:, None, None]
    sin, cos = np.sin(radians), np.cos(radians)
    i = np.arange(height)[:, None] - (height - 1) / 2 - down
    j = np.arange(width) - (width - 1) / 2 - right
    rows, columns = i * cos + j * sin + (height - 1) / 2, j * cos - i * sin + (width - 1) / 2  # (N, H, W)

    framed = np.full((n, channels, height + 2, width + 2), background, images.dtype)
    framed[:, :, 1:-1, 1:-1] = images
    framed = framed.reshape(n, channels, -1)
    result = np.zeros((n, channels, height * width), images.dtype)
    for row, row_weight in _neighbours(rows, height):
        for column, column_weight in _neighbours(columns, width):
            places = (row * (width + 2) + column).reshape(n, 1, -1)
            weights = (row_weight * column_weight).astype(images.dtype).reshape(n, 1, -1)
            result += weights * np.take_along_axis(framed, places, axis=2)
    return result.reshape(images.shape)


def _neighbours(coordinates: Array, size: int) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The pixels before and after each coordinate, counted from the frame, and their weights."""
    before = np.floor(coordinates)
    fraction = coordinates - before
    place = before.astype(np.intp) + 1
    return (place.clip(0, size + 1), 1 - fraction), ((place + 1).clip(0, size + 1), fraction)
