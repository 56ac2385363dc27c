"""MNIST with torchvision's data set and transforms: the same arrays as numpy_cnn's own reader."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from numpy_cnn.common.data import idx, mnist
from numpy_cnn.common.data.dataset import Dataset, Split
from numpy_cnn.common.spec.errors import UserError
from torch_cnn.torchvision_import import torchvision_module


def load(data_dir: Path) -> Dataset:
    """MNIST as inputs, ``(N, 1, 28, 28)``, from a folder that ``mnist.read_folder`` accepts.

    Raises UserError if a file is missing, damaged, or does not match the others.
    """
    train, test = mnist.read_folder(data_dir)  # torchvision's own errors do not name the file or what is wrong
    try:
        files = mnist.find(data_dir)
    except UserError:  # a format that torchvision does not read: only its transforms are used
        return Dataset("mnist", _from_raw(train), _from_raw(test), mnist.PIXEL)
    with _torchvision_root(files) as root:
        return Dataset("mnist", _split(root, train=True), _split(root, train=False), mnist.PIXEL)


def download(data_dir: Path) -> None:
    """Download MNIST into ``data_dir/MNIST/raw``; existing files are kept.

    Raises UserError if torchvision is missing, the network fails, or the folder cannot be written.
    """
    datasets = torchvision_module("datasets")
    try:
        datasets.MNIST(root=data_dir, train=True, download=True)
    except (OSError, RuntimeError) as error:
        cause = " ".join(str(error).split())
        raise UserError(
            f"cannot download MNIST into {data_dir}: {cause}; check the network, "
            "or put the four files into the folder yourself"
        ) from error


def _split(root: Path, train: bool) -> Split:
    dataset = torchvision_module("datasets").MNIST(root=root, train=train)
    return _scaled(dataset.data, dataset.targets)


def _from_raw(raw: mnist.Raw) -> Split:
    return _scaled(torch.from_numpy(raw.images), torch.from_numpy(raw.labels).long())


def _scaled(images: torch.Tensor, labels: torch.Tensor) -> Split:
    """All images at once, (N, H, W) -> (N, 1, H, W); one by one through PIL takes a minute for the same result."""
    v2, scale = torchvision_module("transforms.v2"), mnist.PIXEL
    transform = v2.Compose(
        [v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean=[scale.mean], std=[scale.std])]
    )
    return Split(transform(images.unsqueeze(1)).numpy(), labels.numpy())


@contextlib.contextmanager
def _torchvision_root(files: mnist.Files) -> Iterator[Path]:
    """A folder in torchvision's layout: the given one, or a temporary one with the files unpacked."""
    folder = files.train_images.parent
    plain = files == mnist.standard_files(folder) and not any(map(idx.is_gzipped, vars(files).values()))
    if plain and folder.parts[-2:] == ("MNIST", "raw"):
        yield folder.parent.parent
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "MNIST", "raw")
        folder.mkdir(parents=True)
        for role, path in vars(mnist.standard_files(folder)).items():
            path.write_bytes(idx.unpack(getattr(files, role), dimensions=3 if role.endswith("images") else 1))
        yield Path(temporary)


def main(arguments: list[str]) -> int:
    """``python -m torch_cnn.data DIR`` downloads MNIST; standard output contains only the error, if any."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            download(Path(arguments[0]))
    except UserError as error:
        print(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
