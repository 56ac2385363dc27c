"""MNIST in the formats of other programs: CSV, Keras' npz, and folders of pictures by class."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from numpy_cnn.common.data.foreign import PICTURES, TEXT, but
from numpy_cnn.common.data.npz import load_npz
from numpy_cnn.common.spec.errors import UserError

LARGEST_NPZ = 200_000_000  # bytes; MNIST has 55 million
TEST_EVERY = 6  # used if only one labelled set is found: MNIST has six training images per test image
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".webp")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "WEBP")  # no format for which Pillow starts a program
_TEST_NAMES = ("test", "testing", "t10k", "val", "valid", "validation")
_TRAIN_NAMES = ("train", "training")


@dataclass(frozen=True)
class Raw:
    """Pixels as stored: images uint8 ``(N, H, W)``, labels uint8 ``(N,)`` in 0..9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def read(folder: Path) -> tuple[Raw, Raw] | None:
    """The training and test arrays of the first format found in ``folder``; None if there is none.

    - ``*.npz`` with ``x_train``, ``y_train``, ``x_test`` and ``y_test`` (Keras);
    - ``*.csv`` with a label and 784 pixels in each row, with or without a header; the file with "test" in its name
      is the test set if it has labels (Kaggle's has none);
    - folders ``0`` to ``9`` of pictures, in ``train`` and ``test`` or on their own.

    If only one labelled set is found, every sixth of its images becomes a test image.

    Raises:
        UserError: a file of these kinds has other contents.
    """
    for path in sorted(folder.glob("*.npz")):
        return _read_npz(path)
    if tables := sorted(folder.glob("*.csv")):
        return _read_tables(tables)
    for test in (folder / name for name in _TEST_NAMES):
        for train in (folder / name for name in _TRAIN_NAMES):
            if _classes(train) and _classes(test):
                return _read_classes(train), _read_classes(test)
    for alone in (folder, *(folder / name for name in _TRAIN_NAMES)):
        if _classes(alone):
            return _divided(_read_classes(alone))
    return None


def _divided(raw: Raw) -> tuple[Raw, Raw]:
    test = np.arange(len(raw.labels)) % TEST_EVERY == TEST_EVERY - 1
    return Raw(raw.images[~test], raw.labels[~test]), Raw(raw.images[test], raw.labels[test])


def _read_npz(path: Path) -> tuple[Raw, Raw]:
    names = ("x_train", "y_train", "x_test", "y_test")
    arrays = load_npz(path, LARGEST_NPZ, "MNIST")
    if missing := [name for name in names if name not in arrays]:
        raise UserError(f"{path}: expected {', '.join(names)}; {', '.join(missing)} missing")
    x, y, x_test, y_test = (arrays[name] for name in names)
    return _checked(path, x, y), _checked(path, x_test, y_test)


def _checked(path: Path, images: NDArray[np.generic], labels: NDArray[np.generic]) -> Raw:
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    fits = images.ndim == 3 and labels.shape == images.shape[:1] and images.dtype == np.uint8
    if not fits or labels.dtype.kind not in "iu" or not len(labels):
        raise UserError(
            f"{path}: expected uint8 images (N, H, W) and integer labels (N,), "
            f"found {images.dtype} {images.shape} and {labels.dtype} {labels.shape}"
        )
    numbers = labels.astype(np.int64)
    if numbers.min() < 0 or numbers.max() > 9:
        raise UserError(f"{path}: expected labels from 0 to 9, found {numbers.min()} to {numbers.max()}")
    return Raw(np.ascontiguousarray(images, np.uint8), numbers.astype(np.uint8))


def _read_tables(paths: list[Path]) -> tuple[Raw, Raw]:
    test = [path for path in paths if any(name in path.stem.lower() for name in _TEST_NAMES)]
    train = [path for path in paths if path not in test]
    named = ", ".join(path.name for path in paths)
    if len(train) != 1 or len(test) > 1:
        raise UserError(
            f"{paths[0].parent}: expected one CSV of training images and at most one of test images, found {named}"
        )
    tables = [_read_table(path) for path in (*train, *test)]
    if tables[0] is None:
        raise UserError(f"{train[0]}: the images have no labels; each row should be a label and its pixels")
    if len(tables) == 2 and tables[1] is not None:
        return tables[0], tables[1]
    return _divided(tables[0])


def _read_table(path: Path) -> Raw | None:
    """The images and labels of a CSV file; None if it has no labels."""
    if other := but(path, TEXT):
        raise UserError(f"{path}: not a table of numbers{other}")
    try:
        with path.open(encoding="utf-8") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns about files without rows, which are reported below
            first = file.readline()
            header = not first.replace(",", "").strip().isdigit()
            rows = np.loadtxt(path, dtype=np.int16, delimiter=",", skiprows=int(header), ndmin=2)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a table of whole numbers separated by commas ({error})") from error
    if not rows.size:
        raise UserError(f"{path}: has no rows of numbers; each one should be a label and its pixels")
    side = int(max(rows.shape[1] - 1, 1) ** 0.5)
    if rows.shape[1] == (side + 1) ** 2 or rows.shape[1] == side**2:
        return None
    if rows.shape[1] != side**2 + 1 or not len(rows) or rows.min() < 0 or rows.max() > 255:
        raise UserError(
            f"{path}: expected rows of a label and 784 pixels from 0 to 255, found {rows.shape[1]} columns"
        )
    return _checked(path, rows[:, 1:].astype(np.uint8).reshape(-1, side, side), rows[:, 0])


def _classes(folder: Path) -> list[Path]:
    return [folder / str(digit) for digit in range(10) if (folder / str(digit)).is_dir()]


def _read_classes(folder: Path) -> Raw:
    """The pictures in the folders 0 to 9, light on dark; those that are dark on light are inverted."""
    from PIL import Image, UnidentifiedImageError

    images, labels = [], []
    for path in (file for each in _classes(folder) for file in sorted(each.iterdir())):
        if path.suffix.lower() not in _PICTURES:
            raise UserError(f"{path}: not a picture; the folders 0 to 9 must contain only pictures")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow warns about unusual metadata
                with Image.open(path, formats=_FORMATS) as picture:
                    if max(picture.size) > 256:
                        raise UserError(f"{path}: {picture.width}x{picture.height} pixels; expected MNIST's 28x28")
                    images.append(np.asarray(picture.convert("L")))
        except (OSError, SyntaxError, ValueError) as error:
            unknown = isinstance(error, UnidentifiedImageError)  # its text is the path
            reason = but(path, *PICTURES) or ("" if unknown else f" ({error})")
            raise UserError(f"{path}: not a picture that can be read{reason}") from error
        labels.append(int(path.parent.name))
        if images[-1].shape != images[0].shape:
            raise UserError(f"{path}: {images[-1].shape} pixels, the pictures before it have {images[0].shape}")
    if not images:
        raise UserError(f"{folder}: no pictures in the folders 0 to 9")
    stacked = np.stack(images)
    if np.median(stacked) > 127:
        stacked = 255 - stacked
    return Raw(stacked, np.array(labels, np.uint8))
