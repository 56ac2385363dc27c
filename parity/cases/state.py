"""State that an op updates in addition to its results: the running statistics of a batch norm."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import numpy.typing as npt

# Arguments that torch overwrites in training and that have no gradient.
BUFFERS = frozenset({"running_mean", "running_var"})

_KEPT: ContextVar[dict[str, npt.NDArray[np.generic]] | None] = ContextVar("_KEPT", default=None)


@contextmanager
def collected() -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    """Collect {name: array} of the buffers of the ops called in this context, as reported by `keep`."""
    kept: dict[str, npt.NDArray[np.generic]] = {}
    token = _KEPT.set(kept)
    try:
        yield kept
    finally:
        _KEPT.reset(token)


def keep(name: str, value: object) -> None:
    """Report the value of a buffer after the current call, as a copy."""
    kept = _KEPT.get()
    if kept is not None:
        kept[name] = np.array(value)
