"""The types of arrays and of ops, and the time limit of a call. For modules that do not import torch, too."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Op: TypeAlias = Callable[..., Any]  # y, pullback = op(*arrays, **options)

TIME_LIMIT = 30.0  # seconds per call; generous because the first call may run a compiler
