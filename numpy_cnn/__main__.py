"""`python -m numpy_cnn`: train and use the network written in NumPy."""

import os
import sys
from pathlib import Path

# Before NumPy is loaded. The products are small: a second OpenBLAS thread gains little if a core is free, and if
# none is, waiting for it makes a step ten times as long. --threads divides the batch among threads instead.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from numpy_cnn.common.cli.main import main
from numpy_cnn.common.cli.program import Program
from numpy_cnn.common.data import mnist
from numpy_cnn.common.exhibits.shift_study.dense import MakeDense
from numpy_cnn.common.exhibits.walkthrough.trace import Tracer
from numpy_cnn.common.spec.backend import Array, Backend
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.mpi import group


def backend() -> type[Backend]:
    """The NumPy backend."""
    from numpy_cnn.backend import Backend

    return Backend


def tracer() -> Tracer:
    """The function that traces one picture through the network."""
    from numpy_cnn.views.trace import trace

    return trace


def dense() -> MakeDense:
    """The NumPy network without a convolution."""
    from numpy_cnn.views.dense import Dense

    return Dense


def select_device(name: str) -> None:
    """
    Raises:
        UserError: not the CPU, the only device that NumPy has.
    """
    if name not in ("cpu", "auto"):
        raise UserError(
            f"--device {name}: numpy_cnn computes on the CPU; leave --device out, or use python -m torch_cnn"
        )


def load_pth(path: Path) -> dict[str, Array]:
    """A file of torch.save, which only PyTorch reads.

    Raises:
        UserError: always.
    """
    raise UserError(f"{path}: only PyTorch reads this file: python -m torch_cnn import {path} …")


PROGRAM = Program(
    "numpy_cnn", backend, mnist.load, dense, tracer, load_pth, select_device, group, other="torch_cnn"
)


def run() -> int:
    """Entry point of the console script."""
    return main(PROGRAM)


if __name__ == "__main__":
    sys.exit(run())
