"""The files that a command leaves behind, and whether they are complete."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from PIL import Image

from numpy_cnn.common.cli import config_file
from numpy_cnn.common.cli.train import Train
from numpy_cnn.common.training import history
from numpy_cnn.common.training.checkpoint import load_checkpoint
from parity.report.saved import read as read_saved


def check_whole(folder: Path) -> None:
    """Check that every file under its own name is complete; a file that was being written has another name.

    Raises:
        Exception: the reader's own, for the first file that is not.
    """
    for path in folder.rglob("*") if folder.is_dir() else ():
        if path.is_file() and path.suffix != ".partial" and path.name != ".lock":
            _READERS[path.suffix](path)


def contents(folder: Path) -> frozenset[tuple[str, bytes]]:
    """The files in a folder by their relative paths; without the process in the text of a lock, which differs."""
    return frozenset(
        (str(path.relative_to(folder)), b"" if path.is_dir() or path.name == ".lock" else path.read_bytes())
        for path in folder.rglob("*")
    )


def _read_json(path: Path) -> None:
    if path.parent.name == ".parity":
        read_saved(path)
    json.loads(path.read_text(encoding="utf-8"))


def _read_arrays(path: Path) -> None:
    with np.load(path) as arrays:
        assert [arrays[name] for name in arrays.files]


def _read_picture(path: Path) -> None:
    with Image.open(path) as picture:
        picture.load()


def _read_page(path: Path) -> None:
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>"), path


def _read_history(path: Path) -> None:
    assert history.from_csv(path.read_bytes(), None)


_READERS: dict[str, Callable[[Path], object]] = {
    ".safetensors": load_checkpoint,
    ".csv": _read_history,
    ".toml": lambda path: config_file.read(path, Train),
    ".png": _read_picture,
    ".json": _read_json,
    ".npz": _read_arrays,
    ".onnx": onnx.load,
    ".html": _read_page,
    "": Path.read_bytes,  # MNIST's files, which no command writes
    ".py": lambda path: compile(path.read_bytes(), path, "exec"),
}
