"""Results as rows, and rows as tables for the terminal, Markdown and JSON."""

import statistics
from typing import Any

from rich.console import Console
from rich.table import Table
from turns import LIMIT, OURS, Measured

Row = dict[str, str]


def spread(ratios: list[float]) -> str:
    """The median, with the smallest and the largest in brackets."""
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})"


def fastest_torch(found: dict[str, Measured]) -> str | None:
    """The fastest eager variant of torch in this run, which is the reference."""
    eager = [name for name in found if name.startswith("torch") and name != "torch, compiled"]
    return min(eager, key=lambda name: found[name].median, default=None)


def rows(case: str, found: dict[str, Measured]) -> list[Row]:
    """One row per contender: time, ratio to the fastest torch, fraction of the machine's limit, memory."""
    rival, limit = fastest_torch(found), found.get(LIMIT)
    return [
        {
            "case": case,
            "contender": name + (" ←" if name == rival else ""),
            "ms": f"{measured.median * 1e3:.3g}",
            "÷ fastest torch ←": spread(measured.ratios(found[rival])) if rival else "",
            "of the limit": f"{statistics.median(limit.ratios(measured)):.0%}" if limit else "",
            "peak MB": f"{measured.peak_mb:.1f}",
        }
        for name, measured in found.items()
    ]


def as_json(found: dict[str, Measured]) -> dict[str, Any]:
    """Every turn of every contender."""
    return {name: {"seconds": m.seconds, "peak_mb": m.peak_mb} for name, m in found.items()}


def show(title: str, table: list[Row]) -> None:
    """Print the table."""
    shown = Table(title=title, title_justify="left")
    for name in table[0]:
        shown.add_column(name, justify="left" if name in ("case", "contender") else "right", no_wrap=True)
    before = None
    for row in table:
        if before is not None and row.get("case") != before:
            shown.add_section()
        before = row.get("case")
        style = "bold" if row.get("contender") == OURS else None
        shown.add_row(*row.values(), style=style)
    console = Console()
    console.print(shown) if console.is_terminal else Console(width=140).print(shown)


def markdown(title: str, table: list[Row]) -> str:
    """The table in Markdown."""
    lines = [list(table[0]), ["---"] * len(table[0]), *([*row.values()] for row in table)]
    return f"### {title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
