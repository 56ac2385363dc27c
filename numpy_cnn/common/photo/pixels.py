"""Read a picture file as an array of limited size in bounded memory: it is downscaled strip by strip."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from numpy_cnn.common.data.foreign import PICTURES, but
from numpy_cnn.common.spec.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.float64]

MOST_BYTES = 200_000_000  # of a decoded picture
_STRIP_BYTES = 4_000_000
_BYTES = {"1": 1, "L": 1, "P": 1, "LA": 4, "PA": 4, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # else 4
_CANVASES = {"WEBP": 3, "AVIF": 3, "GIF": 2, "JPEG2000": 5}  # copies of the picture in the decoder and outside
# The formats that Pillow decodes itself; for EPS it would start Ghostscript.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "PPM", "TIFF", "WEBP", "MPO", "JPEG2000", "AVIF", "TGA")
_MOST_INTERPRETED = 4_000_000  # pixels or bytes for Pillow's decoders in Python: about 1 s
_MOST_SCANS = 100  # of a progressive JPEG; each one passes over the whole picture
_WIDE_SCALES = {
    "I;16": (4095, 65535),
    "I": (255, 65535),
    "F": (1, 255, 65535),
}  # white, for files without an alpha channel
_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}

# Raised by Pillow's decoders for damaged files; TypeError, for example, if an offset is stored as a fraction.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, struct.error)


def read_pixels(path: Path, longest: int) -> Pixels:
    """Red, green, blue and opacity, 0 to 255, float64 ``(H, W, 4)``, the longer side at most ``longest``.

    The picture is averaged down by a whole factor; the camera's rotation is undone. Pixels of 16 and 32 bits are
    scaled by the white that fits their largest value: 4095 or 65535 of 16 bits, 1, 255 or 65535 of floats.

    Raises:
        UserError: the file is missing, not a picture or damaged, or would need more than ``MOST_BYTES`` decoded.
    """
    with opened(path) as image:
        image.draft("RGB", (longest, longest))  # a JPEG is decoded at a smaller size
        _check_size(image, path)
        orientation = image.getexif().get(_ORIENTATION)
        image.load()
        factor = math.ceil(max(image.size) / longest)
        pixels = np.concatenate(list(_strips(image, factor)))
    if orientation in _TURNS:
        quarters, mirrored = _TURNS[orientation]
        pixels = np.rot90(pixels, quarters)
        pixels = pixels[:, ::-1] if mirrored else pixels
    return np.ascontiguousarray(pixels)


@contextmanager
def opened(path: Path) -> Iterator[Image]:
    """The picture, of which only the header has been read, if decoding it is safe and fast.

    Raises:
        UserError: for every error of the file, in one line.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about large images and unusual metadata
            Image.init()
            with Image.open(path, formats=[name for name in _FORMATS if name in Image.OPEN]) as image:
                _check_effort(image, path)
                yield image
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise UserError(f"cannot read the image {path}: {error.strerror}") from error
    except UnidentifiedImageError as error:
        raise UserError(
            f"{path} is not an image that can be read{but(path, *PICTURES)}: a PNG or JPEG is expected"
        ) from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: its pixels are too many for a picture of one digit; scale it down") from error
    except _DAMAGED as error:
        raise UserError(f"{path}: the image is damaged ({error})") from error


def _check_effort(image: Image, path: Path) -> None:
    """Reject a picture that is slow to decode; Pillow has read only the header so far."""
    from PIL import Image as Pillow

    tiles = getattr(image, "tile", [])  # of an ImageFile, which Pillow.open returns
    decoder = tiles[0][0] if tiles else ""
    size = max(image.width * image.height, path.stat().st_size)
    if decoder in Pillow.DECODERS and size > _MOST_INTERPRETED:
        raise UserError(
            f"{path}: a {image.format} file of this kind ({decoder}) takes too long to read: {size} pixels or "
            f"bytes, at most {_MOST_INTERPRETED}; convert it to PNG or JPEG"
        )
    if "progressive" in image.info:
        _check_bytes(image.width * image.height * 2 * len(image.getbands()), image, path)  # all coefficients
        scans = path.read_bytes().count(b"\xff\xda")
        if scans > _MOST_SCANS:
            raise UserError(f"{path}: a progressive JPEG of {scans} scans; at most {_MOST_SCANS} are read")


def _check_size(image: Image, path: Path) -> None:
    needed = image.width * image.height * _BYTES.get(image.mode, 4) * _CANVASES.get(image.format or "", 1)
    _check_bytes(needed, image, path)


def _check_bytes(needed: int, image: Image, path: Path) -> None:
    width, height = image.size
    if needed > MOST_BYTES:
        raise UserError(
            f"{path}: {width}x{height} pixels of {image.format} ({image.mode}) need {needed // 1_000_000} MB of "
            f"memory, at most {MOST_BYTES // 1_000_000} are used; crop the picture or scale it down"
        )


def _strips(image: Image, factor: int) -> Iterator[Pixels]:
    """The picture from top to bottom, each strip averaged over ``factor`` x ``factor`` pixels."""
    width, height = image.size
    rows = max(1, _STRIP_BYTES // (4 * width * factor)) * factor
    wide = next((scales for mode, scales in _WIDE_SCALES.items() if image.mode.startswith(mode)), None)
    strips = (image.crop((0, top, width, min(top + rows, height))) for top in range(0, height, rows))
    if wide is None:
        yield from (_reduced(strip, factor) for strip in strips)
        return
    grey = np.concatenate([_averaged(_finite(np.asarray(strip, np.float64)), factor) for strip in strips])
    grey -= min(grey.min(), 0.0)
    white = next((scale for scale in wide if grey.max() <= scale), float(grey.max()))
    yield np.stack([grey * (255 / white)] * 3 + [np.full(grey.shape, 255.0)], axis=-1)


def _reduced(strip: Image, factor: int) -> Pixels:
    if strip.mode not in ("RGB", "RGBA"):
        strip = strip.convert("RGBA" if strip.has_transparency_data else "RGB")
    pixels = np.asarray(strip.convert("RGBa" if strip.mode == "RGBA" else "RGB").reduce(factor), np.float64)
    if pixels.shape[2] == 3:
        return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255.0)], axis=2)
    # Averaged with colours weighted by their opacity, which a transparent pixel's colour must not tint.
    opaque = pixels[..., 3:]
    colours = np.divide(255 * pixels[..., :3], opaque, out=np.zeros_like(pixels[..., :3]), where=opaque > 0)
    return np.concatenate([colours.clip(0, 255), opaque], axis=2)


def _finite(grey: Pixels) -> Pixels:
    """NaN and infinite values, which mark missing points, replaced by the median of the others."""
    known = np.isfinite(grey)
    return grey if known.all() else np.where(known, grey, np.median(grey[known]) if known.any() else 0.0)


def _averaged(grey: Pixels, factor: int) -> Pixels:
    """Means over blocks; those at the right and lower edge may be smaller."""
    height, width = grey.shape
    rows, columns = np.arange(0, height, factor), np.arange(0, width, factor)
    total = np.add.reduceat(np.add.reduceat(grey, rows, axis=0), columns, axis=1)
    counts = np.minimum(rows + factor, height) - rows
    return np.asarray(total / (counts[:, None] * (np.minimum(columns + factor, width) - columns)))
