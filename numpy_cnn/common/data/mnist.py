"""MNIST from its four IDX files: 60,000 training and 10,000 test images of handwritten digits, 28x28."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from numpy_cnn.common.data import elsewhere, idx
from numpy_cnn.common.data.dataset import Dataset, PixelScale, Split
from numpy_cnn.common.data.elsewhere import Raw as Raw
from numpy_cnn.common.spec.errors import UserError

IMAGE_SIZE = (28, 28)
DEFAULT_DIR = Path("data")
_ABOVE = ("mnist", "raw", "data")  # names of folders, in any case, that are searched

# Mean and std of the 60,000 training images, to four decimal places, as is usual.
PIXEL = PixelScale(maximum=255, mean=0.1307, std=0.3081)


@dataclass(frozen=True)
class Files:
    """The paths of the four files."""

    train_images: Path
    train_labels: Path
    test_images: Path
    test_labels: Path


def standard_files(folder: Path) -> Files:
    """The four files in ``folder`` under torchvision's names."""
    return Files(
        train_images=folder / "train-images-idx3-ubyte",
        train_labels=folder / "train-labels-idx1-ubyte",
        test_images=folder / "t10k-images-idx3-ubyte",
        test_labels=folder / "t10k-labels-idx1-ubyte",
    )


def load(data_dir: Path) -> Dataset:
    """MNIST as inputs, ``(N, 1, 28, 28)``; the raw pixels are scaled by ``PIXEL``.

    Raises UserError if a file is missing, damaged, or does not match the others.
    """
    train, test = read_folder(data_dir)
    return Dataset("mnist", _split(train), _split(test), PIXEL)


def read_folder(data_dir: Path) -> tuple[Raw, Raw]:
    """The raw training and test arrays in ``data_dir``: IDX files, or one of the formats of ``elsewhere``.

    If there are only the two test files, the training arrays are empty.

    Raises UserError if nothing is found, or it is damaged.
    """
    try:
        files = find(data_dir)
    except UserError:
        other = elsewhere.read(data_dir) if data_dir.is_dir() else None
        if other is None:
            other = _test_alone(data_dir)
        if other is None:
            raise
        return other
    return read(files)


def find(data_dir: Path) -> Files:
    """The four files under ``data_dir``: in itself, or in ``MNIST/raw`` (torchvision's layout) or a part of it.

    Each may be plain or ``.gz``, be spelled ``…-idx3-ubyte`` or ``….idx3-ubyte``, or in a folder of its name.

    Raises UserError if one is missing; the message names what else is there.
    """
    raw = data_dir / "MNIST" / "raw"
    if data_dir.is_file():
        raise UserError(f"MNIST: --data-dir {data_dir}: this is a file; name its folder: {data_dir.parent}")
    if not data_dir.is_dir():
        raise _missing("no such folder", data_dir, raw, list(vars(standard_files(raw)).values()))
    missing: dict[Path, list[Path]] = {}
    for folder in _folders(data_dir):
        wanted = vars(standard_files(folder))
        found = {role: path for role, plain in wanted.items() if (path := _variant(plain)) is not None}
        if len(found) == len(wanted):
            return Files(**found)
        missing[folder] = [path for role, path in wanted.items() if role not in found]
    folder = min(missing, key=lambda folder: len(missing[folder]))
    raise _missing("files are missing", data_dir, folder, missing[folder])


def _folders(data_dir: Path) -> list[Path]:
    """The folders that may contain the files: the usual ones first, then those of similar names inside."""
    inner, level = [data_dir / "MNIST" / "raw", data_dir, data_dir / "raw", data_dir / "MNIST"], [data_dir]
    for _ in range(3):
        level = [one for folder in level for one in sorted(folder.glob("*/")) if one.name.lower() in _ABOVE]
        inner += level
    return [*dict.fromkeys(inner)]


def _test_alone(data_dir: Path) -> tuple[Raw, Raw] | None:
    """The test arrays if there are no training files beside them; None otherwise."""
    for folder in _folders(data_dir):
        found = {role: _variant(plain) for role, plain in vars(standard_files(folder)).items()}
        images, labels = found["test_images"], found["test_labels"]
        if images and labels and not found["train_images"] and not found["train_labels"]:
            test = _read_pair(images, labels)
            empty = Raw(np.empty((0, *test.images.shape[1:]), np.uint8), np.empty(0, np.uint8))
            return empty, test
    return None


def read(files: Files) -> tuple[Raw, Raw]:
    """The raw training and test arrays, checked against each other.

    Raises UserError if a file is damaged, images and labels differ in number, a label is above 9,
    or training and test images differ in size.
    """
    train = _read_pair(files.train_images, files.train_labels)
    test = _read_pair(files.test_images, files.test_labels)
    if train.images.shape[1:] != test.images.shape[1:]:
        raise UserError(
            f"{files.train_images} contains {_size(train)} images and {files.test_images} contains "
            f"{_size(test)} ones: the files come from different data sets"
        )
    return train, test


def download(data_dir: Path) -> None:
    """Fetch the four files into ``data_dir/MNIST/raw`` with torchvision, unless they are there already.

    torchvision runs in a separate process, because this package does not import torch.

    Raises UserError if torchvision is missing or the download fails.
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
    # The child's result is its standard output: one line with the error. A progress bar would
    # only fill a log, so its standard error is shown only on a terminal.
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
    """The file under one of its four spellings in any case, or in a folder of that name; None if there is none."""
    there = _names(plain.parent)
    for name in (plain.name, plain.name.replace("-idx", ".idx")):
        for suffix in ("", ".gz"):
            path = there.get(name + suffix)
            if path is not None and path.is_file():
                return path
        for inner in (plain.name, plain.name.replace("-idx", ".idx")):
            path = there.get(name)
            if path is not None and (path / inner).is_file():
                return path / inner
    return None


def _names(folder: Path) -> dict[str, Path]:
    """What the folder contains, by its name in lower case."""
    if not folder.is_dir():
        return {}
    return {path.name.lower(): path for path in sorted(folder.iterdir())}


def _missing(what: str, data_dir: Path, folder: Path, files: list[Path]) -> UserError:
    names = ", ".join(path.name for path in files)
    there = {path for each in {data_dir, folder} if each.is_dir() for path in each.iterdir()}
    there -= {
        data_dir / "MNIST",
        data_dir / "raw",
        *(_variant(plain) for plain in vars(standard_files(folder)).values()),
    }
    other = sorted(path.name for path in there if path is not None)
    found = f"; not understood: {', '.join(other[:5])}{', …' if len(other) > 5 else ''}" if other else ""
    return UserError(
        f"MNIST: {what}: expected {names} (plain or .gz) in {folder}{found}; "
        "--download fetches them, --data-dir names another folder"
    )


def _read_pair(images_path: Path, labels_path: Path) -> Raw:
    images, labels = idx.read_images(images_path), idx.read_labels(labels_path)
    if len(images) != len(labels):
        raise UserError(
            f"{images_path} contains {len(images)} images and {labels_path} contains {len(labels)} labels: "
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
