"""MNIST from its four IDX files: 60,000 training and 10,000 test images of handwritten digits, 28x28."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from numpy_cnn.common.data import idx
from numpy_cnn.common.data.dataset import Dataset, PixelScale, Split
from numpy_cnn.common.spec.errors import UserError

IMAGE_SIZE = (28, 28)
DEFAULT_DIR = Path("data")

# Mean and std of the 60,000 training images, to four places as everybody writes them.
PIXEL = PixelScale(maximum=255, mean=0.1307, std=0.3081)


@dataclass(frozen=True)
class Files:
    """Where the four files lie."""

    train_images: Path
    train_labels: Path
    test_images: Path
    test_labels: Path


@dataclass(frozen=True)
class Raw:
    """Pixels as stored: images uint8 ``(N, H, W)``, labels uint8 ``(N,)`` in 0..9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def standard_files(folder: Path) -> Files:
    """The four files in ``folder`` under the names that torchvision gives them."""
    return Files(
        train_images=folder / "train-images-idx3-ubyte",
        train_labels=folder / "train-labels-idx1-ubyte",
        test_images=folder / "t10k-images-idx3-ubyte",
        test_labels=folder / "t10k-labels-idx1-ubyte",
    )


def load(data_dir: Path) -> Dataset:
    """MNIST as inputs, ``(N, 1, 28, 28)``; the raw pixels are scaled by ``PIXEL``.

    Raises UserError where a file is missing, damaged, or does not go with the others.
    """
    train, test = read(find(data_dir))
    return Dataset("mnist", _split(train), _split(test), PIXEL)


def find(data_dir: Path) -> Files:
    """The four files under ``data_dir/MNIST/raw`` (torchvision's layout) or in ``data_dir`` itself.

    Each may be plain or ``.gz``, and be spelled ``…-idx3-ubyte`` or ``….idx3-ubyte``.

    Raises UserError where one is missing.
    """
    raw = data_dir / "MNIST" / "raw"
    if not data_dir.is_dir():
        raise _missing("no such folder", raw, list(vars(standard_files(raw)).values()))
    missing: dict[Path, list[Path]] = {}
    for folder in (raw, data_dir):
        wanted = vars(standard_files(folder))
        found = {role: path for role, plain in wanted.items() if (path := _variant(plain)) is not None}
        if len(found) == len(wanted):
            return Files(**found)
        missing[folder] = [path for role, path in wanted.items() if role not in found]
    folder = min(missing, key=lambda folder: len(missing[folder]))
    raise _missing("files are missing", folder, missing[folder])


def read(files: Files) -> tuple[Raw, Raw]:
    """The raw training and test arrays, checked against each other.

    Raises UserError where a file is damaged, images and labels differ in number, a label is above 9,
    or training and test images differ in size.
    """
    train = _read_pair(files.train_images, files.train_labels)
    test = _read_pair(files.test_images, files.test_labels)
    if train.images.shape[1:] != test.images.shape[1:]:
        raise UserError(
            f"{files.train_images} holds {_size(train)} images and {files.test_images} holds "
            f"{_size(test)} ones: the files come from different data sets"
        )
    return train, test


def download(data_dir: Path) -> None:
    """Fetch the four files into ``data_dir/MNIST/raw`` with torchvision, unless they are there already.

    torchvision runs in a process of its own, so that this package stays free of torch.

    Raises UserError where torchvision is missing or the download fails.
    """
    try:
        find(data_dir)
        return
    except UserError:
        pass
    if find_spec("torchvision") is None or find_spec("torch_cnn") is None:
        raise UserError(
            "--download fetches MNIST with torchvision, which is not installed: "
            "pip install torchvision, or put the files into the folder yourself"
        )
    # The child's result is its standard output: one line that says what went wrong. A progress bar would
    # only fill a log, so its standard error is shown on a terminal alone.
    child = subprocess.run(
        [sys.executable, "-m", "torch_cnn.data", str(data_dir)],
        stdout=subprocess.PIPE,
        stderr=None if sys.stderr.isatty() else subprocess.DEVNULL,
        text=True,
        check=False,
    )
    if child.returncode != 0:
        raise UserError(child.stdout.strip() or f"the download of MNIST stopped with exit code {child.returncode}")


def _variant(plain: Path) -> Path | None:
    """The file under one of its four spellings, or None."""
    for name in (plain.name, plain.name.replace("-idx", ".idx")):
        for suffix in ("", ".gz"):
            if (path := plain.with_name(name + suffix)).is_file():
                return path
    return None


def _missing(what: str, folder: Path, files: list[Path]) -> UserError:
    names = ", ".join(path.name for path in files)
    return UserError(
        f"MNIST: {what}: expected {names} (plain or .gz) in {folder}; "
        "--download fetches them, --data-dir names another folder"
    )


def _read_pair(images_path: Path, labels_path: Path) -> Raw:
    images, labels = idx.read_images(images_path), idx.read_labels(labels_path)
    if len(images) != len(labels):
        raise UserError(
            f"{images_path} holds {len(images)} images and {labels_path} holds {len(labels)} labels: "
            "they come from different splits or data sets"
        )
    if labels.max() > 9:
        at = int(np.argmax(labels > 9))
        raise UserError(
            f"{labels_path}: expected labels from 0 to 9, found {labels[at]} at index {at}: this is not MNIST"
        )
    return Raw(images, labels)


def _split(raw: Raw) -> Split:
    return Split(PIXEL.inputs(raw.images[:, None]), raw.labels.astype(np.int64))


def _size(raw: Raw) -> str:
    return "x".join(map(str, raw.images.shape[1:]))
