"""The walkthrough as one picture: forward, learning, backward, with each stage and its gradient in one column."""

import math
from collections.abc import Sequence
from pathlib import Path

from numpy_cnn.common.exhibits.walkthrough import drawn_backward, drawn_forward, drawn_learning, drawn_stages
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
    draw_as = _draw_simple if lesson.simple else _draw_any
    draw_as(lesson, traces, backend, name).save(path)


def _draw_any(lesson: Lesson, traces: Sequence[Trace], backend: str, name: str) -> Sheet:
    classes = 0.3 * max(3, lesson.architecture.classes)
    sheet = Sheet(WIDTH, 6.9 + drawn_stages.height(traces[0]) + classes)
    _title(sheet, name, f"Computed by {backend}. Red is positive, blue negative, white zero.")
    y = drawn_stages.stages(sheet, traces[0], 1.3)
    sheet.heading(y, "2   From scores to a decision")
    y = drawn_forward.answer(
        sheet, lesson, traces[0], y + 1.0, "The last layer's output:\na higher score is more likely."
    )
    drawn_learning.learning(sheet, lesson, traces, y)
    return sheet


def _draw_simple(lesson: Lesson, traces: Sequence[Trace], backend: str, name: str) -> Sheet:
    filters = lesson.architecture.filters
    more = 0.0 if filters == 1 else 0.7 + 2.5 * math.ceil(min(filters, drawn_forward.MOST_FILTERS) / 8)
    classes = 0.3 * max(3, lesson.architecture.classes)
    sheet = Sheet(WIDTH, 23.9 + more + 2 * classes)
    focus = loudest(lesson, traces[0])
    _title(
        sheet,
        name,
        f"Kernel: {lesson.kernel}, which looks for {LOOKS_FOR[lesson.kernel]}. Computed by {backend}.\n"
        "Red is positive, blue negative, white zero. The orange frames follow one position through the network.",
    )
    y = drawn_forward.features(sheet, lesson, traces[0], focus, 1.55)
    y = drawn_forward.from_near(sheet, focus, y)
    if more:
        drawn_forward.gallery(sheet, lesson, traces[0], y)
        y += more
    y = drawn_forward.decision(sheet, lesson, traces[0], y)
    y = drawn_learning.learning(sheet, lesson, traces, y)
    y = drawn_backward.gradients(sheet, lesson, traces[0], focus, y)
    drawn_backward.from_near(sheet, lesson, traces[0], focus, y)
    return sheet


def _title(sheet: Sheet, name: str, caption: str) -> None:
    sheet.text(0.5, 0.3, f"How a convolutional network looks at {_plain(name)}", 22, weight="bold")
    sheet.text(0.5, 0.82, caption, 11, SOFT)


def _plain(name: str) -> str:
    """A file name, shortened for a title and escaped for matplotlib's mathematical text."""
    short = name if len(name) <= 48 else f"{name[:45]}…"
    return short.replace("\\", "\\\\").replace("$", r"\$")
