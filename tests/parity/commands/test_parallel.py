"""Rows run in parallel in separate processes."""

import json
import os
from pathlib import Path
from typing import Any

import programs
import pytest
from programs import ROOT

from numpy_cnn.common.spec.errors import UserError
from parity.__main__ import main
from parity.commands.parallel import check_in_parallel, row_names
from parity.commands.progress import checking_progress
from parity.rows import registry

ROWS = ["relu", "linear", "tanh"]


class Exit:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (3,)


def test_the_report_does_not_depend_on_the_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    written = []
    for jobs in ("1", "2"):
        assert main(["check", *ROWS, "--examples", "5", "--jobs", jobs, "--json", "-"]) == 0
        out, err = capsys.readouterr()
        written.append(json.loads(out))
        assert {f"{row}: special lane: 5 cases, agrees" for row in ROWS} <= {*err.splitlines()}
    assert written[0] == written[1]
    assert [row["name"] for row in written[0]["rows"]] == ROWS


def test_the_first_process_does_not_import_torch() -> None:
    modules = "parity.commands.check, parity.commands.parallel, parity.commands.progress, parity.report"
    done = programs.spawn(
        "-c", f"import sys, {modules}; print('torch' in sys.modules, 'hypothesis' in sys.modules)", cwd=ROOT
    )
    assert done.out.split() == ["False", "False"], done.err


def test_all_rows_are_listed_by_another_process() -> None:
    assert row_names() == tuple(registry.ROWS)


def test_a_process_that_ends_is_reported() -> None:
    with (
        checking_progress(ROWS, 5) as progress,
        pytest.raises(
            UserError, match=r"(relu|linear): its process ended with code 3; out of memory\? try --jobs 1"
        ),
    ):
        list(check_in_parallel(ROWS, {"examples": Exit()}, 2, progress))


def test_an_error_in_a_process_is_raised_in_the_caller() -> None:
    with checking_progress(ROWS, 5) as progress, pytest.raises(ValueError, match="examples must be at least 1"):
        list(check_in_parallel(ROWS, {"examples": 0}, 2, progress))


@pytest.mark.parametrize("jobs", ["0", "-1"])
def test_jobs_must_be_at_least_one(jobs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "relu", "--jobs", jobs]) == 2
    assert f"--jobs must be at least 1, got {jobs}" in capsys.readouterr().err
