"""The drawing of the forward pass: pixels, features, decision."""

import textwrap

import numpy as np

from numpy_cnn.common.exhibits.walkthrough.columns import INPUT, KERNEL, MAP, POOL, RELU, SIDE, SMALL
from numpy_cnn.common.exhibits.walkthrough.focus import Focus
from numpy_cnn.common.exhibits.walkthrough.lesson import Lesson
from numpy_cnn.common.exhibits.walkthrough.panels import SOFT, Sheet, mark, number, precise, shape, total
from numpy_cnn.common.exhibits.walkthrough.trace import Trace

MOST_FILTERS = 16


def features(sheet: Sheet, lesson: Lesson, trace: Trace, focus: Focus, y: float) -> float:
    sheet.heading(y, "1   Forward: from pixels to features")
    y += 0.85
    middle = y + SIDE / 2
    conv, relu, pool = (trace.values[stage][0, focus.filter] for stage in ("conv1", "relu1", "pool1"))
    loudest_of_all = float(np.abs(conv).max()) or 1.0
    size = lesson.architecture.kernel_size
    which = f" {focus.filter}" if lesson.architecture.filters > 1 else ""
    low, high = float(lesson.inputs.min()), float(lesson.inputs.max())
    scaled = "" if low >= 0 and high <= 1 else f"\nThe network takes them as\n{number(low)} to {number(high)}."

    axes = sheet.picture(
        INPUT, y, SIDE, lesson.pixels, f"Input   {shape(lesson.pixels)}",
        f"Every pixel is a number:\n0 is black, 1 is white.{scaled}", shown="gray",
    )  # fmt: skip
    mark(axes, focus.top, focus.left, size, size)
    sheet.arrow(INPUT + SIDE + 0.12, middle, KERNEL - INPUT - SIDE - 0.24)
    sheet.numbers(KERNEL, middle - SMALL / 2, SMALL / size, focus.kernel, f"Kernel{which}   {size}×{size}")
    sheet.text(
        KERNEL, middle + SMALL / 2 + 0.08, "It slides over the\npicture. At each position:\nmultiply, then add.",
        9.5, SOFT,
    )  # fmt: skip
    sheet.arrow(KERNEL + SMALL + 0.12, middle, MAP - KERNEL - SMALL - 0.24)
    axes = sheet.picture(
        MAP, y, SIDE, conv, f"Feature map{which}   {shape(conv)}", "One sum per kernel position.",
        largest=loudest_of_all,
    )  # fmt: skip
    mark(axes, focus.row, focus.column, 1, 1)
    sheet.arrow(MAP + SIDE + 0.12, middle, RELU - MAP - SIDE - 0.24)
    axes = sheet.picture(
        RELU, y, SIDE, relu, f"After ReLU   {shape(relu)}", "Negative values become\nzero.",
        largest=loudest_of_all,
    )  # fmt: skip
    mark(axes, focus.row, focus.column, 1, 1)
    sheet.arrow(RELU + SIDE + 0.12, middle, POOL - RELU - SIDE - 0.24)
    window = f"{lesson.architecture.pool}×{lesson.architecture.pool}"
    axes = sheet.picture(
        POOL, y, SIDE, pool, f"After pooling   {shape(pool)}",
        f"Of each {window} window\nonly the maximum is kept.", largest=loudest_of_all,
    )  # fmt: skip
    mark(axes, *focus.pool, 1, 1)
    return y + SIDE + 0.95


