"""Exceptions of the implementation as facts."""

from parity.lanes.facts import BadResult, Error, Raised, TimedOut
from parity.subjects.errors import CallRaised, CallTimedOut, ImplementationError


def error_fact(error: ImplementationError) -> Error:
    """Convert an exception to a fact."""
    if isinstance(error, CallRaised):
        return Raised(error.stage, error.exception, error.text, error.where)
    if isinstance(error, CallTimedOut):
        return TimedOut(error.stage, error.seconds, error.where)
    return BadResult(str(error))
