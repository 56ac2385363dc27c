"""A change of the step size between the steps of an optimizer."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Between:
    """The change that a training loop makes after each step.

    Args:
        lr: the step size from the second step on; None keeps it.
        changed: set after the step size was changed, which fails if the optimizer stores it under an unknown name.
    """

    lr: float | None = None
    changed: bool = False


_BETWEEN: ContextVar[Between] = ContextVar("_BETWEEN", default=Between())  # noqa: B039  # the default does nothing


def between_steps() -> Between:
    """The change between the steps of an optimizer in this context."""
    return _BETWEEN.get()


@contextmanager
def happening(between: Between) -> Iterator[Between]:
    """Apply the change between the steps of all optimizers within."""
    token = _BETWEEN.set(between)
    try:
        yield between
    finally:
        _BETWEEN.reset(token)
