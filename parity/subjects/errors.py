"""Exceptions for calls of an implementation that return no result."""

from collections.abc import Mapping
from typing import Any


class ImplementationError(Exception):
    """The implementation raised, took too long, or returned an invalid result; the message contains its line."""

    def __init__(self, message: str, aspect: str = "raised") -> None:
        super().__init__(message)
        self.aspect = aspect  # "raised", "form" or "time"
        self.in_pullback = False


class CallRaised(ImplementationError):  # noqa: N818  # named after the outcome of the call
    """A call raised an exception.

    Attributes:
        deliberate: raised by a `raise` or `assert` in the implementation, so it rejects the case deliberately.
    """

    def __init__(self, stage: str, exception: str, text: str, where: str, *, deliberate: bool = False) -> None:
        super().__init__(f"the {stage} raised {exception}: {text} ({where})")
        self.stage, self.exception, self.text, self.where = stage, exception, text, where
        self.deliberate = deliberate


class CallTimedOut(ImplementationError):  # noqa: N818  # as above
    """A call did not end within its time limit."""

    def __init__(self, stage: str, seconds: float, where: str) -> None:
        super().__init__(f"the {stage} did not end within {seconds:g} s ({where})", "time")
        self.stage, self.seconds, self.where = stage, seconds, where


class Declined(Exception):  # noqa: N818  # not an error: the implementation does not support the case
    """The implementation does not support the case: it raised NotImplementedError, or lacks an option."""

    def __init__(self, message: str, narrows: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.narrows = dict(narrows or {})  # restrictions for `supports` that exclude such cases


class Unrecognised(TypeError):  # noqa: N818  # a question rather than an error
    """Parity cannot determine how to call the implementation; the message states what is missing."""
