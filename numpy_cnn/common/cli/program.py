"""The parts of `python -m numpy_cnn` and `python -m torch_cnn` that the shared commands use."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from numpy_cnn.common.data.dataset import Dataset
from numpy_cnn.common.exhibits.shift_study.dense import MakeDense
from numpy_cnn.common.exhibits.walkthrough.trace import Tracer
from numpy_cnn.common.spec.backend import Array, Backend
from numpy_cnn.common.training.group import Group


@dataclass(frozen=True)
class Program:
    """The differences between the two programs. The backend is loaded on demand: --help needs no torch."""

    name: str
    backend: Callable[[], type[Backend]]
    load_mnist: Callable[[Path], Dataset]
    dense: Callable[[], MakeDense]
    tracer: Callable[[], Tracer]
    load_pth: Callable[[Path], dict[str, Array]]
    select_device: Callable[[str], None]  # raises UserError if it does not exist
    group: Callable[[], AbstractContextManager[Group]]  # the processes started by the launcher
    other: str  # the name of the other program
