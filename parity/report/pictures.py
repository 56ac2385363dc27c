"""SVG pictures for the HTML page."""

from html import escape

import numpy as np

from parity.diagnosis.evidence import Array, Comparison
from parity.report.coverage import DECADES
from parity.report.tables import number

CELL, MOST_TILES = 14, 24
_RAISED = str.maketrans({"3": "³", "4": "⁴", "5": "⁵"})


def distribution(counts: list[int], name: str) -> str:
    """Return a histogram of error/bound with one bar per decade."""
    width, height, bar = 232, 66, 24
    most = max([*counts, 1])
    parts = [
        f'<svg class="bars" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="distribution of error over bound, {escape(name)}">'
    ]
    for place, (label, count) in enumerate(zip(DECADES, counts, strict=True)):
        x, tall = place * 29 + 2, round(44 * count / most, 1)
        kind = "over" if place == len(DECADES) - 1 else "bar"
        tall = max(tall, 1.5) if count else 0
        parts.append(
            f"<g><title>{escape(label)}: {count} cases</title>"
            f'<rect class="{kind}" x="{x}" y="{50 - tall}" width="{bar}" height="{tall}"/></g>'
        )
        short = label.replace("1e-", "10⁻").translate(_RAISED) if "e" in label else label
        parts.append(f'<text x="{x + bar / 2}" y="62" text-anchor="middle">{escape(short)}</text>')
    parts.append(f'<line x1="0" y1="50.5" x2="{width}" y2="50.5"/></svg>')
    return "".join(parts)


def heat_map(c: Comparison) -> str:
    """Return heat maps of the difference of two tensors, one for each index of the leading axes."""
    difference = np.abs(c.difference)
    finite = difference[np.isfinite(difference)]
    largest = float(finite.max(initial=0.0)) or 1.0
    tiles = (
        difference.reshape((-1, *difference.shape[-2:])) if difference.ndim > 1 else difference.reshape(1, 1, -1)
    )
    wrong, yours, torchs = (a.reshape(tiles.shape) for a in (c.wrong, c.yours, c.torchs))
    leading = difference.shape[:-2]
    pictures = [
        _tile(tiles[place], wrong[place], yours[place], torchs[place], largest, _index(place, leading))
        for place in range(min(len(tiles), MOST_TILES))
    ]
    more = f"<p>and {len(tiles) - MOST_TILES} more</p>" if len(tiles) > MOST_TILES else ""
    return f'<div class="tiles">{"".join(pictures)}{more}</div>'


def _index(place: int, leading: tuple[int, ...]) -> str:
    return f"[{', '.join(str(int(i)) for i in np.unravel_index(place, leading))}]" if leading else ""


def _tile(difference: Array, wrong: Array, yours: Array, torchs: Array, largest: float, title: str) -> str:
    rows, columns = difference.shape
    cell = CELL if max(rows, columns) <= 24 else 6
    width, height = columns * cell, rows * cell
    parts = [
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="where the tensors differ {escape(title)}">'
    ]
    for i, j in np.ndindex(rows, columns):
        amount = difference[i, j]
        kind, strength = "same", ""
        if wrong[i, j]:
            kind = "nan" if not np.isfinite(amount) else "off"
            share = 0.25 + 0.75 * float(amount) / largest if np.isfinite(amount) else 1.0
            strength = f' fill-opacity="{share:.2f}"'
        label = f"[{i}, {j}] yours {number(yours[i, j])}, torch's {number(torchs[i, j])}"
        parts.append(
            f'<rect class="{kind}" x="{j * cell}" y="{i * cell}" width="{cell - 1}" height="{cell - 1}"{strength}>'
            f"<title>{escape(label)}</title></rect>"
        )
    return "".join([*parts, "</svg></figure>"])
