"""The history of a run: one row per epoch, and its form as CSV."""

import csv
import io
import math
from collections.abc import Sequence

COLUMNS = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds", "lr")
OLDER = COLUMNS[:-1]  # columns before `lr` (the step size of the epoch's last step) was added

Row = dict[str, float]


def to_csv(rows: Sequence[Row]) -> bytes:
    """The rows as CSV, with a header."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def from_csv(content: bytes, epochs: int | None = None) -> list[Row]:
    """The rows of the first `epochs` epochs, or of all if None.

    Anything after those rows is ignored: it may be an incomplete row, if the process ended while writing it.

    Raises:
        ValueError: these rows are damaged or fewer than `epochs`.
    """
    rows: list[Row] = []
    try:
        # Bytes that are not UTF-8 damage a row, which is an error only if the row is needed.
        text = content.decode(errors="replace")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        while len(rows) != epochs and (row := next(reader, None)) is not None:
            columns = COLUMNS if "lr" in row else OLDER
            if len(row) != len(columns):
                raise ValueError(f"expected {len(columns)} columns, found {len(row)}")
            rows.append({key: float(row[key]) if key in columns else math.nan for key in COLUMNS})
            if rows[-1]["epoch"] != len(rows):
                raise ValueError("expected one row per epoch, counted from 1")
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(
            f"damaged; expected the columns {', '.join(COLUMNS)}, all of numbers ({error})"
        ) from error
    if epochs is not None and len(rows) < epochs:
        raise ValueError(f"damaged; it has {len(rows)} of the {epochs} epochs")
    return [{**row, "epoch": number} for number, row in enumerate(rows, start=1)]
