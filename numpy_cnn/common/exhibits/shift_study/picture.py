"""The experiment as one picture: a shifted digit, and the accuracies over the shift."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from numpy_cnn.common.exhibits.shift_study.shifts import DIRECTIONS, Accuracies
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.training.plots import COLOURS, RIGHT, WRONG, hide_frame, new_figure, save


@dataclass(frozen=True)
class Walk:
    """One test image shifted to the right step by step, and each network's predictions."""

    images: Array  # (shifts, H, W), 0 to 1
    label: int
    answers: Mapping[str, Sequence[int]]  # {network: one answer per shift}


def draw(results: Mapping[str, Accuracies], walk: Walk, title: str, path: Path) -> None:
    """Write the PNG.

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    colours = dict(zip(results, COLOURS, strict=False))
    head = 1.85 + 0.2 * len(results)  # inches: the pictures, and a line for each network
    figure = new_figure(width=8.4, height=head + 3.9)
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[head, 3.9])[:, 0]

    strip = top.subplots(1, len(walk.images), squeeze=False)[0]
    top.suptitle(
        f"A {walk.label} of the test images, shifted to the right, and the prediction of each network", fontsize=11
    )
    for shift, axes in enumerate(strip):
        axes.set_anchor("N")
        hide_frame(axes)
        axes.imshow(walk.images[shift], cmap="gray_r", vmin=0, vmax=1)
        axes.spines[:].set(visible=True, color="0.7", linewidth=1)
        axes.set_title(_pixels(shift), fontsize=9, pad=4)
        for line, (name, answers) in enumerate(walk.answers.items()):
            right = answers[shift] == walk.label
            axes.text(
                0.5,
                -0.08 - 0.17 * line,
                f"{name}: {answers[shift]} {'✓' if right else '✗'}",
                color=RIGHT if right else WRONG,
                fontsize=9,
                ha="center",
                va="top",
                transform=axes.transAxes,
            )

    axes = bottom.subplots()
    bottom.suptitle(title, fontsize=11)
    ends = _apart([table[-1]["mean"] for table in results.values()], gap=0.045)
    for (name, table), end in zip(results.items(), ends, strict=True):
        shifts = range(len(table))
        all_directions = [[row[direction] for direction in DIRECTIONS] for row in table]
        lowest, highest = [min(row) for row in all_directions], [max(row) for row in all_directions]
        axes.fill_between(shifts, lowest, highest, color=colours[name], alpha=0.13, linewidth=0)
        means = [row["mean"] for row in table]
        axes.plot(shifts, means, "o-", color=colours[name], linewidth=2.2, label=name)
        axes.annotate(
            f"{means[-1]:.1%}", (len(table) - 1, end), xytext=(9, 0), textcoords="offset points",
            color=colours[name], va="center", fontsize=10, fontweight="bold",
        )  # fmt: skip
    axes.plot([], [], " ", label="line: mean of four directions\narea: worst to best direction")
    axes.axhline(0.1, color="0.5", linestyle=":", linewidth=1)
    axes.annotate("guessing", (0, 0.1), xytext=(2, 3), textcoords="offset points", color="0.4", fontsize=8)
    axes.set(xlabel="shift in pixels (pictures of 28×28)", ylabel="accuracy on the test images", ylim=(0, 1.02))
    axes.set_xlim(-0.1, len(walk.images) - 1 + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 0.14), fontsize=9)
    save(figure, path)


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """The heights of labels, moved up if two would overlap."""
    placed = list(heights)
    lowest = -gap
    for number in sorted(range(len(heights)), key=lambda n: heights[n]):
        placed[number] = lowest = max(heights[number], lowest + gap)
    return placed


def _pixels(shift: int) -> str:
    return "as it is" if shift == 0 else f"{shift} pixel{'s' if shift > 1 else ''}"
