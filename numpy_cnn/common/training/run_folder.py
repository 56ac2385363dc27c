"""The folder of a training run: history.csv, best.safetensors, last.safetensors and the pictures."""

import csv
import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from numpy_cnn.common.spec.errors import UserError

HISTORY = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds")

Row = dict[str, float]


class RunFolder:
    """Names what lies in the folder, and keeps the history in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"
        self.history_file = path / "history.csv"

    @classmethod
    def new(cls, path: Path | None, name: str, make: bool = False) -> "RunFolder":
        """The folder `path`, or the next free runs/<name>-<number>; made only where `make` says so.

        Raises:
            UserError: a run is there already, which would be written over.
        """
        if path is None:
            return cls(next(free for n in count(1) if _take(free := Path("runs") / f"{name}-{n}", make)))
        if path.exists() and not path.is_dir():
            raise UserError(f"--out {path}: that is a file, not a folder")
        run = cls(path)
        if run.last.exists() or run.history_file.exists():
            raise UserError(
                f"--out {path}: holds a run already; go on with it by --resume {path}, or name another"
            )
        if make:
            path.mkdir(parents=True, exist_ok=True)
        return run

    @classmethod
    def existing(cls, path: Path) -> "RunFolder":
        """The folder of an earlier run.

        Raises:
            UserError: there is no run.
        """
        run = cls(path)
        if not run.last.is_file():
            raise UserError(f"{path}: no run to be found there, for it has no {run.last.name}")
        return run

    def history(self) -> list[Row]:
        """One row an epoch, as written.

        Raises:
            UserError: the file is damaged.
        """
        if not self.history_file.exists():
            return []
        try:
            with self.history_file.open(newline="", encoding="utf-8") as file:
                rows = [{key: float(row[key]) for key in HISTORY} for row in csv.DictReader(file, strict=True)]
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise UserError(
                f"{self.history_file}: damaged; expected the columns {', '.join(HISTORY)}, all of numbers"
            ) from error
        if [row["epoch"] for row in rows] != [*range(1, len(rows) + 1)]:
            raise UserError(f"{self.history_file}: damaged; expected one row for each epoch, counted from 1")
        return [{**row, "epoch": number} for number, row in enumerate(rows, start=1)]

    def append(self, row: Row) -> None:
        """Add one epoch's row, with the column names before the first."""
        began = self.history_file.exists() and self.history_file.stat().st_size > 0
        _write(self.history_file, [row], header=not began)

    def history_until(self, epoch: int) -> list[Row]:
        """The rows of the epochs up to this one.

        Raises:
            UserError: the file is damaged, or rows are missing.
        """
        rows = self.history()
        if len(rows) < epoch:
            raise UserError(
                f"{self.history_file}: damaged; it has {len(rows)} of the {epoch} epochs of {self.last}"
            )
        return rows[:epoch]

    def forget_after(self, epoch: int) -> None:
        """Keep the rows up to `epoch` alone: one may have been written after the last checkpoint was.

        Raises:
            UserError: the file is damaged, or rows are missing.
        """
        rows = self.history_until(epoch)
        if self.history_file.exists():
            beside = self.history_file.with_suffix(".partial")
            beside.unlink(missing_ok=True)
            _write(beside, rows, header=True)
            os.replace(beside, self.history_file)


def _take(path: Path, make: bool) -> bool:
    """Whether the path is free; with `make` it becomes a folder, which of several processes only one achieves."""
    if not make:
        return not path.exists()
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return False
    return True


def _write(path: Path, rows: Sequence[Row], header: bool) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HISTORY)
        if header:
            writer.writeheader()
        writer.writerows(rows)
