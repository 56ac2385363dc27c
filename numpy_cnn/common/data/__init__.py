"""The data sets by name: ``digits``, embedded and the default, and ``mnist``, read from its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from numpy_cnn.common.data import digits, mnist
from numpy_cnn.common.data.dataset import Dataset, PixelScale, Split, hold_out, limit
from numpy_cnn.common.data.fit import fit
from numpy_cnn.common.spec.errors import UserError

__all__ = ["IMAGE_SIZES", "PIXELS", "Dataset", "PixelScale", "Split", "fit", "hold_out", "limit", "load"]

PIXELS = {"digits": digits.PIXEL, "mnist": mnist.PIXEL}
IMAGE_SIZES = {"digits": digits.IMAGE_SIZE, "mnist": mnist.IMAGE_SIZE}


def load(
    name: str,
    data_dir: Path | None = None,
    mnist_loader: Callable[[Path], Dataset] = mnist.load,
    download: bool = False,
) -> Dataset:
    """The data set of that name.

    ``mnist`` is read by ``mnist_loader`` from ``data_dir`` (``data`` if None), after a download if requested and
    needed; torch_cnn passes its own loader. ``digits`` needs neither.

    Raises UserError if the name is unknown, or the files are missing or damaged.
    """
    if name == "digits":
        return digits.load()
    if name == "mnist":
        folder = mnist.DEFAULT_DIR if data_dir is None else data_dir
        if download:
            mnist.download(folder)
        return mnist_loader(folder)
    raise UserError(f"unknown data set {name!r}: choose {' or '.join(PIXELS)}")
