"""Saved failures, one file each, to be run again after the next change.

The format is independent of Hypothesis: a case consists of its geometry and its numbers.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy_cnn.common.spec.files import replace_file
from numpy_cnn.common.spec.streams import log
from parity.cases.case import LANES, Case, Lane
from parity.report import Failure
from parity.report.rerun import RerunFlags

SCHEMA = 1
FOLDER = Path(".parity")


@dataclass(frozen=True)
class Saved:
    """A failing case."""

    row: str
    lane: Lane
    quantity: str
    case: Case
    diagnosis: str
    rerun: RerunFlags = field(default_factory=RerunFlags)

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` takes."""
        return {
            "schema": SCHEMA,
            "row": self.row,
            "lane": self.lane,
            "quantity": self.quantity,
            "diagnosis": self.diagnosis,
            **self.rerun.to_json(),
            "case": self.case.to_json(),
        }

    @classmethod
    def from_json(cls, values: Any) -> "Saved":
        """The inverse of `to_json`.

        Raises:
            ValueError: not a saved failure, or another schema; the message has the reason.
        """
        if not isinstance(values, dict) or "schema" not in values:
            raise ValueError("not a saved failure: it has no schema")
        if values["schema"] != SCHEMA:
            raise ValueError(f"saved by another version: schema {values['schema']}, this one reads {SCHEMA}")
        try:
            case = Case.from_json(values["case"])
            lane = next(known for known in LANES if known == values["lane"])
            how = RerunFlags.from_json(values)
            return cls(values["row"], lane, values["quantity"], case, values["diagnosis"], how)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError, StopIteration) as error:
            reason = str(error) or "no such lane"
            raise ValueError(f"not a saved failure: {type(error).__name__} {reason}") from error

    @property
    def file_name(self) -> str:
        """The file name; the same failure of the same implementation always has the same name."""
        values = self.to_json() | {"diagnosis": None}
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]
        return f"{self.row}-{self.quantity}-{self.lane}-{digest}.json"


def save(failures: Iterable[Failure], folder: Path = FOLDER) -> list[Path]:
    """Write each failure to its own file and return the files.

    If the folder cannot be written, print a warning; the report is still useful without the files.
    """
    files = []
    for f in failures:
        saved = Saved(f.row, f.lane, f.quantity, f.case, f.diagnosis, f.rerun or RerunFlags())
        text = json.dumps(saved.to_json(), indent=1, allow_nan=False) + "\n"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            replace_file(folder / saved.file_name, text.encode())
        except OSError as error:
            log(f"warning: failures cannot be saved in {folder} ({error.strerror or error}); see --failures")
            break
        files.append(folder / saved.file_name)
    return files


def saved_in(folder: Path = FOLDER) -> list[Path]:
    """Return the files in a folder; none if the folder does not exist."""
    return sorted(folder.glob("*.json"))


def read(file: Path) -> Saved:
    """Read a saved failure.

    Raises:
        ValueError: the file contains no saved failure; the message names the file.
        OSError: it cannot be read.
    """
    try:
        return Saved.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:  # JSON's own errors and broken UTF-8 among them
        raise ValueError(f"{file}: {error}") from error
