"""`shift-study`: measure the accuracy of a dense network and a CNN on shifted digits."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from numpy_cnn.common.cli.device import DeviceFlag
from numpy_cnn.common.cli.loading import load_data
from numpy_cnn.common.cli.report import write_json
from numpy_cnn.common.data import IMAGE_SIZES, Dataset, Split, limit
from numpy_cnn.common.exhibits.shift_study.dense import DenseSizes, Learner
from numpy_cnn.common.exhibits.shift_study.shifts import (
    DIRECTIONS,
    Accuracies,
    answers,
    ink_kept,
    measure,
    shifted,
)
from numpy_cnn.common.exhibits.shift_study.training import train
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.config import DataConfig, OptimizerConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.initial import initial_parameters

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program

MOST = 4  # pixels: the margin around MNIST's digits, so that hardly any ink leaves the picture
NAMES = {2: "SimpleCNN"}  # {side of the pooling window: name}


@dataclass(frozen=True)
class ShiftStudy(DeviceFlag):
    """Train a dense network and SimpleCNN on MNIST, and test both on shifted digits."""

    data: Literal["mnist"] = "mnist"
    """The data set. The 8x8 images of digits are too small for shifts by 4 pixels."""
    data_dir: Path = Path("data")
    """Folder of MNIST; `train --help` lists the formats."""
    out: Path = Path("shift-study")
    """Folder for shift_study.png and shift_study.json."""
    pools: tuple[int, ...] = (2,)
    """Sides of the pooling windows: one SimpleCNN is trained for each. 2 is SimpleCNN's own."""
    epochs: int = 5
    """Passes over the training images."""
    batch_size: int = 64
    """Images per step."""
    seed: int = 0
    """Determines the initial parameters and the order of the images."""
    limit: int | None = None
    """Train only on the first LIMIT images. Default: all."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise UserError(f"--seed must not be negative, got {self.seed}")
        if len({*self.pools}) < len(self.pools):
            raise UserError(f"--pools contains a size twice: {' '.join(map(str, self.pools))}")

    def run(self, program: "Program") -> int:
        """Train, measure, print the table, write the picture and the numbers; return the exit code."""
        from numpy_cnn.common.exhibits.shift_study.picture import draw

        architectures = {
            NAMES.get(pool, f"SimpleCNN, pool {pool}"): Architecture(pool=pool) for pool in self.pools
        }
        if self.out.exists() and not self.out.is_dir():
            raise UserError(f"--out {self.out}: that is a file, not a folder")
        dataset = limit(load_data(DataConfig(self.data, self.data_dir), program), self.limit)
        height, width = dataset.test.images.shape[2:]
        if (height, width) != IMAGE_SIZES[self.data]:
            raise UserError(f"{self.data_dir}: the images have {height}x{width} pixels; shift-study needs 28x28")
        self.out.mkdir(parents=True, exist_ok=True)
        paper = dataset.pixel.background
        results, seconds, learners = {}, {}, self._learners(program, architectures)
        for name, learner in learners.items():
            print(f"{name}: training on {len(dataset.train)} images", file=sys.stderr, flush=True)
            seconds[name] = train(
                learner, dataset.train, OptimizerConfig(), self.epochs, self.batch_size, self.seed
            )
            print(f"{name}: measuring on {len(dataset.test)} shifted images", file=sys.stderr, flush=True)
            results[name] = measure(learner, dataset.test, MOST, paper)

        kept = ink_kept(dataset.pixel.fraction(dataset.test.images).clip(0, 1).round(6), MOST)
        print_table(results, kept)
        walk = _walk(learners, dataset, paper)
        picture, numbers = self.out / "shift_study.png", self.out / "shift_study.json"
        draw(
            results,
            walk,
            f"Accuracy on {len(dataset.test):,} shifted test images of MNIST ({program.name})",
            picture,
        )
        write_json(self._report(program, dataset, architectures, results, seconds, kept), numbers)
        print(f"{picture}\n{numbers}")
        return 0

    def _learners(self, program: "Program", architectures: dict[str, Architecture]) -> dict[str, Learner]:
        learners: dict[str, Learner] = {
            "dense": program.dense()(DenseSizes().initial_parameters(self.seed), OptimizerConfig())
        }
        for name, architecture in architectures.items():
            parameters = initial_parameters(architecture, self.seed)
            learners[name] = program.backend()(architecture, parameters, OptimizerConfig())
        return learners

    def _report(
        self,
        program: "Program",
        dataset: Dataset,
        architectures: dict[str, Architecture],
        results: dict[str, Accuracies],
        seconds: dict[str, float],
        kept: Array,
    ) -> dict[str, Any]:
        shapes = {"dense": DenseSizes().parameter_shapes()}
        shapes |= {name: architecture.parameter_shapes() for name, architecture in architectures.items()}
        return {
            "schema": 1,
            "backend": program.name,
            "data": self.data,
            "train_images": len(dataset.train),
            "test_images": len(dataset.test),
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "ink_kept": [float(share) for share in kept],
            "networks": [
                {
                    "name": name,
                    "parameters": sum(int(np.prod(shape)) for shape in shapes[name].values()),
                    "seconds": round(seconds[name], 3),
                    "shifts": [{"pixels": pixels} | row for pixels, row in enumerate(table)],
                }
                for name, table in results.items()
            ],
        }


def print_table(results: dict[str, Accuracies], kept: Array) -> None:
    """Print the accuracies, one row per network and shift, and how much of the ink is still in the picture."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("network", "pixels", "mean", *DIRECTIONS, "ink left", box=box.SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, rows in results.items():
        for shift, row in enumerate(rows):
            shares = [f"{row[key]:.2%}" for key in ("mean", *DIRECTIONS)]
            table.add_row("" if shift else name, str(shift), *shares, f"{kept[shift]:.2%}")
        table.add_section()
    console = Console()
    with console.capture() as captured:  # rich would end the process itself if `| head` closes the pipe
        console.print(table)
    print(captured.get(), end="")


def _walk(learners: dict[str, Learner], dataset: Dataset, paper: float) -> Any:
    """The first test image that every network classifies correctly, but the dense one not when shifted right.

    If there is none, the first that all classify correctly unshifted, or else the first image.
    """
    from numpy_cnn.common.exhibits.shift_study.picture import Walk

    test, some = dataset.test, slice(0, 1000)
    part = Split(test.images[some], test.labels[some])
    right = {
        name: np.stack([answers(learner, part.images, 0, s, paper) == part.labels for s in (0, MOST)])
        for name, learner in learners.items()
    }
    all_at_first = np.all([r[0] for r in right.values()], axis=0)
    wanted = [all_at_first & ~right["dense"][1], all_at_first, np.ones(len(part), np.bool_)]
    chosen = next(int(mask.argmax()) for mask in wanted if mask.any())
    image = test.images[chosen : chosen + 1]
    moved = np.concatenate([shifted(image, 0, shift, paper) for shift in range(MOST + 1)])
    read = {name: [int(a) for a in learner.logits(moved).argmax(axis=1)] for name, learner in learners.items()}
    return Walk(dataset.pixel.fraction(moved)[:, 0], int(test.labels[chosen]), read)
