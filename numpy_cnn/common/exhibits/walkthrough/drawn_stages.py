"""The drawing of a network of any layers: one row per layer, with its values and their gradients."""

import numpy as np

from numpy_cnn.common.exhibits.walkthrough.panels import SIGNED, SOFT, Sheet, precise
from numpy_cnn.common.exhibits.walkthrough.trace import Array, Trace

MAPS = 5  # channels per layer
SIDE, GAP = 1.0, 0.12  # of a map, and between maps, in inches
VALUES, GRADIENTS = 3.3, 9.2  # left edges
_TOP = 1.4


def height(trace: Trace) -> float:
    """The height of `stages` in inches."""
    return _TOP + sum(map(_row, trace.values.values()))


def _row(value: Array) -> float:
    return 1.15 if value.ndim == 2 else 1.6


def stages(sheet: Sheet, trace: Trace, y: float) -> float:
    """Draw every stage: on the left its most active channels, on the right the gradients at the same places."""
    sheet.heading(y, "1   Forward and backward, layer by layer")
    sheet.text(VALUES, y + 0.6, "Values", 12, weight="bold")
    sheet.text(GRADIENTS, y + 0.6, "Gradients of the loss, before the first step", 12, weight="bold")
    which = f"Of more than {MAPS} channels, those with the largest values; each row has its own scale."
    sheet.text(VALUES, y + 0.85, which, 9.5, SOFT)
    y += _TOP
    for name, value in trace.values.items():
        gradient = trace.gradients[name]
        size = "×".join(map(str, value.shape[1:]))
        sheet.text(0.5, y, name.replace(".", ".\n"), 11, weight="bold")
        sheet.text(
            0.5, y + 0.22 * (name.count(".") + 1) + 0.05,
            f"{size}: {precise(float(value.min()))} to {precise(float(value.max()))}\n"
            f"gradient up to {precise(float(np.abs(gradient).max()))}",
            9.5, SOFT,
        )  # fmt: skip
        if value.ndim == 2:
            _strip(sheet, VALUES, y, value[0])
            _strip(sheet, GRADIENTS, y, gradient[0])
        else:
            strongest = np.argsort(-np.abs(value[0]).max(axis=(1, 2)), kind="stable")[:MAPS]
            channels = sorted(strongest.tolist())
            _maps(sheet, VALUES, y, value[0], channels)
            _maps(sheet, GRADIENTS, y, gradient[0], channels)
        y += _row(value)
    return y


def _maps(sheet: Sheet, x: float, y: float, planes: Array, channels: list[int]) -> None:
    """The channels in one row, with one scale."""
    largest = float(np.abs(planes[channels]).max()) or 1.0
    for at, channel in enumerate(channels):
        plane = planes[channel]
        width = SIDE * min(1.0, plane.shape[1] / plane.shape[0])
        title = f"channel {channel}" if len(planes) > 1 else ""
        axes = sheet.picture(x + at * (SIDE + GAP), y, width, plane, "", title, largest=largest)
        axes.set_anchor("NW")


def _strip(sheet: Sheet, x: float, y: float, vector: Array) -> None:
    """A vector as a strip as wide as a row of maps."""
    axes = sheet.axes(x, y, MAPS * (SIDE + GAP) - GAP, 0.35)
    largest = float(np.abs(vector).max()) or 1.0
    axes.imshow(vector[None], cmap=SIGNED, vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(SOFT)
