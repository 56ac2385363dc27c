"""A picture of any kind, converted to grey and to the network's image size."""

import warnings
from pathlib import Path

import numpy as np

from numpy_cnn.common.exhibits.walkthrough.trace import Array
from numpy_cnn.common.spec.errors import UserError

_MOST_PIXELS = 100_000_000


def read_grey(path: Path, size: tuple[int, int]) -> Array:
    """The picture in `size` (H, W), float64 from 0 for black to 1 for white: p / 255.

    The camera's rotation is undone, transparency becomes white, and the aspect ratio is not kept. Converted to
    grey by 0.299 R + 0.587 G + 0.114 B (ITU-R 601-2) and resized with a bicubic filter, both Pillow's.

    Raises:
        UserError: the file is missing, not a picture, damaged or too large.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about large images and unusual metadata
            with Image.open(path) as opened:
                width, height = opened.size
                if width * height > _MOST_PIXELS:
                    raise UserError(f"{path}: {width}x{height} pixels are too many; scale the picture down")
                picture: Image.Image = ImageOps.exif_transpose(opened)
            if picture.mode.startswith(("I", "F")):  # 16 bits per pixel, which convert("L") would clip
                wide = np.nan_to_num(np.asarray(picture, dtype=np.float64))
                picture = Image.fromarray((wide / max(wide.max() / 255, 1)).clip(0, 255).astype(np.uint8))
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
            grey = picture.convert("L").resize(size[::-1])
    except UserError:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise UserError(f"cannot read the image {path}: {error.strerror}") from error
    except UnidentifiedImageError as error:
        raise UserError(f"{path} is not an image that can be read: a PNG or JPEG is expected") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: the picture has too many pixels; scale it down") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UserError(f"{path}: the image is damaged ({error})") from error
    return np.asarray(grey, dtype=np.float64) / 255
