"""`train`: from flags to a run folder."""

import math
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from numpy_cnn.common.cli import config_file
from numpy_cnn.common.cli.device import DeviceFlag
from numpy_cnn.common.cli.loading import load_data
from numpy_cnn.common.cli.report import STDOUT, check_writable, write_json
from numpy_cnn.common.data import IMAGE_SIZES, Split, fit, hold_out, limit
from numpy_cnn.common.spec.architecture import is_buffer
from numpy_cnn.common.spec.config import TrainConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.files import replace_file
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.spec.streams import log
from numpy_cnn.common.training.checkpoint import Checkpoint, load_checkpoint
from numpy_cnn.common.training.display import Silent, training_display
from numpy_cnn.common.training.group import Group, ProcessLost
from numpy_cnn.common.training.history import Row
from numpy_cnn.common.training.interrupt import Interrupt
from numpy_cnn.common.training.lock import locked
from numpy_cnn.common.training.loop import Interrupted, evaluate, train
from numpy_cnn.common.training.pictures import draw_pictures
from numpy_cnn.common.training.plan import TrainingPlan
from numpy_cnn.common.training.run_folder import ReadOnlyRun, RunFolder
from numpy_cnn.common.training.tensorboard import EVENTS, check_tensorboardx, event_file

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program

MOST_THREADS = 256  # more than useful, but few enough for any system


