"""Lockstep and drift of every network, optimizer and precision, for docs/how-parity-works.md.

    python benchmarks/drift.py --steps 1000 --deep-steps 200 --picture docs/images/drift.png

Each combination is a run of `train_in_lockstep` on the embedded digits, 16 images per step. The table has the
worst errors of a gradient and of an update as fractions of the allowed error, and the drift of the free runs
after the last step beside that of two PyTorch runs that start one ulp apart. The picture shows both drifts
over the steps.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from numpy_cnn.common.data import load
from numpy_cnn.common.spec.architecture import PRESETS, Preset, preset
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.training.plots import COLOURS, new_figure, save
from parity.api.lockstep import train_in_lockstep
from parity.cases.case import Dtype
from parity.report.training_run import TrainingReport

OPTIMIZERS = {"sgd": OptimizerConfig("sgd"), "adam": OptimizerConfig("adam")}
DTYPES: tuple[Dtype, ...] = ("float32", "float64")
DEEP = ("lenet5", "vgg", "resnet")
BATCH = 16


@dataclass(frozen=True)
class Run:
    """One combination and its report."""

    arch: Preset
    optimizer: str
    report: TrainingReport

    def line(self) -> str:
        """A row of the table."""
        report, last = self.report, self.report.steps[-1]
        gradient = max(gradient for gradient, _ in report.worst.values())
        update = max(update for _, update in report.worst.values())
        verdict = "agrees" if report.ok else f"disagrees in step {report.departure and report.departure.step}"
        return (
            f"| {self.arch} | {self.optimizer} | {report.dtype} | {last.number} | {gradient:.2f} | {update:.2f} | "
            f"{last.drift:.1e} | {last.ulp_drift:.1e} | {verdict} |"
        )


def main() -> int:
    """Print the table line by line; return 1 if a run disagrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000, help="of simple, hidden, tiny and edge")
    parser.add_argument("--deep-steps", type=int, default=200, help="of lenet5, vgg and resnet")
    parser.add_argument("--picture", type=Path, help="file for the picture, as PNG")
    typed = parser.parse_args()
    print("| Network | Optimizer | Precision | Steps | Worst gradient | Worst update | Drift | One ulp | |")
    print("|---|---|---|---|---|---|---|---|---|")
    runs = []
    for arch in PRESETS:
        for optimizer in OPTIMIZERS:
            for dtype in DTYPES:
                steps = typed.deep_steps if arch in DEEP else typed.steps
                runs.append(Run(arch, optimizer, _train(arch, OPTIMIZERS[optimizer], dtype, steps)))
                print(runs[-1].line(), flush=True)
    if typed.picture:
        _draw(runs, typed.picture)
    return 0 if all(run.report.ok for run in runs) else 1


def _train(arch: Preset, optimizer: OptimizerConfig, dtype: Dtype, steps: int) -> TrainingReport:
    architecture = preset(arch, image_size=(4, 4) if arch == "tiny" else (8, 8))
    train = load("digits").train
    chosen = train.labels < architecture.classes
    images = train.images[chosen]
    images = images[:, :, :4, :4] if arch == "tiny" else images
    taken = train_in_lockstep(
        architecture, optimizer, images, train.labels[chosen], batch_size=BATCH, steps=steps, dtype=dtype
    )
    return TrainingReport(dtype, tuple(taken))


def _draw(runs: list[Run], picture: Path) -> None:
    figure = new_figure(2.2 * len(PRESETS), 5)
    grid = np.asarray(figure.subplots(2, len(PRESETS), sharey="row"))
    for axes, arch in zip(grid[0], PRESETS, strict=True):
        axes.set_title(arch, fontsize=10)
    for run in runs:
        axes = grid[DTYPES.index(run.report.dtype), list(PRESETS).index(run.arch)]
        colour = COLOURS[list(OPTIMIZERS).index(run.optimizer)]
        numbers = [step.number for step in run.report.steps]
        ulp, drift = ([getattr(s, name) or None for s in run.report.steps] for name in ("ulp_drift", "drift"))
        axes.plot(numbers, ulp, color=colour, lw=3, alpha=0.35, label=f"{run.optimizer}, torch one ulp apart")
        axes.plot(numbers, drift, color=colour, lw=1, label=f"{run.optimizer}, numpy_cnn and torch_cnn")
        axes.set_yscale("log")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes, dtype in zip(grid[:, 0], DTYPES, strict=True):
        axes.set_ylabel(f"{dtype}\nlargest difference of a parameter", fontsize=8)
    figure.supxlabel("step", fontsize=9)
    figure.legend(
        *grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False, fontsize=8
    )
    save(figure, picture)


if __name__ == "__main__":
    raise SystemExit(main())
