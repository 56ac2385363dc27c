"""Errors in the arguments of `parity`."""

from numpy_cnn.common.spec.errors import UserError


class ArgumentError(UserError, ValueError):
    """An argument is invalid for this row; the command line prints the message and exits with code 2."""


class UnknownRowError(UserError, KeyError):
    """The registry has no such row; the message lists all rows."""

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would quote it
