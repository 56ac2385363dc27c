"""`new`: a stub for your own layer."""

import io
import sys
from dataclasses import dataclass
from typing import Annotated

import tyro

from numpy_cnn.common.spec.errors import UserError
from parity.commands.placeholders import named


@dataclass(frozen=True)
class New:
    """Print a stub for your own layer: python -m parity new conv2d > my_conv2d.py"""

    op: Annotated[str, tyro.conf.Positional, named("ROW")]
    """The row, such as conv2d; `list` prints all names."""

    def run(self) -> int:
        """Print the stub; return the exit code."""
        from parity.commands.stub import has_stub, stub
        from parity.rows.registry import ROWS

        try:
            text = stub(self.op)
        except KeyError:
            there = ", ".join(row.name for row in ROWS.values() if has_stub(row))
            raise UserError(f"new: no stub for {self.op!r}; there are {there}") from None
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
            sys.stdout.reconfigure(
                encoding="utf-8"
            )  # Python's encoding for source files, independent of the locale
        print(text, end="")
        return 0
