"""The folder of a training run: history.csv, best.safetensors, last.safetensors, pictures and an event file.

`last.safetensors` contains the network, the optimizer's state, the progress and the history, and is replaced
atomically. The other files are derived from it and written afterwards; `restore` writes those that are missing
after a crash.
"""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.files import replace_file
from numpy_cnn.common.training.checkpoint import BEST, LAST, Checkpoint, load_checkpoint, save_checkpoint
from numpy_cnn.common.training.history import Row, from_csv, to_csv
from numpy_cnn.common.training.tensorboard import EventFile


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.best = path / BEST
        self.last = path / LAST
        self.history_file = path / "history.csv"
        self.events: EventFile | None = None  # written together with the history

    @classmethod
    def new(cls, path: Path | None, name: str, make: bool = False) -> "RunFolder":
        """The folder `path`, or the next free runs/<name>-<number>; created only if `make` is true.

        Raises:
            UserError: it already contains a run, which would be overwritten.
        """
        if path is None:
            return cls(next(free for n in count(1) if _take(free := Path("runs") / f"{name}-{n}", make)))
        if path.exists() and not path.is_dir():
            raise UserError(f"--out {path}: that is a file, not a folder")
        run = cls(path)
        run.check_free()
        if make:
            path.mkdir(parents=True, exist_ok=True)
        return run

    @classmethod
    def existing(cls, path: Path) -> "RunFolder":
        """The folder of an earlier run.

        Raises:
            UserError: there is none.
        """
        run = cls(path)
        if path.is_file():
            inside = f"; name its folder, {path.parent}" if (path.parent / LAST).is_file() else ""
            raise UserError(f"{path}: a file, not the folder of a run{inside}")
        if not run.last.is_file():
            begun = (
                f"; a run that has saved nothing yet is started again with --out {path}" if path.is_dir() else ""
            )
            raise UserError(f"{path}: no run found: there is no {LAST} in it{begun}")
        return run

    def check_free(self) -> None:
        """Check that the folder contains no run.

        Raises:
            UserError: it does. Files that a run wrote before its first checkpoint do not count.
        """
        if self.last.exists():
            raise UserError(
                f"--out {self.path}: already contains a run; continue with --resume {self.path}, or name another"
            )

    def save(self, checkpoint: Checkpoint) -> None:
        """Store the state of the run, in this order: last, then best if this is the best epoch, then the history
        and its event file.

        Raises:
            UserError: a file cannot be written.
        """
        save_checkpoint(self.last, checkpoint)
        if _is_best(checkpoint):
            save_checkpoint(self.best, checkpoint)
        if checkpoint.history:
            self._write_history(checkpoint.history)
            if self.events:
                self.events.write(checkpoint.history)

    def restore(self, last: Checkpoint, epochs: int) -> tuple[Row, ...]:
        """Write files that are missing because the process ended during `save`; return the history.

        Args:
            last: the checkpoint in `last.safetensors`.
            epochs: how many epochs the run will have.

        Raises:
            UserError: the best checkpoint or the history is damaged and cannot be restored.
        """
        history = self.rows(last)
        progress = last.progress
        if progress.best_epoch:
            stored = self._stored_best_epoch()
            # Older versions wrote `best` before `last`; the epoch after `last` will be trained and saved again.
            ahead = stored == progress.epoch + 1 <= epochs
            if stored != progress.best_epoch and not ahead:
                if not _is_best(last):
                    raise UserError(
                        f"{self.best}: expected the network after epoch {progress.best_epoch}, "
                        f"found {f'epoch {stored}' if stored else 'none, or a damaged one'}; "
                        f"restore the right file, or start a new run"
                    )
                save_checkpoint(self.best, last)
        if history and (not self.history_file.exists() or self.history_file.read_bytes() != to_csv(history)):
            self._write_history(history)
        return history

    def rows(self, last: Checkpoint) -> tuple[Row, ...]:
        """The history up to `last`: from the checkpoint, or, if an older version wrote that, from history.csv.

        Raises:
            UserError: history.csv is needed and damaged.
        """
        if last.history is not None:
            return last.history
        return tuple(self._read_history(last.progress.epoch)) if last.progress.epoch else ()

    def history(self) -> list[Row]:
        """All rows of history.csv.

        Raises:
            UserError: the file is damaged.
        """
        return self._read_history(None) if self.history_file.exists() else []

    def _read_history(self, epochs: int | None) -> list[Row]:
        try:
            return from_csv(self.history_file.read_bytes(), epochs)
        except ValueError as error:
            raise UserError(f"{self.history_file}: {error}") from error
        except OSError as error:
            raise UserError(f"{self.history_file}: cannot be read ({error.strerror or error})") from error

    def _write_history(self, rows: Sequence[Row]) -> None:
        try:
            replace_file(self.history_file, to_csv(rows))
        except OSError as error:
            raise UserError(f"{self.history_file}: cannot be written ({error.strerror or error})") from error

    def _stored_best_epoch(self) -> int:
        """The epoch of the file `best`; 0 if it is missing or damaged."""
        try:
            return load_checkpoint(self.best).progress.epoch
        except UserError:
            return 0


class ReadOnlyRun(RunFolder):
    """The folder of a run that another process writes."""

    def save(self, checkpoint: Checkpoint) -> None:
        pass

    def restore(self, last: Checkpoint, epochs: int) -> tuple[Row, ...]:  # noqa: ARG002  # the same signature
        return self.rows(last)


def _is_best(checkpoint: Checkpoint) -> bool:
    progress = checkpoint.progress
    return progress.batch == 0 and progress.epoch == progress.best_epoch > 0


def _take(path: Path, make: bool) -> bool:
    """Whether the path is free; with `make` it is created, which only one of several processes can do."""
    if not make:
        return not path.exists()
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return False
    return True
