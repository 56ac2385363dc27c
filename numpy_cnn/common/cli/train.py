"""`train`: from flags to a run folder."""

import math
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from numpy_cnn.common.cli.loading import load_data
from numpy_cnn.common.cli.report import STDOUT, check_writable, write_json
from numpy_cnn.common.data import IMAGE_SIZES, fit, hold_out, limit
from numpy_cnn.common.spec.config import TrainConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.training.checkpoint import Checkpoint, Position, load_checkpoint
from numpy_cnn.common.training.interrupt import Interrupt
from numpy_cnn.common.training.loop import Interrupted, Plan, evaluate, train
from numpy_cnn.common.training.pictures import draw_pictures
from numpy_cnn.common.training.progress import training_progress
from numpy_cnn.common.training.run_folder import RunFolder

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program

MOST_THREADS = 256  # far more than ever help, and not so many that a system refuses them


@dataclass(frozen=True)
class Train(TrainConfig):
    """Train a SimpleCNN and keep its checkpoints, history and pictures in a folder."""

    out: Path | None = None
    """Folder for the run; runs/<program>-<data>-<arch>-<number> if left out."""
    resume: Path | None = None
    """Folder of a run to go on with, up to --epochs; its other flags are remembered."""
    json: Path | None = None
    """File for the result as JSON; - for standard output, which then carries nothing else."""
    threads: int = 1
    """Threads that share the work. The same number ends in the same bits again; another one rounds differently."""
    dry_run: bool = False
    """Check everything, print the plan, and train nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.threads <= MOST_THREADS:
            raise UserError(f"--threads must lie between 1 and {MOST_THREADS}, got {self.threads}")
        if self.out is not None and self.resume is not None:
            raise UserError(
                f"--out {self.out} and --resume {self.resume} exclude each other: a run keeps its folder"
            )

    def resumed(self, parse: Callable[["Train"], "Train"]) -> "Train":
        """The command with what the run in `--resume` began with; --epochs and --data-dir may be typed anew.

        Raises:
            UserError: there is no such run, or a flag contradicts it.
        """
        assert self.resume is not None
        stored = load_checkpoint(RunFolder.existing(self.resume).last).config
        lr = stored.optimization.step_size(0.0)  # the default may be typed as a number, too
        stored = replace(stored, optimization=replace(stored.optimization, lr=lr))
        begun = {field.name: getattr(stored, field.name) for field in fields(stored)}
        # --nesterov has no opposite: typed again it must not be taken for one, left out it stays as it was.
        nesterov = stored.optimization.nesterov
        typed = parse(Train(**begun | {"optimization": replace(stored.optimization, nesterov=False)}))
        if nesterov:
            typed = replace(typed, optimization=replace(typed.optimization, nesterov=True))
        for group in ("dataset", "network", "optimization"):
            for field in fields(getattr(typed, group)):
                if field.name not in ("data_dir", "download"):
                    _check_same(
                        field.name,
                        getattr(getattr(stored, group), field.name),
                        getattr(getattr(typed, group), field.name),
                        self.resume,
                    )
        for name in ("batch_size", "seed", "validation", "limit"):
            _check_same(name, getattr(stored, name), getattr(typed, name), self.resume)
        return typed

    def run(self, program: "Program") -> int:
        """Train, test, draw; the exit code."""
        check_writable(self.json)
        run = RunFolder.existing(self.resume) if self.resume else self._new_folder(program)
        start = load_checkpoint(run.last) if self.resume else None
        if start:
            run.history_until(start.position.epoch)  # damage is told before anything else is
        plan, test, notes = self._plan(program)
        # Results go to standard output; where that is to be JSON alone, what is told goes to standard error.
        out = sys.stderr if self.json == STDOUT else sys.stdout
        for note in notes:
            print(note, file=out)
        if self.dry_run:
            print(f"would train in {run.path}; nothing was written", file=out)
            return 0
        position = start.position if start else Position()
        if start:
            run.forget_after(position.epoch)
        else:
            run = self._new_folder(program, make=True)
        interrupted = self._train(program, plan, run, start, position)
        if interrupted:
            print(
                f"\n{program.name}: interrupted; saved {run.last}\n"
                f"go on with: python -m {program.name} --resume {shlex.quote(str(run.path))}",
                file=sys.stderr,
            )
            return 130
        best = load_checkpoint(run.best)
        backend = program.backend()(best.architecture, best.parameters, self.optimization, threads=self.threads)
        loss, accuracy, answers = evaluate(backend, test)
        history = run.history()
        seconds = sum(row["seconds"] for row in history)
        draw_pictures(run, best, history, test, answers)
        print(
            f"test accuracy {accuracy:.2%} ({round(accuracy * len(test))} of {len(test)}), loss {loss:.4f}, "
            f"epoch {best.position.epoch} of {len(history)}, {seconds:.3g} s of training; {run.path}",
            file=out,
        )
        if self.json is not None:
            report = {
                "schema": 1,
                "backend": program.name,
                "config": self.to_json(),
                "architecture": best.architecture.to_json(),
                "run": str(run.path),
                "best_epoch": best.position.epoch,
                "test_accuracy": accuracy,
                "test_loss": loss,
                "seconds": seconds,
                "history": history,
            }
            write_json(report, self.json)
        return 0

    def _new_folder(self, program: "Program", make: bool = False) -> RunFolder:
        return RunFolder.new(self.out, f"{program.name}-{self.dataset.data}-{self.network.arch}", make)

    def _plan(self, program: "Program") -> tuple[Plan, Any, list[str]]:
        # The sizes are checked before the data is read, which may take longer.
        data_size = IMAGE_SIZES[self.dataset.data]
        architecture = self.network.architecture(data_size)
        if architecture.in_channels != 1:
            raise UserError(f"--channels {architecture.in_channels}: the images of {self.dataset.data} have 1")
        dataset, note = fit(load_data(self.dataset, program), architecture.image_size, architecture.classes)
        dataset = limit(dataset, self.limit)
        training, validation = hold_out(dataset.train, self.validation, self.seed)
        plan = Plan(program.name, architecture, self, data_size, dataset.pixel, training, validation)
        parameters = sum(math.prod(shape) for shape in architecture.parameter_shapes().values())
        told = (
            f"{self.dataset.data}: {len(training)} images to train, {len(validation)} to validate, "
            f"{len(dataset.test)} to test; {self.network.arch}: {parameters} parameters; "
            f"{plan.batches} batch{'es' if plan.batches > 1 else ''} of {self.batch_size} an epoch"
        )
        return plan, dataset.test, [*([note] if note else []), told]

    def _train(
        self, program: "Program", plan: Plan, run: RunFolder, start: Checkpoint | None, position: Position
    ) -> bool:
        parameters = start.parameters if start else initial_parameters(plan.architecture, self.seed)
        state = start.optimizer_state if start else None
        backend = program.backend()(plan.architecture, parameters, self.optimization, state, self.threads)
        if position.epoch >= self.epochs:
            print(f"{run.path} has its {position.epoch} epochs already; --epochs takes more", file=sys.stderr)
        with (
            Interrupt() as interrupt,
            training_progress(self.epochs, plan.batches) as progress,
            np.errstate(over="ignore", invalid="ignore"),  # a diverging run is told in words
        ):
            try:
                train(backend, plan, run, progress, interrupt, position)
            except Interrupted:
                return True
        return False


def _check_same(name: str, stored: Any, typed: Any, run: Path) -> None:
    if stored != typed:
        flag = f"--{name.replace('_', '-')}"
        begun = f"without {flag}" if stored is None else f"with {stored}"
        raise UserError(f"{flag} {typed} contradicts {run}, which was begun {begun}; leave {flag} out")
