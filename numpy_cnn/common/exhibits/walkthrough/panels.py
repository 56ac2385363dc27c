"""The elements of a walkthrough's picture, placed in inches from the top left corner."""

import math
import warnings
from collections.abc import Sequence
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from numpy_cnn.common.exhibits.walkthrough.trace import Array
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIGNED = "RdBu_r"  # red above zero, white at it, blue below
INK, SOFT, MARK, NOTHING, RIGHT, WRONG = "#222222", "#666666", "#E69F00", "#E4E4E4", "#009E73", "#C0261C"


class Sheet:
    """A white sheet, `width` by `height` inches.

    Raises:
        UserError: matplotlib is missing, or, from `save`, the file cannot be written.
    """

    def __init__(self, width: float, height: float) -> None:
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise UserError(f"pictures need matplotlib ({error}): pip install matplotlib") from error
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=110)
        FigureCanvasAgg(self.figure)

    def axes(self, x: float, y: float, width: float, height: float) -> "Axes":
        """Axes whose top left corner is at (x, y)."""
        box = (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)

    def text(self, x: float, y: float, words: str, size: float = 10, colour: str = INK, **options: Any) -> None:
        """Text whose top left corner, or the point given by `ha` and `va`, is at (x, y)."""
        options = {"ha": "left", "va": "top", "linespacing": 1.35, **options}
        self.figure.text(x / self.width, 1 - y / self.height, words, size=size, color=colour, **options)

    def heading(self, y: float, words: str) -> None:
        """The title of a section, and a rule."""
        self.text(0.5, y, words, 16, weight="bold")
        rule = self.axes(0.5, y + 0.36, self.width - 1, 0.02)
        rule.set_axis_off()
        rule.axhline(0.5, color=SOFT, linewidth=1)

    def arrow(self, x: float, y: float, length: float, words: str = "") -> None:
        """An arrow to the right, or to the left if the length is negative, with the words above it."""
        axes = self.axes(min(x, x + length), y - 0.1, abs(length), 0.2)
        axes.set_axis_off()
        start, end = ((0, 0.5), (1, 0.5)) if length > 0 else ((1, 0.5), (0, 0.5))
        axes.annotate("", end, start, xycoords="axes fraction", arrowprops={"arrowstyle": "-|>", "color": INK})
        if words:
            self.text(x + length / 2, y - 0.1, words, 9, SOFT, ha="center", va="bottom")

    def picture(
        self, x: float, y: float, width: float, values: Array, title: str, caption: str, *, shown: str = SIGNED,
        largest: float = 0, empty: Array | None = None,
    ) -> "Axes":  # fmt: skip
        """An array (H, W) as coloured squares; grey where `empty` is true."""
        from matplotlib import colormaps

        height = width * values.shape[0] / values.shape[1]
        axes = self.axes(x, y, width, height)
        largest = largest or float(np.abs(values).max()) or 1.0
        low, high = (0.0, 1.0) if shown == "gray" else (-largest, largest)
        masked = values if empty is None else np.ma.masked_array(values, empty)
        axes.imshow(masked, cmap=colormaps[shown].with_extremes(bad=NOTHING), vmin=low, vmax=high)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(SOFT)
        self.text(x, y - 0.08, title, 11, weight="bold", va="bottom")
        self.text(x, y + height + 0.08, caption, 9.5, SOFT)
        return axes

    def numbers(
        self, x: float, y: float, cell: float, values: Array, title: str, *, shown: str = SIGNED,
        largest: float = 0, marked: tuple[int, int] | None = None, digits: int = 2,
    ) -> None:  # fmt: skip
        """A small array (h, w) with its numbers; small numbers share a power of ten, given in the title."""
        rows, columns = values.shape
        size = float(np.abs(values).max())
        power = math.floor(math.log10(size)) if 0 < size < 0.01 else 0
        if power:
            values, digits, title = values / 10.0**power, 1, f"{title}, in {ten_to(power)}"
        axes = self.picture(x, y, cell * columns, values, title, "", shown=shown, largest=largest)
        axes.set(xticks=np.arange(0.5, columns - 1), yticks=np.arange(0.5, rows - 1))
        axes.grid(color="white", linewidth=1.5)
        axes.tick_params(length=0, labelbottom=False, labelleft=False)
        largest = largest or float(np.abs(values).max()) or 1.0
        for row, column in product(range(rows), range(columns)):
            value = float(values[row, column])
            dark = value < 0.5 if shown == "gray" else abs(value) > 0.6 * largest
            text = number(value, digits)
            colour = "white" if dark else INK
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                size=min(11, 19 * cell, 88 * cell / len(text)),
                color=colour,
            )
        if marked is not None:
            mark(axes, *marked, 1, 1)

    def bars(
        self, x: float, y: float, width: float, values: Array, title: str, right: int, digits: int = 3
    ) -> None:
        """One bar per class with its number; the right class is green."""
        axes = self.axes(x, y, width, 0.3 * max(3, len(values)))
        places = np.arange(len(values))
        axes.barh(places, values, color=[RIGHT if place == right else "#9AA5B1" for place in places], height=0.7)
        names = [f"class {place}{' ✓' if place == right else ''}" for place in places]
        axes.set(yticks=places, yticklabels=names, xticks=[])
        axes.invert_yaxis()
        span = max(float(values.max()), 0) - min(float(values.min()), 0) or 1.0
        axes.set_xlim(min(float(values.min()), 0) - 0.42 * span, max(float(values.max()), 0) + 0.42 * span)
        axes.axvline(0, color=SOFT, linewidth=0.8)
        for place, value in enumerate(values.tolist()):
            side, shift = ("left", 1) if value >= 0 else ("right", -1)
            axes.text(
                value + 0.03 * shift * span, place, number(value, digits), ha=side, va="center", size=9, color=INK
            )
        axes.tick_params(length=0, labelsize=9.5)
        axes.spines[:].set_visible(False)
        self.text(x, y - 0.08, title, 11, weight="bold", va="bottom")

    def strip(self, values: Array, y: float, title: str, caption: str) -> float:
        """A long vector as a strip across the sheet."""
        axes = self.axes(0.5, y, self.width - 1, 0.35)
        largest = float(np.abs(values).max()) or 1.0
        axes.imshow(
            values[None], cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest"
        )
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(SOFT)
        self.text(0.5, y - 0.08, title, 11, weight="bold", va="bottom")
        self.text(0.5, y + 0.43, caption, 9.5, SOFT, va="top")
        return y + 1.2

    def save(self, path: Path) -> None:
        """Write the sheet as PNG."""
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Glyph")  # matplotlib's font does not cover every script
                content = BytesIO()
                self.figure.savefig(content, format="png", facecolor="white")
            replace_file(path, content.getvalue())
        except OSError as error:
            raise UserError(f"cannot write the picture {path}: {error.strerror or error}") from error


