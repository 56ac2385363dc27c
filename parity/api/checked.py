"""What can be checked. Imports nothing heavy: a test file needs no torch before its tests run."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, TypeAlias


class Own(Enum):
    """The implementation that is checked where none is given."""

    NUMPY_CNN = "numpy_cnn's own op"


NUMPY_CNN = Own.NUMPY_CNN
# A function, a class or an instance; or a pair (forward, backward).
Checked: TypeAlias = Callable[..., Any] | Sequence[Callable[..., Any]] | Own


def require_implementation(name: str, implementation: object) -> None:
    """Raise TypeError for None, which is a forgotten import or return more often than a wish."""
    if implementation is None:
        raise TypeError(
            f"the implementation of {name!r} is None; give a function, a class or a pair (forward, backward), or "
            f"omit it to check {NUMPY_CNN.value}"
        )
