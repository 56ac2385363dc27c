"""The types of arrays and of ops, for modules that do not import torch, too."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Op: TypeAlias = Callable[..., Any]  # y, pullback = op(*arrays, **options)
