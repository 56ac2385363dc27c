"""What an implementation can do instead of giving a result."""

from collections.abc import Mapping
from typing import Any


class ImplementationError(Exception):
    """The implementation raised, took too long, or gave back what is no result; the message names its line."""

    def __init__(self, message: str, aspect: str = "raised") -> None:
        super().__init__(message)
        self.aspect = aspect  # raised, form or time
        self.in_pullback = False


class Declined(Exception):  # noqa: N818  # no error: the implementation never claimed to do this
    """The implementation does not do this case: it raised NotImplementedError, or has no such option."""

    def __init__(self, message: str, narrows: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.narrows = dict(narrows or {})  # what cases would not be declined for this reason


class Unrecognised(TypeError):  # noqa: N818  # a question rather than an error
    """Parity cannot tell how to call the implementation; the message asks for what is missing."""
