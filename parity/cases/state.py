"""State that an op keeps beside its results: what a batch norm's running statistics are after a call."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import numpy.typing as npt

# Arguments that torch overwrites in training, and gives no gradient for.
BUFFERS = frozenset({"running_mean", "running_var"})

_KEPT: ContextVar[dict[str, npt.NDArray[np.generic]] | None] = ContextVar("_KEPT", default=None)


@contextmanager
def collected() -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    """{name: array} of the buffers that the ops called in this context keep; filled by `keep`."""
    kept: dict[str, npt.NDArray[np.generic]] = {}
    token = _KEPT.set(kept)
    try:
        yield kept
    finally:
        _KEPT.reset(token)


def keep(name: str, value: object) -> None:
    """Report what a buffer is after the call in progress: a copy, which a later call cannot change."""
    kept = _KEPT.get()
    if kept is not None:
        kept[name] = np.array(value)
