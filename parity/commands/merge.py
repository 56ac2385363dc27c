"""`merge`: combine the reports of all shards."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from numpy_cnn.common.cli.report import check_writable
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.files import replace_file
from parity.commands.placeholders import named


@dataclass(frozen=True)
class Merge:
    """Merge the JSON reports of `check --shard I/N`, one for each I, into one."""

    reports: Annotated[tuple[Path, ...], tyro.conf.Positional, named("FILE ...")]
    """The reports of all shards, in any order."""
    json: Annotated[Path | None, named("FILE")] = None
    """File for the merged report."""

    def run(self) -> int:
        """Print one line per row and the failures; 0 if all rows agree, 1 otherwise."""
        from parity.report.merging import merge

        if not self.reports:
            raise UserError("merge: name the reports of all shards")
        check_writable(self.json)
        report = merge({str(path): _read(path) for path in self.reports})
        for row in report["rows"]:
            lanes = ", ".join(f"{lane} {one['cases']}" for lane, one in row["lanes"].items())
            print(f"{row['name']:<24} {row['verdict']:<18} {row['cases']} cases ({lanes})")
            for failure in row["failures"]:
                print(f"  {failure['quantity']} in the {failure['lane']} lane: {failure['diagnosis']}")
        cases, failures = (
            sum(row["cases"] for row in report["rows"]),
            sum(len(row["failures"]) for row in report["rows"]),
        )
        agree = "all agree" if report["ok"] else f"{failures} disagreements"
        print(f"{cases} cases from {report['shards']} shards, seed {report['seed']}: {agree}")
        if self.json is not None:
            replace_file(self.json, f"{json.dumps(report, indent=2, allow_nan=False)}\n".encode())
        return 0 if report["ok"] else 1


def _read(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error!s:.100})") from error
    if not isinstance(report, dict):
        raise UserError(f"{path}: not a report of `check --json`")
    return report
