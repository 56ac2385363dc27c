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

        from parity.report.terminal import LANES
        from parity.rows.registry import ROWS

        table = Table("row", "lanes", "what it is", "compared with", box=box.SIMPLE)
        for row in ROWS.values():
            first_line = (row.op.__doc__ or "").strip().partition("\n")[0]
            what, _, _ = first_line.partition(", as `")
            as_torch = (row.torch_name or f"torch's own {row.name}").replace("torch.nn.functional.", "F.")
            initials = " ".join(lane if lane in row.lanes else "-" * len(lane) for lane in LANES)
            table.add_row(row.name, initials, what.rstrip(".") or "an optimizer, step by step", as_torch)
        console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
        console.print(table)
        for lane, meaning in LANES.items():
            console.print(f"  {lane:10} {meaning}", markup=False)
        console.print(
            "\n  python -m parity check conv2d --impl FILE.py:NAME     compare your own with torch", markup=False
        )
        console.print("  python -m parity new conv2d > my_conv2d.py            a file to begin with", markup=False)
        return 0
