"""The types of implementations. Without heavy imports: collecting a test file does not import torch."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, TypeAlias


class Own(Enum):
    """The default implementation."""

    NUMPY_CNN = "numpy_cnn's own op"


NUMPY_CNN = Own.NUMPY_CNN
# A function, a class or an instance; or a pair (forward, backward).
Checked: TypeAlias = Callable[..., Any] | Sequence[Callable[..., Any]] | Own


def require_implementation(name: object, implementation: object) -> None:
    """Raise TypeError for None, which usually means a missing import or return, and for a name that is no text."""
    if not isinstance(name, str):
        raise TypeError(f'the first argument is the name of a row, as in "conv2d"; got {name!r}')
    if implementation is None:
        raise TypeError(
            f"the implementation of {name!r} is None; give a function, a class or a pair (forward, backward), or "
            f"omit it to check {NUMPY_CNN.value}"
        )
