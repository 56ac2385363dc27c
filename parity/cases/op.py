"""The types of arrays and ops, in a module that does not import torch."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Op: TypeAlias = Callable[..., Any]  # y, pullback = op(*arrays, **options)