def from_near(sheet: Sheet, focus: Focus, y: float) -> float:
    """Draw the framed place enlarged: patch × kernel = products, their sum, ReLU, and its pooling window."""
    products = focus.patch * focus.kernel
    size = 1.5 / len(focus.kernel)
    sheet.text(0.5, y, "The framed position enlarged:", 12, weight="bold")
    y += 0.7
    grey = focus.patch.min() >= 0 and focus.patch.max() <= 1
    sheet.numbers(0.5, y, size, focus.patch, "inputs there", shown="gray" if grey else "RdBu_r")
    sheet.text(2.2, y + 0.75, "×", 20, ha="center", va="center")
    sheet.numbers(2.4, y, size, focus.kernel, "kernel")
    sheet.text(4.1, y + 0.75, "=", 20, ha="center", va="center")
    sheet.numbers(4.3, y, size, products, "products")
    parts = [*products.ravel(), focus.bias]
    sheet.text(
        6.1, y + 0.02, "added up" + (", with the bias as the last" if focus.bias else ""), 11, weight="bold"
    )
    few = len(parts) <= 10
    terms = textwrap.fill(total(parts), 44) if few else f"{len(parts)} numbers"
    sheet.text(6.1, y + 0.3, terms, 9.5, SOFT)
    sheet.text(6.1, y + 0.72, f"= {number(focus.answer, 3)}", 18, weight="bold")
    kept = "Above zero, so ReLU keeps it." if focus.answer > 0 else "Not above zero: ReLU gives 0."
    sheet.text(6.1, y + 1.16, kept, 9.5, SOFT)
    sheet.arrow(10.4, y + 0.75, 1.75, "pooling window")
    side = 1.5 / len(focus.window)
    inside = tuple(int(i) for i in np.unravel_index(int(focus.window.argmax()), focus.window.shape))
    sheet.numbers(12.35, y, side, focus.window, "its window", marked=(inside[0], inside[1]))
    return y + 2.0


def gallery(sheet: Sheet, lesson: Lesson, trace: Trace, y: float) -> None:
    """Draw every filter's kernel above its feature map."""
    kernels, found = lesson.parameters["conv1.weight"][:, 0], trace.values["relu1"][0]
    largest, loudest_of_all = float(np.abs(kernels).max()), float(found.max()) or 1.0
    shown = min(len(kernels), MOST_FILTERS)
    which = "All" if shown == len(kernels) else f"{shown} of the"
    sheet.text(0.5, y, f"{which} {len(kernels)} kernels, and what ReLU leaves of their maps:", 12, weight="bold")
    for index, (kernel, plane) in enumerate(zip(kernels[:shown], found, strict=False)):
        x, top = 0.5 + 1.8 * (index % 8), y + 0.75 + 2.5 * (index // 8)
        sheet.picture(x, top, 0.55, kernel, f"filter {index}", "", largest=largest)
        sheet.picture(x, top + 0.62, 1.5, plane, "", "", largest=loudest_of_all)


def decision(sheet: Sheet, lesson: Lesson, trace: Trace, y: float) -> float:
    sheet.heading(y, "2   Forward: from features to a decision")
    flat = trace.values["flatten"][0]
    y = sheet.strip(flat, y + 0.85, f"Flattened   {len(flat)} numbers",
               "The pooled rows one after another: the input of the dense layer.")  # fmt: skip
    units = trace.values["relu2"].shape[1] if "relu2" in trace.values else 0
    how = f"Through {units} hidden units, then for each class:\n" if units else "For each class: "
    return answer(sheet, lesson, trace, y, f"{how}weights × numbers, added.\nA higher score is more likely.")


def answer(sheet: Sheet, lesson: Lesson, trace: Trace, y: float, how: str) -> float:
    """Draw the scores, their softmax and the loss; `how` explains the scores."""
    assert lesson.label is not None
    scores = trace.values[trace.scores][0]
    height = 0.3 * max(3, len(scores))
    sheet.bars(1.3, y, 3.0, scores, "Logits", lesson.label)
    sheet.text(0.5, y + height + 0.08, how, 9.5, SOFT)
    sheet.arrow(4.6, y + height / 2, 0.8, "softmax")
    sheet.bars(6.3, y, 3.0, trace.probabilities[0], "Probabilities", lesson.label)
    sheet.text(5.6, y + height + 0.08, "The same order, but above 0,\nand together 1.", 9.5, SOFT)
    sheet.arrow(9.6, y + height / 2, 0.8, "−log")
    share = float(trace.probabilities[0, lesson.label])
    sheet.text(10.6, y - 0.08, "Loss", 11, weight="bold", va="bottom")
    sheet.text(10.6, y + 0.1, f"−log {precise(share)} = {precise(trace.loss)}", 17, weight="bold")
    verdict = "right" if trace.answer == lesson.label else "wrong"
    sheet.text(
        10.6,
        y + 0.55,
        f"Loss for the true class, {lesson.label}:\n0 would be perfect. "
        f"The network predicts {trace.answer}: {verdict}.",
        9.5,
        SOFT,
    )
    return y + height + 0.95
