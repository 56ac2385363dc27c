"""A picture of any kind, converted to grey and to the network's image size."""

from pathlib import Path

import numpy as np

from numpy_cnn.common.exhibits.walkthrough.trace import Array
from numpy_cnn.common.photo.pixels import opened
from numpy_cnn.common.spec.errors import UserError

_MOST_PIXELS = 16_000_000  # with transparency or 16 bits, each takes up to 12 bytes


def read_grey(path: Path, size: tuple[int, int]) -> Array:
    """The picture in `size` (H, W), float64 from 0 for black to 1 for white: p / 255.

    The camera's rotation is undone, transparency becomes white, and the aspect ratio is not kept. Converted to
    grey by 0.299 R + 0.587 G + 0.114 B (ITU-R 601-2) and resized with a bicubic filter, both Pillow's.

    Raises:
        UserError: the file is missing, not a picture, damaged or too large.
    """
    from PIL import Image, ImageOps

    with opened(path) as image:
        width, height = image.size
        if width * height > _MOST_PIXELS:
            raise UserError(f"{path}: {width}x{height} pixels are too many; scale the picture down")
        picture: Image.Image = ImageOps.exif_transpose(image)
        if picture.mode.startswith(("I", "F")):  # 16 bits per pixel, which convert("L") would clip
            wide = np.array(picture, dtype=np.float64)
            np.nan_to_num(wide, copy=False)
            wide /= max(wide.max() / 255, 1)
            picture = Image.fromarray(wide.clip(0, 255, out=wide).astype(np.uint8))
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        grey = picture.convert("L").resize(size[::-1])
    return np.asarray(grey, dtype=np.float64) / 255
