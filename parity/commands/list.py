"""`list`: print the rows."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class List:
    """List the rows with their torch counterparts and lanes."""

    def run(self) -> int:
        """Print a table; return the exit code."""
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
            "\n  python -m parity check conv2d --impl FILE.py:NAME     compare your implementation with torch",
            markup=False,
        )
        console.print(
            "  python -m parity new conv2d > my_conv2d.py            print a stub to start from", markup=False
        )
        return 0
