"""`list`: the rows there are."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class List:
    """Name the rows, the torch function each is compared with, and its lanes."""

    def run(self) -> int:
        """Print a table; the exit code."""
        from rich import box
        from rich.console import Console
        from rich.table import Table

        from parity.registry import ROWS

        table = Table("row", "lanes", "what it is", box=box.SIMPLE)
        for row in ROWS.values():
            first_line = (row.op.__doc__ or "").strip().partition("\n")[0]
            table.add_row(row.name, " ".join(row.lanes), first_line)
        Console(width=None if sys.stdout.isatty() else 120).print(table)
        return 0
