"""`python -m torch_cnn`: train and use the network written in PyTorch, with the same commands."""

import sys
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

from numpy_cnn.common.cli.main import main
from numpy_cnn.common.cli.program import Program
from numpy_cnn.common.data import Dataset
from numpy_cnn.common.exhibits.shift_study.dense import MakeDense
from numpy_cnn.common.exhibits.walkthrough.trace import Tracer
from numpy_cnn.common.spec.backend import Array, Backend
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.group import Group


def backend() -> type[Backend]:
    """The PyTorch backend.

    Raises:
        UserError: torch is not installed.
    """
    if find_spec("torch") is None:
        raise UserError("PyTorch is not installed: pip install torch torchvision")
    from torch_cnn.backend import Backend

    return Backend


def load_mnist(folder: Path) -> Dataset:
    """MNIST, read with torchvision."""
    backend()  # first reports that torch is missing
    from torch_cnn.data import load

    return load(folder)


def tracer() -> Tracer:
    """The function that traces one picture through the network."""
    backend()  # first reports that torch is missing
    from torch_cnn.views.trace import trace

    return trace


def dense() -> MakeDense:
    """The PyTorch network without a convolution."""
    backend()  # first reports that torch is missing
    from torch_cnn.views.dense import Dense

    return Dense


def select_device(name: str) -> None:
    """
    Raises:
        UserError: there is no such device, or torch is not installed.
    """
    if name == "cpu":
        return  # the default: commands that compute nothing need no torch
    backend()  # first reports that torch is missing
    from torch_cnn.device import select

    select(name)


def group() -> AbstractContextManager[Group]:
    """The processes that torchrun started."""
    backend()  # first reports that torch is missing
    from torch_cnn.distributed import group

    return group()


def load_pth(path: Path) -> dict[str, Array]:
    """Read the tensors of a torch.save file without executing anything in it."""
    backend()  # first reports that torch is missing
    from torch_cnn.weights import load

    return load(path)


PROGRAM = Program(
    "torch_cnn", backend, load_mnist, dense, tracer, load_pth, select_device, group, other="numpy_cnn"
)


def run() -> int:
    """Entry point of the console script."""
    code = main(PROGRAM)
    if (distributed := sys.modules.get("torch_cnn.distributed")) is not None:
        distributed.leave(code)
    return code


if __name__ == "__main__":
    sys.exit(run())
