"""Converts a drawing on the page to the network's input."""

import tempfile
from pathlib import Path

import numpy as np

from numpy_cnn.common.data.fit import average_pixels
from numpy_cnn.common.photo.image import read_digit
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import Checkpoint

GRID = 112  # points in each direction that the page sends: a multiple of MNIST's 28 and of the digits' 8


def check_fits(checkpoint: Checkpoint, path: Path | None) -> None:
    """Check that a drawing can be converted to this network's input.

    Raises:
        UserError: the network has several input channels, or the page's grid is not a multiple of its image size.
    """
    architecture = checkpoint.architecture
    if architecture.in_channels != 1 or any(GRID % side for side in architecture.image_size):
        height, width = architecture.image_size
        raise UserError(
            f"{path}: expects {architecture.in_channels}x{height}x{width} inputs; the page draws in grey on "
            f"{GRID}x{GRID} points, which cannot be averaged to that size"
        )


def as_drawn(ink: Array, checkpoint: Checkpoint) -> Array:
    """Ink uint8 (GRID, GRID) as inputs (1, 1, H, W), in place and at its size: averages over blocks."""
    share = average_pixels(
        ink[None, None].astype(np.float32) / np.float32(255), checkpoint.architecture.image_size
    )
    return checkpoint.pixel.inputs(np.rint(share * checkpoint.pixel.maximum))


def centred(ink: Array, checkpoint: Checkpoint) -> Array:
    """Ink uint8 (GRID, GRID) as inputs (1, 1, H, W), cropped, scaled and centred as `predict` does with a PNG.

    Raises:
        UserError: there is no ink.
    """
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "drawing.png")
        Image.fromarray(255 - ink).save(path, compress_level=0)
        read = read_digit(path, checkpoint.data_size, checkpoint.pixel).inputs
    return average_pixels(read, checkpoint.architecture.image_size)