@dataclass(frozen=True)
class Train(TrainConfig, DeviceFlag):
    """Train a SimpleCNN and write its checkpoints, history and pictures to a folder."""

    out: Path | None = None
    """Folder for the run; runs/<program>-<data>-<arch>-<number> if omitted."""
    resume: Path | None = None
    """Folder of a run to continue up to --epochs; its other flags are stored there."""
    config: Path | None = None
    """TOML file with settings named like these flags; flags on the command line take precedence.
    A run's folder contains run.toml, which reproduces the run."""
    json: Path | None = None
    """File for the result as JSON; - for standard output, without other output."""
    threads: int = 1
    """Number of threads. Results are reproducible only for the same number of threads."""
    tensorboard: bool = False
    """Also write history.csv as scalars for TensorBoard, into the folder tensorboard/ of the run.
    --resume continues them. Needs the package tensorboardX."""
    dry_run: bool = False
    """Check everything, print the plan, and train nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.threads <= MOST_THREADS:
            raise UserError(f"--threads must be between 1 and {MOST_THREADS}, got {self.threads}")
        if self.out is not None and self.resume is not None:
            raise UserError(
                f"--out {self.out} and --resume {self.resume} exclude each other: a run stays in its folder"
            )
        if self.config is not None and self.resume is not None:
            raise UserError(
                f"--config {self.config} and --resume {self.resume} exclude each other: a run keeps its settings"
            )

    @classmethod
    def configured(cls, path: Path, parse: Callable[["Train"], "Train"]) -> "Train":
        """The command with the settings of a TOML file where no flag is typed.

        Raises:
            UserError: the file cannot be read, or a setting is wrong.
        """
        return _on_top_of(config_file.read(path, cls), parse)

    def resumed(self, parse: Callable[["Train"], "Train"]) -> "Train":
        """The command with the settings of the run in `--resume`; only --epochs and --data-dir may change.

        Raises:
            UserError: there is no such run, or a flag contradicts it.
        """
        assert self.resume is not None
        stored = load_checkpoint(RunFolder.existing(self.resume).last).config
        lr = stored.optimization.base_lr  # passing the default value explicitly is not a contradiction
        stored = replace(stored, optimization=replace(stored.optimization, lr=lr))
        begun = Train(**{field.name: getattr(stored, field.name) for field in fields(stored)})
        typed = _on_top_of(begun, parse)
        for group in config_file.GROUPS:
            for field in fields(getattr(typed, group)):
                if field.name not in ("data_dir", "download"):
                    _check_same(
                        field.name,
                        getattr(getattr(stored, group), field.name),
                        getattr(getattr(typed, group), field.name),
                        self.resume,
                    )
        for name in ("batch_size", "seed", "init", "validation", "limit"):
            _check_same(name, getattr(stored, name), getattr(typed, name), self.resume)
        return typed

    def run(self, program: "Program") -> int:
        """Train, test and draw; return the exit code."""
        check_writable(self.json)
        if self._writes_events:
            check_tensorboardx()
        with ExitStack() as stack:
            group = stack.enter_context(program.group())
            leads = group.rank == 0  # only this process writes files and prints
            run, start = self._existing(stack, leads) if self.resume else (self._new_folder(program, leads), None)
            if start:
                run.rows(start)  # damage is reported before anything else is done
            plan, test, notes = self._plan(program)
            if start and start.progress.batch >= plan.batches:
                raise UserError(
                    f"{run.last}: {start.progress.batch} batches of the epoch are done, but an epoch of this data "
                    f"has {plan.batches}: the data differs from that of the run"
                )
            if group.size > 1 and plan.architecture.couples_images:
                raise UserError(
                    f"--arch {self.network.arch}: batch norm takes the statistics of a whole batch, and each of "
                    f"the {group.size} processes has a part of it; train in one process"
                )
            # Results go to standard output; with --json - that is JSON alone, and the rest goes to standard error.
            out = sys.stderr if self.json == STDOUT else sys.stdout
            if not leads:
                out = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            for note in notes:
                print(note, file=out)
            if self.dry_run:
                print(f"would train in {run.path}; nothing was written", file=out)
                return 0
            history: tuple[Row, ...] = ()
            if start:
                history = run.restore(start, self.epochs)
            elif leads:
                run = self._new_folder(program, leads, make=True)
                stack.enter_context(locked(run.path))
                run.check_free()  # another process may have been faster
            if leads and group.size > 1:
                log(f"training in {group.size} processes; if one of them is killed, {_resume_by(program, run)}")
            signal = self._train(program, plan, run, start, history, group)
            if not leads:
                return 128 + signal if signal else 0
            if signal:
                log(f"\n{program.name}: interrupted; saved {run.last}\n{_resume_by(program, run)}")
                return 128 + signal
            return self._finish(program, run, test, out)

    @property
    def _writes_events(self) -> bool:
        """Whether there is an event file, or the run to resume has one."""
        return self.tensorboard or (self.resume is not None and (self.resume / EVENTS).is_dir())

    def _finish(self, program: "Program", run: RunFolder, test: Split, out: TextIO) -> int:
        """Evaluate the best network on the test images, draw, and report."""
        best = load_checkpoint(run.best)
        backend = program.backend()(best.architecture, best.parameters, self.optimization, threads=self.threads)
        loss, accuracy, answers = evaluate(backend, test)
        history = run.rows(load_checkpoint(run.last))
        if len(history) < self.epochs:
            waited = len(history) - best.progress.epoch
            log(
                f"stopped early: {waited} epoch{'s' if waited > 1 else ''} without a better validation, "
                f"as --patience {self.patience} allows"
            )
        seconds = sum(row["seconds"] for row in history)
        draw_pictures(run, best, history, test, answers)
        print(
            f"test accuracy {accuracy:.2%} ({round(accuracy * len(test))} of {len(test)}), loss {loss:.4f}, "
            f"epoch {best.progress.epoch} of {len(history)}, {seconds:.3g} s of training; {run.path}",
            file=out,
        )
        if self.json is not None:
            report = {
                "schema": 1,
                "backend": program.name,
                "config": self.to_json(),
                "architecture": best.architecture.to_json(),
                "run": str(run.path),
                "best_epoch": best.progress.epoch,
                "test_accuracy": accuracy,
                "test_loss": loss,
                "seconds": seconds,
                "history": [*history],
            }
            write_json(report, self.json)
        return 0

    def _write_settings(self, program: "Program", run: RunFolder, start: Checkpoint | None) -> None:
        """Write the file of settings into the run's folder, unless a resumed run has the right one."""
        head = f"python -m {program.name} --config {config_file.NAME} --out FOLDER trains the same network again"
        path = run.path / config_file.NAME
        if start is not None:
            begun = start.config
            if path.exists() and (begun.epochs, begun.patience) == (self.epochs, self.patience):
                return
            if begun.epochs != self.epochs and self.optimization.schedule != "constant":
                head += (
                    f"\nexcept that this run was resumed, with --epochs {begun.epochs} before,"
                    "\nand the step size depends on --epochs"
                )
        try:
            replace_file(path, config_file.to_toml(self, head))
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error

    def _existing(self, stack: ExitStack, leads: bool) -> tuple[RunFolder, Checkpoint]:
        """The run to resume, locked unless nothing is going to be written."""
        assert self.resume is not None
        run = (RunFolder if leads else ReadOnlyRun).existing(self.resume)
        if leads and not self.dry_run:
            stack.enter_context(locked(run.path))
        return run, load_checkpoint(run.last)

    def _new_folder(self, program: "Program", leads: bool, make: bool = False) -> RunFolder:
        if not leads:  # the name is chosen by the process that writes
            return ReadOnlyRun(self.out or Path("runs"))
        return RunFolder.new(self.out, f"{program.name}-{self.dataset.data}-{self.network.arch}", make)

    def _plan(self, program: "Program") -> tuple[TrainingPlan, Split, list[str]]:
        # Check the sizes before reading the data, which may take long.
        data_size = IMAGE_SIZES[self.dataset.data]
        architecture = self.network.architecture(data_size)
        if architecture.in_channels != 1:
            raise UserError(f"--channels {architecture.in_channels}: the images of {self.dataset.data} have 1")
        self.augmentation.check(architecture.image_size)
        dataset = load_data(self.dataset, program)
        height, width = dataset.train.images.shape[2:]  # MNIST's files may contain another size
        dataset, note = fit(dataset, architecture.image_size, architecture.classes)
        dataset = limit(dataset, self.limit)
        training, validation = hold_out(dataset.train, self.validation, self.seed)
        plan = TrainingPlan(program.name, architecture, self, (height, width), dataset.pixel, training, validation)
        shapes = architecture.parameter_shapes().items()
        parameters = sum(math.prod(shape) for name, shape in shapes if not is_buffer(name))
        sizes = (
            f"{self.dataset.data}: {len(training)} images to train, {len(validation)} to validate, "
            f"{len(dataset.test)} to test; {self.network.arch}: {parameters} parameters; "
            f"{plan.batches} batch{'es' if plan.batches > 1 else ''} of {self.batch_size} per epoch"
        )
        return plan, dataset.test, [*([note] if note else []), sizes]

    def _train(
        self,
        program: "Program",
        plan: TrainingPlan,
        run: RunFolder,
        start: Checkpoint | None,
        history: tuple[Row, ...],
        group: Group,
    ) -> int:
        """Train; return the signal that ended it, or 0."""
        parameters = (
            start.parameters if start else initial_parameters(plan.architecture, self.seed, init=self.init)
        )
        state = start.optimizer_state if start else None
        backend = program.backend()(plan.architecture, parameters, self.optimization, state, self.threads)
        if group.rank == 0:
            self._write_settings(program, run, start)  # only now: an error above leaves no file
        if start and start.progress.epoch < self.epochs and plan.out_of_patience(start.progress):
            log(f"{run.path} was already stopped by --patience; pass a larger --patience to train more")
        if start and start.progress.epoch >= self.epochs:
            log(f"{run.path} already has {start.progress.epoch} epochs; pass a larger --epochs to train more")
        writes_events = group.rank == 0 and self._writes_events
        with (
            event_file(run.path / EVENTS, history) if writes_events else nullcontext() as run.events,
            Interrupt() as interrupt,
            training_display(self.epochs, plan.batches) if group.rank == 0 else nullcontext(Silent()) as display,
            np.errstate(over="ignore", invalid="ignore"),  # divergence is reported in words
        ):
            try:
                train(backend, plan, run, display, interrupt, group, start.progress if start else None, history)
            except Interrupted as interrupted:
                return interrupted.signal
            except ProcessLost as lost:
                if group.rank == 0:  # here, where the launcher's SIGTERM cannot interrupt the message
                    log(
                        f"\n{program.name}: another process of the run has ended ({lost}); saved {run.last}\n"
                        f"{_resume_by(program, run)}"
                    )
                raise SystemExit(1) from lost
        return 0


def _on_top_of(begun: Train, parse: Callable[[Train], Train]) -> Train:
    """Apply the flags on the command line to other settings.

    A switch cannot be turned off: if repeated it must not toggle, and if omitted it keeps its value.
    """
    groups = {group: getattr(begun, group) for group in config_file.GROUPS}
    on = {
        group: {f.name: True for f in fields(part) if getattr(part, f.name) is True}
        for group, part in groups.items()
    }
    off = {group: replace(part, **dict.fromkeys(on[group], False)) for group, part in groups.items()}
    typed = parse(replace(begun, **off))
    return replace(typed, **{group: replace(getattr(typed, group), **names) for group, names in on.items()})


def _resume_by(program: "Program", run: RunFolder) -> str:
    return f"continue with: python -m {program.name} --resume {shlex.quote(str(run.path))}"


def _check_same(name: str, stored: Any, typed: Any, run: Path) -> None:
    if stored != typed:
        flag = f"--{name.replace('_', '-')}"
        started = f"without {flag}" if stored is None else f"with {stored}"
        raise UserError(f"{flag} {typed} contradicts {run}, which was started {started}; omit {flag}")