def number(value: float, digits: int = 2) -> str:
    """The number with `digits` decimals, or with a power of ten if those would all be 0; with a minus sign."""
    value += 0.0  # no −0
    text = f"{value:.{digits}f}"
    if value == round(value) and abs(value) < 100:
        text = f"{value:.0f}"
    elif abs(value) < 0.5 * 10**-digits:
        front, power = f"{value:.1e}".split("e")
        text = f"{front}·{ten_to(int(power))}"
    return text.replace("-", "−")


def precise(value: float) -> str:
    """The number with four significant digits."""
    return f"{value:.4g}".replace("-", "−") if abs(value) >= 1e-4 else number(value)


def ten_to(power: int) -> str:
    """10⁻⁵."""
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def mark(axes: "Axes", row: float, column: float, height: float, width: float) -> None:
    """A frame around the pixels that start at (row, column)."""
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle((column - 0.5, row - 0.5), width, height, fill=False, edgecolor=MARK, linewidth=2.5, zorder=3)
    )


def total(parts: Sequence[float]) -> str:
    """1.2 + 3.4 − 5.6, without the parts that are 0."""
    text = " + ".join(number(part) for part in parts if part) or "0"
    return text.replace("+ −", "− ")


def shape(plane: Array) -> str:
    """28×28."""
    return "×".join(map(str, plane.shape))
