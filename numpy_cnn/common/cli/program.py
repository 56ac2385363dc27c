"""What the two programs, `python -m numpy_cnn` and `python -m torch_cnn`, give to the commands they share."""

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
    """What differs between the two programs. The backend is loaded when needed: --help needs no torch."""

    name: str
    backend: Callable[[], type[Backend]]
    load_mnist: Callable[[Path], Dataset]
    dense: Callable[[], MakeDense]
    tracer: Callable[[], Tracer]
    load_pth: Callable[[Path], dict[str, Array]]
    select_device: Callable[[str], None]  # a UserError for one that is not there
    group: Callable[[], AbstractContextManager[Group]]  # the processes that the launcher started
    other: str  # the program that has the same commands, and the other backend
