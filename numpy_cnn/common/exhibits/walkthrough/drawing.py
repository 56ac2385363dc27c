"""The walkthrough as one picture: forward, learning, backward, with each stage and its gradient in one column."""

import math
from collections.abc import Sequence
from pathlib import Path

from numpy_cnn.common.exhibits.walkthrough import drawn_backward, drawn_forward, drawn_learning
from numpy_cnn.common.exhibits.walkthrough.columns import WIDTH
from numpy_cnn.common.exhibits.walkthrough.focus import loudest
from numpy_cnn.common.exhibits.walkthrough.kernels import LOOKS_FOR
from numpy_cnn.common.exhibits.walkthrough.lesson import Lesson
from numpy_cnn.common.exhibits.walkthrough.panels import SOFT, Sheet
from numpy_cnn.common.exhibits.walkthrough.trace import Trace


def draw(lesson: Lesson, traces: Sequence[Trace], backend: str, name: str, path: Path) -> None:
    """Draw the first pass, the learning, and the gradients of the first pass, into a PNG.

    Raises:
        UserError: matplotlib is missing or the file cannot be written.
    """
    filters = lesson.architecture.filters
    more = 0.0 if filters == 1 else 0.7 + 2.5 * math.ceil(min(filters, drawn_forward.MOST_FILTERS) / 8)
    classes = 0.3 * max(3, lesson.architecture.classes)
    sheet = Sheet(WIDTH, 23.9 + more + 2 * classes)
    focus = loudest(lesson, traces[0])
    _title(sheet, lesson, backend, name)
    y = drawn_forward.features(sheet, lesson, traces[0], focus, 1.55)
    y = drawn_forward.from_near(sheet, focus, y)
    if more:
        drawn_forward.gallery(sheet, lesson, traces[0], y)
        y += more
    y = drawn_forward.decision(sheet, lesson, traces[0], y)
    y = drawn_learning.learning(sheet, lesson, traces, y)
    y = drawn_backward.gradients(sheet, lesson, traces[0], focus, y)
    drawn_backward.from_near(sheet, lesson, traces[0], focus, y)
    sheet.save(path)


def _title(sheet: Sheet, lesson: Lesson, backend: str, name: str) -> None:
    sheet.text(0.5, 0.3, f"How a convolutional network looks at {_plain(name)}", 22, weight="bold")
    sheet.text(
        0.5,
        0.82,
        f"Kernel: {lesson.kernel}, which looks for {LOOKS_FOR[lesson.kernel]}. Computed by {backend}.\n"
        "Red is positive, blue negative, white zero. The orange frames follow one position through the network.",
        11,
        SOFT,
    )


def _plain(name: str) -> str:
    """A file name, shortened for a title and escaped for matplotlib's mathematical text."""
    short = name if len(name) <= 48 else f"{name[:45]}…"
    return short.replace("\\", "\\\\").replace("$", r"\$")
