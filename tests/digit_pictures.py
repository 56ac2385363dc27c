"""Pictures of digits, as a user would have them."""

from pathlib import Path

import numpy as np
from PIL import Image

from numpy_cnn.common.data import digits


def draw(path: Path, number: int, **options: object) -> int:
    """Save a test image, enlarged and dark on light, as a picture; return its label."""
    split = digits.load().test
    grey = 255 * (1 - split.images[number, 0] / split.images[number, 0].max()).clip(0, 1)
    Image.fromarray(np.pad(grey.astype(np.uint8), 1, constant_values=255)).resize((200, 200)).save(path, **options)
    return int(split.labels[number])
