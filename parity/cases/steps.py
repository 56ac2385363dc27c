"""What changes between the steps of an optimizer: the step size."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Between:
    """What a training loop does after each step.

    Args:
        lr: the step size from the second step on; None keeps it.
        changed: set once the step size is changed; an optimizer may store it under a name that nobody knows.
    """

    lr: float | None = None
    changed: bool = False


_BETWEEN: ContextVar[Between] = ContextVar("_BETWEEN", default=Between())  # noqa: B039  # the default does nothing


def between_steps() -> Between:
    """What happens between the steps of an optimizer that runs in this context."""
    return _BETWEEN.get()


@contextmanager
def happening(between: Between) -> Iterator[Between]:
    """Let it happen between the steps of all optimizers within."""
    token = _BETWEEN.set(between)
    try:
        yield between
    finally:
        _BETWEEN.reset(token)
