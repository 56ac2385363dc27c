"""The drawing of the learning: loss and probability step by step."""

from collections.abc import Sequence

from numpy_cnn.common.exhibits.walkthrough.lesson import Lesson
from numpy_cnn.common.exhibits.walkthrough.panels import RIGHT, SOFT, WRONG, Sheet
from numpy_cnn.common.exhibits.walkthrough.trace import Trace


def learning(sheet: Sheet, lesson: Lesson, traces: Sequence[Trace], y: float) -> float:
    """Draw loss and probability per epoch; each point shows whether the prediction is correct."""
    from matplotlib.ticker import MaxNLocator

    assert lesson.label is not None
    what = "the kernel is fixed, the dense layer learns" if lesson.architecture.fixed_edges else "all layers learn"
    sheet.heading(y, f"3   Learning: {what}")
    sheet.text(
        0.5, y + 0.65,
        "In each epoch every weight takes\na small step against its gradient:\n\n"
        "    weight ← weight − rate × gradient\n\nThe loss falls, and the probability\nof the true class rises.",
        10.5, SOFT,
    )  # fmt: skip
    epochs = range(len(traces))
    losses = [trace.loss for trace in traces]
    shares = [float(trace.probabilities[0, lesson.label]) for trace in traces]
    right = [trace.answer == lesson.label for trace in traces]
    for x, values, title in (
        (4.6, losses, "Loss"),
        (10.2, shares, f"Probability of the true class, {lesson.label}"),
    ):
        axes = sheet.axes(x, y + 0.85, 4.6, 1.6)
        axes.plot(epochs, values, color="#9AA5B1", linewidth=1.5, zorder=1)
        few = len(traces) <= 21
        for correct, colour, marker in ((True, RIGHT, "o"), (False, WRONG, "X")):
            points = [e for e in epochs if right[e] == correct and few]
            if not points:
                continue
            axes.scatter(points, [values[e] for e in points], color=colour, marker=marker, s=45, zorder=2,
                         label="correct prediction" if correct else "wrong prediction")  # fmt: skip
        axes.set_xlabel("steps taken", color=SOFT, size=9.5)
        axes.set_ylim(0, max(1.0, 1.12 * max(values)) if values is shares else 1.15 * max(losses) or 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=9)
        if values is shares and few:
            axes.legend(frameon=False, fontsize=9, loc="lower right")
        sheet.text(x, y + 0.78, title, 11, weight="bold", va="bottom")
    return y + 3.1
