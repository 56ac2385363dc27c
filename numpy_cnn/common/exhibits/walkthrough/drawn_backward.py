"""The drawing of the backward pass: each gradient in the column of its stage, from right to left."""

import numpy as np

from numpy_cnn.common.exhibits.walkthrough.columns import INPUT, KERNEL, MAP, POOL, RELU, SIDE, SMALL
from numpy_cnn.common.exhibits.walkthrough.focus import Focus
from numpy_cnn.common.exhibits.walkthrough.lesson import Lesson
from numpy_cnn.common.exhibits.walkthrough.panels import SOFT, Sheet, mark, number, shape
from numpy_cnn.common.exhibits.walkthrough.trace import Trace


def gradients(sheet: Sheet, lesson: Lesson, trace: Trace, focus: Focus, y: float) -> float:
    """Draw the gradients under their stages, from right to left."""
    assert lesson.label is not None
    sheet.heading(y, "4   Backward: the gradient of the loss")
    sheet.text(
        0.5, y + 0.5,
        "The gradient of a number is the change of the loss per change of that number: red, the loss would rise; "
        "blue, it would fall.\nIt is computed from the loss back to the pixels: follow ① to ⑦ leftwards.",
        10.5, SOFT,
    )  # fmt: skip
    y += 1.45
    height = 0.3 * max(3, lesson.architecture.classes)
    sheet.bars(POOL - 0.1, y, SIDE + 0.1, trace.gradients[trace.scores][0], "① at the logits", lesson.label)
    sheet.text(8.0, y + 0.05, "Probabilities minus the one-hot label.\nA class with too high a score is lowered,\n"
               "the true class is raised.", 9.5, SOFT)  # fmt: skip
    flat = trace.gradients["flatten"][0]
    random = (
        "" if lesson.kernel == "learned" else " These weights are still random, so the gradient looks like noise."
    )
    blamed = f"Each number receives its gradient through its weights.{random}"
    y = sheet.strip(flat, y + height + 0.45, "② at the flattened numbers", blamed)

    y += 0.1
    middle = y + SIDE / 2
    pool, relu, conv = (trace.gradients[stage][0, focus.filter] for stage in ("pool1", "relu1", "conv1"))
    routes, size = trace.routes[0, focus.filter], lesson.architecture.kernel_size
    largest = float(np.abs(pool).max()) or 1.0
    axes = sheet.picture(POOL, y, SIDE, pool, f"③ at the pooled   {shape(pool)}",
                         "The strip ② in rows again.", largest=largest)  # fmt: skip
    mark(axes, *focus.pool, 1, 1)
    sheet.arrow(POOL - 0.12, middle, RELU + SIDE - POOL + 0.24)
    axes = sheet.picture(RELU, y, SIDE, relu, f"④ routed by pooling   {shape(relu)}",
                         "Only the maximum of each window\nreceives it. Grey: no gradient.",
                         largest=largest, empty=routes == 0)  # fmt: skip
    mark(axes, focus.row, focus.column, 1, 1)
    sheet.arrow(RELU - 0.12, middle, MAP + SIDE - RELU + 0.24)
    dead = (routes == 0) | (trace.values["conv1"][0, focus.filter] <= 0)
    axes = sheet.picture(MAP, y, SIDE, conv, f"⑤ behind ReLU   {shape(conv)}",
                         "Where ReLU cut to zero\nnothing passes back either.",
                         largest=largest, empty=dead)  # fmt: skip
    mark(axes, focus.row, focus.column, 1, 1)
    sheet.arrow(MAP - 0.12, middle, KERNEL + SMALL - MAP + 0.24)
    of_kernel = trace.parameters["conv1.weight"][focus.filter, 0]
    sheet.numbers(KERNEL, middle - SMALL / 2, SMALL / size, of_kernel, "⑥ of the kernel", digits=3)
    held = (
        "It is fixed and\nnot updated."
        if lesson.architecture.fixed_edges
        else "The update goes in\nthe opposite direction."
    )
    sheet.text(KERNEL, middle + SMALL / 2 + 0.08, f"⑤ times the pixels\nunder it. {held}", 9.5, SOFT)
    sheet.arrow(KERNEL - 0.12, middle, INPUT + SIDE - KERNEL + 0.24)
    pixels = trace.gradients["input"][0, 0]
    axes = sheet.picture(INPUT, y, SIDE, pixels, f"⑦ at the pixels   {shape(pixels)}",
                         f"{int((pixels != 0).sum())} of {pixels.size} pixels have one.\nGrey: none.",
                         empty=pixels == 0)  # fmt: skip
    mark(axes, focus.top, focus.left, size, size)
    return y + SIDE + 0.95


def from_near(sheet: Sheet, lesson: Lesson, trace: Trace, focus: Focus, y: float) -> None:
    """Draw the framed place enlarged: its window, its gradient, and the nine pixels that receive it."""
    sheet.text(0.5, y, "The framed position enlarged, also from right to left:", 12, weight="bold")
    y += 0.7
    size, side = 1.5 / len(focus.kernel), 1.5 / len(focus.window)
    inside = tuple(int(i) for i in np.unravel_index(int(focus.window.argmax()), focus.window.shape))
    sheet.numbers(12.35, y, side, focus.routed, "its window", marked=(inside[0], inside[1]), digits=4)
    sheet.text(12.35, y + 1.58, "All to the maximum.", 9.5, SOFT)
    sheet.arrow(12.15, y + 0.75, -1.0)
    sheet.text(9.15, y + 0.02, "what comes back", 11, weight="bold")
    sheet.text(9.15, y + 0.5, number(focus.gradient, 4), 18, weight="bold")
    alive = (
        "ReLU was active here,\nso it passes unchanged."
        if focus.answer > 0
        else "ReLU was inactive here,\nso nothing passes."
    )
    sheet.text(9.15, y + 0.95, alive, 9.5, SOFT)
    sheet.text(8.75, y + 0.75, "×", 20, ha="center", va="center")
    sheet.numbers(6.95, y, size, focus.kernel, "kernel")
    sheet.text(6.65, y + 0.75, "=", 20, ha="center", va="center")
    sheet.numbers(4.85, y, size, focus.gradient * focus.kernel, "to each pixel", digits=3)
    sheet.arrow(4.6, y + 0.75, -1.0, "added to")
    pixels = np.pad(trace.gradients["input"][0, 0], lesson.architecture.padding)
    top, left = focus.top + lesson.architecture.padding, focus.left + lesson.architecture.padding
    patch = pixels[top : top + len(focus.kernel), left : left + len(focus.kernel)]
    sheet.numbers(1.7, y, size, patch, "total of these pixels", digits=3)
    sheet.text(1.7, y + 1.58, "Neighbouring kernel positions add their contributions.", 9.5, SOFT)
