"""The folder of a training run: history.csv, best.safetensors, last.safetensors and the pictures."""

import csv
from itertools import count
from pathlib import Path

from numpy_cnn.common.errors import UserError

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
    def new(cls, path: Path | None, name: str) -> "RunFolder":
        """The folder `path`, or the next free runs/<name>-<number>; not made yet.

        Raises:
            UserError: a run is there already, which would be written over.
        """
        if path is None:
            path = next(free for n in count(1) if not (free := Path("runs") / f"{name}-{n}").exists())
        if path.exists() and not path.is_dir():
            raise UserError(f"--out {path}: that is a file, not a folder")
        run = cls(path)
        if run.last.exists() or run.history_file.exists():
            raise UserError(
                f"--out {path}: holds a run already; go on with it by --resume {path}, or name another"
            )
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
                rows = [{key: float(row[key]) for key in HISTORY} for row in csv.DictReader(file)]
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise UserError(f"{self.history_file}: damaged; expected the columns {', '.join(HISTORY)}") from error
        return [{**row, "epoch": int(row["epoch"])} for row in rows]

    def append(self, row: Row) -> None:
        """Add one epoch's row, with the column names before the first."""
        new = not self.history_file.exists()
        with self.history_file.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, HISTORY)
            if new:
                writer.writeheader()
            writer.writerow(row)

    def forget_after(self, epoch: int) -> None:
        """Keep the rows up to `epoch` alone: one may have been written after the last checkpoint was."""
        rows = [row for row in self.history() if row["epoch"] <= epoch]
        self.history_file.unlink(missing_ok=True)
        for row in rows:
            self.append(row)
