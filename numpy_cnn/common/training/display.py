"""Training progress on standard error: a live bar on a terminal, one line per epoch elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from numpy_cnn.common.spec.streams import log
from numpy_cnn.common.training.history import Row

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Display(Protocol):
    """Receives the events of the loop."""

    def batch(self, epoch: int, done: int, loss: float) -> None:
        """`done` batches of the epoch are complete; `loss` is the mean over their images."""

    def epoch(self, row: Row) -> None:
        """An epoch is complete."""

    def warn(self, message: str) -> None:
        """Print a warning; training continues."""


@contextmanager
def training_display(epochs: int, batches: int) -> Iterator[Display]:
    """Show a run of `epochs` epochs of `batches` batches each."""
    if not sys.stderr.isatty():
        yield _Lines(epochs)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Bar(*columns, console=Console(stderr=True)) as bar:
        yield _Bar(bar, epochs, batches)


class Silent:
    """The display of a process whose progress is shown by another process."""

    def batch(self, epoch: int, done: int, loss: float) -> None:
        pass

    def epoch(self, row: Row) -> None:
        pass

    def warn(self, message: str) -> None:
        pass


class _Lines:
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def batch(self, epoch: int, done: int, loss: float) -> None:
        pass

    def epoch(self, row: Row) -> None:
        log(_line(row, self.epochs))

    def warn(self, message: str) -> None:
        log(f"warning: {message}")


class _Bar:
    def __init__(self, bar: "Bar", epochs: int, batches: int) -> None:
        self.bar, self.epochs, self.batches = bar, epochs, batches
        self.task = bar.add_task("", total=batches, loss="")

    def batch(self, epoch: int, done: int, loss: float) -> None:
        self.bar.update(
            self.task, completed=done, description=f"epoch {epoch}/{self.epochs}", loss=f"loss {loss:.4f}"
        )

    def epoch(self, row: Row) -> None:
        self.bar.console.print(_line(row, self.epochs), highlight=False)

    def warn(self, message: str) -> None:
        self.bar.console.print(f"warning: {message}", highlight=False, markup=False)


def _line(row: Row, epochs: int) -> str:
    line = f"epoch {row['epoch']:.0f}/{epochs}  loss {row['train_loss']:.4f}  accuracy {row['train_accuracy']:.2%}"
    if row["validation_loss"] == row["validation_loss"]:  # NaN without a validation split
        line += f"  validation {row['validation_loss']:.4f}  {row['validation_accuracy']:.2%}"
    return f"{line}  {row['seconds']:.1f} s"
