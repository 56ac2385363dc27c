"""The pictures of a run, as PNG files: curves, filters, predictions.

Every function raises UserError if matplotlib is not installed or the file cannot be written.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, float]

# Blue, orange, green, red, purple of Okabe and Ito's colour-blind-safe palette.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
RIGHT, WRONG = "#00704A", "#C0261C"
_MOST_FILTERS = 32
_SPLITS = (("train", "training", "-"), ("validation", "validation", "--"))


def training_curves(history: Sequence[Row], path: Path, title: str = "") -> None:
    """Loss and accuracy over the epochs, training and validation.

    ``history`` has one row per epoch with ``epoch``, and ``train_loss``, ``train_accuracy``,
    ``validation_loss``, ``validation_accuracy`` (fractions of 1) if they were measured: NaN and missing
    values leave a gap, and a panel without values is omitted.
    """
    panels = [panel for panel in ("loss", "accuracy") if any(_has(history, f"{s}_{panel}") for s, *_ in _SPLITS)]
    figure = new_figure(width=5.2 * max(1, len(panels)), height=3.8)
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), index + 1)
        for (split, label, style), colour in zip(_SPLITS, COLOURS, strict=False):
            if _has(history, key := f"{split}_{panel}"):
                _line(axes, history, key, label, colour, style)
        _finish_curve(axes, panel)
    figure.suptitle(title)
    save(figure, path)


def compare_curves(histories: Mapping[str, Sequence[Row]], path: Path, title: str = "") -> None:
    """The losses of several runs in one figure: ``histories`` maps each run's name to its history."""
    figure = new_figure(width=7.2, height=4.4)
    axes = figure.add_subplot()
    for index, (name, history) in enumerate(histories.items()):
        for split, label, style in _SPLITS:
            if _has(history, key := f"{split}_loss"):
                # The later run is drawn thinner, so that two equal curves stay visible.
                _line(
                    axes,
                    history,
                    key,
                    f"{name}, {label}",
                    COLOURS[index % len(COLOURS)],
                    style,
                    4 - 2.5 * min(index, 1),
                )
    _finish_curve(axes, "loss")
    figure.suptitle(title)
    save(figure, path)


def learned_filters(before: NDArray[np.floating[Any]], after: NDArray[np.floating[Any]], path: Path) -> None:
    """The kernels ``(O, C, kh, kw)`` of a convolution before (above) and after training, on one colour scale.

    Input channels are averaged into one picture per filter; at most the first 32 filters are drawn.
    """
    pictures = [kernels[:_MOST_FILTERS].mean(axis=1) for kernels in (before, after)]
    shown = len(pictures[0])
    columns = min(shown, 8)
    rows = 2 * math.ceil(shown / columns)
    largest = max(float(np.abs(kernels).max()) for kernels in pictures) or 1.0

    figure = new_figure(width=max(0.9 * columns + 1.2, 3.4), height=0.96 * rows + 0.6)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        hide_frame(axes)
    for row in range(rows):
        grid[row, 0].set_ylabel(("before", "after")[row % 2])
    for number in range(shown):
        row, column = 2 * (number // columns), number % columns
        grid[row, column].set_title(f"filter {number}" if columns < 3 else str(number), fontsize=9, pad=3)
        for axes, kernels in zip(grid[row : row + 2, column], pictures, strict=True):
            image = axes.imshow(kernels[number], cmap="RdBu_r", vmin=-largest, vmax=largest)
    figure.colorbar(image, ax=grid, label="weight", shrink=min(1.0, 3 / rows), aspect=16)
    figure.suptitle("Filters before and after training", fontsize=11)
    save(figure, path)


def sample_predictions(
    images: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    predictions: NDArray[np.integer[Any]],
    path: Path,
) -> None:
    """Images ``(N, C, H, W)`` with the network's predictions: green and ✓ if correct, red and ✗ if wrong.

    ``labels`` and ``predictions`` have shape ``(N,)``; the mean over the channels is shown.
    """
    columns = min(8, max(1, len(images)))
    rows = max(1, math.ceil(len(images) / columns))
    figure = new_figure(width=1.3 * max(columns, 3), height=1.5 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        hide_frame(axes)
    for axes, image, label, prediction in zip(grid.flat, images, labels, predictions, strict=False):
        right = label == prediction
        colour = RIGHT if right else WRONG
        axes.imshow(image.mean(axis=0), cmap="gray_r")
        axes.spines[:].set(visible=True, color=colour, linewidth=1 if right else 2.5)
        axes.set_title(
            f"✓ {prediction}" if right else f"✗ {prediction}, not {label}", color=colour, fontsize=10, pad=4
        )
    count = int((np.asarray(labels) == predictions).sum())
    figure.suptitle(f"Predictions of the network: {count} of {len(images)} correct", fontsize=11)
    save(figure, path)


def hide_frame(axes: Axes) -> None:
    """Remove the ticks and the frame of `axes`."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, size in inches, drawn in memory: no window, no global state.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise UserError(f"pictures need matplotlib ({error}): pip install matplotlib") from error
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, compress=True)
    figure = Figure(figsize=(width, height), dpi=150, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG.

    Raises:
        UserError: the file cannot be written.
    """
    content = io.BytesIO()
    figure.savefig(content, format="png")
    try:
        replace_file(path, content.getvalue())
    except OSError as error:
        raise UserError(f"cannot write the picture {path}: {error.strerror or error}") from error


def _has(history: Sequence[Row], key: str) -> bool:
    return any(not math.isnan(row.get(key, math.nan)) for row in history)


def _line(
    axes: Axes, history: Sequence[Row], key: str, label: str, colour: str, style: str, width: float = 2.0
) -> None:
    epochs = [row["epoch"] for row in history]
    values = [row.get(key, math.nan) for row in history]
    marker = "o" if len(history) <= 20 else None
    axes.plot(
        epochs, values, style, color=colour, label=label, linewidth=width, marker=marker, markersize=width + 2
    )


def _finish_curve(axes: Axes, what: str) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.set_xlabel("epoch")
    axes.set_ylabel(what)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if what == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False)
