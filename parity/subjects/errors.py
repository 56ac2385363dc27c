"""What an implementation can do instead of returning a result."""

from collections.abc import Mapping
from typing import Any


class ImplementationError(Exception):
    """The implementation raised, took too long, or returned what is not a result; the message names its line."""

    def __init__(self, message: str, aspect: str = "raised") -> None:
        super().__init__(message)
        self.aspect = aspect  # raised, form or time
        self.in_pullback = False


class CallRaised(ImplementationError):  # noqa: N818  # named for what the call did
    """A call raised an exception of its own.

    Attributes:
        deliberate: raised by its own `raise` or `assert`: it refuses the case rather than failing at it.
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


class Declined(Exception):  # noqa: N818  # not an error: the implementation never claimed to do this
    """The implementation does not do this case: it raised NotImplementedError, or has no such option."""

    def __init__(self, message: str, narrows: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.narrows = dict(narrows or {})  # words of `supports` under which no case is declined for this reason


class Unrecognised(TypeError):  # noqa: N818  # a question rather than an error
    """Parity cannot find out how to call the implementation; the message asks for what is missing."""
