"""Conversion of a user's picture of a digit to an input like those of the data set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from numpy_cnn.common.data import IMAGE_SIZES, PixelScale
from numpy_cnn.common.data.fit import average_pixels
from numpy_cnn.common.photo.ink import Grey, ink_of
from numpy_cnn.common.photo.parts import crop, digit_of
from numpy_cnn.common.photo.pixels import read_pixels
from numpy_cnn.common.photo.strokes import thickened

_WORKING_SIDE = 512  # pixels; larger pictures are downscaled to this size first


@dataclass(frozen=True)
class Reading:
    """An input ``(1, 1, H, W)`` for the network, and short reasons why it may be unreliable."""

    inputs: NDArray[np.float32]
    notes: tuple[str, ...]


def read_digit(path: Path, image_size: tuple[int, int], pixel: PixelScale) -> Reading:
    """Return the input for a PNG, JPEG or other picture of one digit, dark on light or light on dark.

    The ink is separated from the paper and cropped (``ink.ink_of``), specks are removed, and strokes too thin to
    survive downscaling are thickened. Then it is processed like the data set with this ``pixel`` scale:

    - MNIST (``maximum`` 255): scaled to fit 20x20 with the same aspect ratio, and shifted by whole pixels so that
      the centre of mass is at the centre of the 28x28 field;
    - UCI digits (``maximum`` 16): made upright, stretched to 20 wide and 32 high in a 32x32 bitmap, strokes
      grown or thinned until 30 % of it is ink, and the inked points of each 4x4 block counted.

    A smaller ``image_size`` that divides the data set's own is averaged down as ``data.fit`` does it; any
    other is drawn the MNIST way, in a field of that size with its margins: those of MNIST padded to 32x32 are 6
    pixels wide, and the digit keeps its 20.

    Raises:
        UserError: the file is missing, not a picture, too large, or has no ink.

    Sources: LeCun, Cortes and Burges, The MNIST database; Garris et al., NIST Form-Based Handprint Recognition
    System, 1994.
    """
    found = ink_of(read_pixels(path, _WORKING_SIDE), path)
    ink, notes = digit_of(found.ink)
    own = IMAGE_SIZES["digits" if pixel.maximum == 16 else "mnist"]
    averaged = all(have % want == 0 for have, want in zip(own, image_size, strict=True))
    field = own if averaged else image_size
    share = _draw_as_uci(ink) if field == IMAGE_SIZES["digits"] else _draw_as_mnist(thickened(ink), field)
    inputs = pixel.inputs(np.rint(share * pixel.maximum))[None, None]
    return Reading(average_pixels(inputs, image_size) if averaged else inputs, (*found.doubts, *notes))


def _resize(ink: Grey, height: int, width: int) -> Grey:
    """Resize: each new pixel is the mean of the area it covers."""
    from PIL import Image

    resized = Image.fromarray(ink.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(resized, dtype=np.float64).clip(0, 1)


def _draw_as_mnist(ink: Grey, field: tuple[int, int]) -> Grey:
    """Ink in 20/28 of the field, its centre of mass on the field's centre, the pixel (H/2, W/2)."""
    scale = min(max(1, round(have * 20 / 28)) / side for have, side in zip(field, ink.shape, strict=True))
    drawn = _resize(ink, *(max(1, round(side * scale)) for side in ink.shape))
    canvas = np.zeros(field)
    corner = []
    for axis in (0, 1):
        mass = drawn.sum(axis=1 - axis)
        centre = (mass * np.arange(len(mass))).sum() / mass.sum()
        corner.append(min(max(0, round(field[axis] / 2 - centre)), field[axis] - len(mass)))
    top, left = corner
    canvas[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return canvas


def _draw_as_uci(ink: Grey) -> Grey:
    """Share of inked points in each 4x4 block of a 32x32 bitmap.

    This follows the images of the data set: nearly all ink is in 20 of 32 columns and in all rows, even for ones,
    and 30 % of the points are inked for every digit.
    """
    ink = _upright(ink)
    # A bare vertical line, stretched like the others, would be a full box with no strokes left to thin.
    width = 10 if ink.shape[1] < 0.35 * ink.shape[0] else 20
    left = (32 - width) // 2
    bitmap = np.zeros((32, 32))
    bitmap[:, left : left + width] = _resize(ink, 32, width)
    # A binomial filter, about a Gaussian of one pixel, gives the threshold edges to move.
    taps = np.array([1, 4, 6, 4, 1]) / 16
    padded = np.pad(bitmap, 2, mode="edge")
    padded = sum(tap * padded[at : at + 32] for at, tap in enumerate(taps))
    bitmap = sum(tap * padded[:, at : at + 32] for at, tap in enumerate(taps))
    inked = (bitmap > 0) & (bitmap >= np.quantile(bitmap, 1 - 0.3))
    share: Grey = inked.reshape(8, 4, 8, 4).mean(axis=(1, 3))
    return share


def _upright(ink: Grey) -> Grey:
    """Shear the ink, by its moments, until it is upright."""
    from PIL import Image

    height, width = ink.shape
    down, right = np.arange(height)[:, None] - height / 2, np.arange(width) - width / 2
    down = down - (ink * down).sum() / ink.sum()
    spread = (ink * down**2).sum()
    slant = float(np.clip((ink * down * right).sum() / spread, -1, 1)) if spread > 0 else 0.0

    margin = math.ceil(abs(slant) * height)
    wide = Image.fromarray(np.pad(ink, ((0, 0), (margin, margin))).astype(np.float32))
    sheared = wide.transform(
        wide.size,
        Image.Transform.AFFINE,
        (1, slant, -slant * height / 2, 0, 1, 0),
        Image.Resampling.BILINEAR,
    )
    upright = np.asarray(sheared, dtype=np.float64)
    return crop(np.where(upright < 0.05, 0, upright))
