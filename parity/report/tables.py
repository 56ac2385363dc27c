"""Small arrays as text, side by side."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from parity.diagnosis.evidence import Array

MOST_ENTRIES, MOST_WIDTH = 72, 108


def number(value: Any) -> str:
    """Format a number: integers without a point, others with few digits."""
    value = float(value)
    if not np.isfinite(value):
        return {"inf": "inf", "-inf": "-inf"}.get(str(value), "NaN")
    if value == int(value) and abs(value) < 1e7:
        return "-0" if str(value) == "-0.0" else str(int(value))
    return f"{value:.8g}"


def grid(array: Array, title: str, *, signed: bool = False, wrong: Array | None = None) -> list[str]:
    """Format an array as lines of equal width: one table of the last two axes for each index of the others.

    With `signed`, positive numbers have a plus sign and zeros are dots; `wrong` entries are marked with *.
    """
    shape = "×".join(map(str, array.shape)) or "scalar"
    lines = [title, f"({shape})"]
    if array.size > MOST_ENTRIES:
        return _even([*lines, "too large to draw"])
    if array.size == 0:
        return _even([*lines, "empty"])
    marks = np.zeros(array.shape, bool) if wrong is None else wrong
    texts = [_cell(value, signed) for value in array.ravel().tolist()]
    texts = [text + "*" * bool(mark) for text, mark in zip(texts, marks.ravel().tolist(), strict=True)]
    cells = np.array(texts, dtype=object).reshape(array.shape or (1,))
    if cells.ndim == 1:
        cells = cells[None]
    width = max(len(cell) for cell in cells.ravel())
    leading = cells.shape[:-2]
    for index in np.ndindex(leading):
        if cells[..., 0, 0].size > 1:
            lines.append(f"[{', '.join(map(str, index))}]")
        lines += ["  ".join(cell.rjust(width) for cell in line) for line in cells[index]]
    return _even(lines)


def _cell(value: float, signed: bool) -> str:
    if not signed:
        return number(value)
    return "·" if value == 0 else f"{'+' if value > 0 else ''}{number(value)}"


def beside(columns: Sequence[list[str]], gap: int = 4, width: int = MOST_WIDTH) -> list[str]:
    """Place columns of text side by side, as many as fit into the width, and the others below."""
    lines: list[str] = []
    row: list[list[str]] = []
    used = 0
    for column in [*columns, None]:
        if column is not None and (not row or used + gap + len(column[0]) <= width):
            used += gap + len(column[0])
            row.append(column)
            continue
        if row:
            if lines:
                lines.append("")
            blanks = [" " * len(c[0]) for c in row]
            for parts in zip_longest(*row):
                padded = [b if p is None else p for p, b in zip(parts, blanks, strict=True)]
                lines.append((" " * gap).join(padded).rstrip())
        row, used = ([] if column is None else [column]), 0 if column is None else len(column[0])
    return lines


def _even(lines: list[str]) -> list[str]:
    width = max(map(len, lines))
    return [line.ljust(width) for line in lines]


def map_of(wrong: Array) -> list[str]:
    """Draw the positions of wrong entries (# wrong, · right): one picture of the last two axes per index."""
    pictures = []
    for index in np.ndindex(wrong.shape[:-2]):
        head = [f"[{', '.join(map(str, index))}]"] if index else []
        pictures.append(_even([*head, *("".join("#" if w else "·" for w in line) for line in wrong[index])]))
    return beside(pictures, gap=2)
