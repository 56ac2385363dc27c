"""`plot`: draw the pictures of a run again."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from numpy_cnn.common.cli.device import DeviceFlag
from numpy_cnn.common.cli.loading import load_data, load_network
from numpy_cnn.common.data import fit
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import load_checkpoint
from numpy_cnn.common.training.history import Row
from numpy_cnn.common.training.loop import evaluate
from numpy_cnn.common.training.pictures import draw_pictures
from numpy_cnn.common.training.run_folder import RunFolder

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program


@dataclass(frozen=True)
class Plot(DeviceFlag):
    """Draw the pictures of a run again, or compare the curves of several runs."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...", help_behavior_hint="")]
    """Folders of runs."""
    data_dir: Path | None = None
    """Folder of MNIST's files. Default: the one used in training."""
    compare: Path | None = None
    """PNG for the curves of all runs in one figure; no other pictures are drawn."""

    def run(self, program: "Program") -> int:
        """Write the pictures and print their names; return the exit code."""
        if not self.runs:
            raise UserError("plot: name at least one run folder")
        if self.compare is not None:
            from numpy_cnn.common.training.plots import compare_curves

            names = [run.name for run in self.runs]
            if len({*names}) < len(names) or "" in names:
                names = [str(run) for run in self.runs]
            histories = [_history(RunFolder.existing(run)) for run in self.runs]
            compare_curves(dict(zip(names, histories, strict=True)), self.compare)
            print(self.compare)
            return 0
        for path in self.runs:
            run = RunFolder.existing(path)
            history = _history(run)
            best = load_checkpoint(run.best)
            trained = best.config.dataset
            dataset = load_data(replace(trained, data_dir=self.data_dir or trained.data_dir), program)
            dataset, _ = fit(dataset, best.architecture.image_size, best.architecture.classes)
            _, _, answers = evaluate(load_network(best, program), dataset.test)
            for picture in draw_pictures(run, best, history, dataset.test, answers):
                print(picture)
        return 0


def _history(run: RunFolder) -> tuple[Row, ...]:
    """The history of a run, which must have a complete epoch."""
    rows = run.rows(load_checkpoint(run.last))
    if not rows or not run.best.is_file():
        raise UserError(
            f"{run.path}: no epoch is complete, so there is nothing to draw; continue with --resume {run.path}"
        )
    return rows
