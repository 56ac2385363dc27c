"""Locates the real MNIST for the tests, and writes a small one."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from numpy_cnn.common.data import mnist


def real_mnist_dir() -> Path:
    """The folder that contains MNIST/raw, as set in MNIST_DIR; skips the test if MNIST_DIR is not set."""
    if "MNIST_DIR" not in os.environ:
        pytest.skip("set MNIST_DIR to the folder that holds MNIST/raw to run the tests on the real MNIST")
    return Path(os.environ["MNIST_DIR"])


def idx_bytes(array: np.ndarray) -> bytes:
    """A uint8 array of 1 or 3 dimensions in the IDX format."""
    header = [0x0800 + array.ndim, *array.shape]
    return b"".join(number.to_bytes(4, "big") for number in header) + array.tobytes()


def small_mnist() -> dict[str, np.ndarray]:
    """Random arrays for the four files, by their role in ``mnist.Files``: 50 training and 20 test images."""
    rng = np.random.default_rng(0)
    return {
        "train_images": rng.integers(0, 256, (50, 28, 28), dtype=np.uint8),
        "train_labels": rng.integers(0, 10, 50, dtype=np.uint8),
        "test_images": rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        "test_labels": rng.integers(0, 10, 20, dtype=np.uint8),
    }


def write_mnist(
    folder: Path, arrays: dict[str, np.ndarray], gzipped: bool = False, dotted: bool = False
) -> mnist.Files:
    """Write the arrays as the four files of MNIST and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for role, path in vars(mnist.standard_files(folder)).items():
        name = path.name.replace("-idx", ".idx") if dotted else path.name
        content = idx_bytes(arrays[role])
        written[role] = folder / (name + ".gz" if gzipped else name)
        written[role].write_bytes(gzip.compress(content) if gzipped else content)
    return mnist.Files(**written)
