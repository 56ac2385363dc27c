"""Plot of a training run: the drift between the backends beside the drift between two PyTorch runs."""

from pathlib import Path

from numpy_cnn.common.training.plots import new_figure, save
from parity.report.training_run import TrainingReport


def draw_drift(report: TrainingReport, title: str, path: Path) -> None:
    """Write a PNG with both drifts and the worst error of each step, over the steps.

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    figure = new_figure(7, 6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    numbers = [step.number for step in report.steps]
    # A logarithmic axis cannot show 0: the line starts at the first difference.
    above.plot(
        numbers, [step.ulp_drift or None for step in report.steps], "C7-", lw=3, label="torch, one ulp apart"
    )
    above.plot(
        numbers, [step.drift or None for step in report.steps], "C0-", lw=1.5, label="numpy_cnn and torch_cnn"
    )
    above.set_yscale("log")
    above.set_ylabel("largest difference of a parameter")
    above.set_title(title, fontsize=11)
    above.legend(frameon=False)
    below.plot(numbers, [step.worst[1] for step in report.steps], "C0.", markersize=2)
    below.axhline(1, color="C3", lw=1)
    below.set_yscale("log")
    below.set_ylabel("step from equal weights:\nerror / allowed")
    below.set_xlabel("step")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)
