"""A crash, an exit or a hang of the user's code is reported."""

import json
from pathlib import Path

import pytest
from programs import Result, fork

from parity.__main__ import main
from parity.cases.case import ArraySpec, Case
from parity.cases.journal import IN_CALL, Record
from parity.commands.crash import keep

SETUP = """
import os, signal, sys
from parity.cases.case import ArraySpec, Case
from parity.cases.journal import Journal
from parity.commands import guard

guard.GRACE, guard.POLL = 0.1, 0.05

def command():
    Journal.expected = Case("relu", (ArraySpec("input", (2,)),), {}, "float32", 1, 7), "exact"
    Journal.flags = " --impl my.py:relu"
    Journal.active.enter("forward", LIMIT)
    Journal.active.enter("forward", None)
    Journal.active.leave()
    BODY
    Journal.active.leave()
    return 0

sys.exit(guard.guarded(command, ["check", "relu", "--impl", "my.py:relu"]))
"""


HANGS = "import itertools; sum(itertools.repeat(1.0))"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(body: str, setup: str = SETUP) -> Result:
    # Only what hangs may reach its limit, however busy the machine is.
    code = setup.replace("BODY", body).replace("LIMIT", "0.1" if body == HANGS else "120")
    return fork("-c", code, cwd=Path.cwd())


def test_the_crash_is_in_the_json_report(tmp_path: Path) -> None:
    run("os.abort()", SETUP.replace('"my.py:relu"])', '"my.py:relu", "--json", "report.json"])'))
    report = json.loads((tmp_path / "report.json").read_text())
    (row,) = report["rows"]
    (failure,) = row["failures"]
    assert not report["ok"]
    assert "killed by SIGABRT" in failure["diagnosis"]
    assert "nothing more was checked" in " ".join(row["remarks"])


@pytest.mark.parametrize("typed", ['"--json", "-"', '"--json=-"'])
def test_only_json_is_on_standard_output(typed: str) -> None:
    result = run("os.abort()", SETUP.replace('"my.py:relu"])', f'"my.py:relu", {typed}])'))
    assert not json.loads(result.out)["ok"]
    assert "killed by SIGABRT" in result.err


def test_a_crash_whose_report_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ["check", "relu", "--impl", "my.py:relu", "--json", str(tmp_path)]  # a folder cannot be written
    case = Case("relu", (ArraySpec("input", (2,)),), {}, "float32", 1, 7)
    record = Record(IN_CALL, 0, 0.0, "forward", "relu", replay=f"exact:{json.dumps(case.to_json())}")
    monkeypatch.setattr("parity.__main__.guarded", lambda *_: keep(record, "exited with code 3", None, typed))
    monkeypatch.setattr("sys.argv", ["parity", *typed])
    assert main() == 2
    assert capsys.readouterr().err == f"parity: error: {tmp_path}: Is a directory\n"
    assert len([*(tmp_path / ".parity").iterdir()]) == 1


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("os._exit(0)", "exited with code 0"),
        ("os._exit(3)", "exited with code 3"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
        ("os.abort()", "was killed by SIGABRT"),
        (HANGS, "did not return within its time limit"),
    ],
)
def test_the_case_that_ended_the_process_is_reported(body: str, how: str) -> None:
    done = run(body)
    assert done.code == 1
    first, *rest, saved = done.out.splitlines()
    assert saved == "saved in .parity: python -m parity replay all"
    assert first.startswith(f"relu: wrong: the process of the implementation {how}")
    assert first.endswith(", in the forward")
    assert any("case: relu(input [2]) in float32" in line for line in rest)
    assert "python -m parity replay 'exact:{" in rest[-1]
    assert rest[-1].endswith("}' --impl my.py:relu")


def test_an_exit_during_the_import_is_an_error() -> None:
    done = run("pass", SETUP.replace("def command():", "def command():\n    os._exit(1)"))
    assert done.code == 2
    assert "parity: error: the process of the implementation exited with code 1" in done.err


@pytest.mark.parametrize(("body", "code"), [("pass", 0), ("return 1", 1), ("sys.exit(2)", 2)])
def test_a_normal_exit_code_is_kept(body: str, code: int) -> None:
    done = run(body)
    assert (done.code, done.out, done.err) == (code, "", "")


def test_a_crash_after_the_command_is_ignored() -> None:
    done = run("import atexit; atexit.register(os._exit, 9)")
    assert (done.code, done.out) == (0, "")


def test_a_signal_to_the_parent_reaches_the_child() -> None:
    done = run("import time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(20)")
    assert (done.code, done.out) == (143, "")


def test_the_other_lanes_run_in_another_process_which_reports_the_crash() -> None:
    others = """
    from parity.commands.crashes import Crash, add_crashes
    if Journal.skipped:
        from parity.report import RowReport
        row = RowReport("relu", lanes={"bound": 20})
        add_crashes(row, None)
        print(sorted(Journal.skipped), row.lanes, [str(f) for f in row.failures], row.notes)
        return 1
    """
    done = run("os._exit(3)", SETUP.replace("def command():", f"def command():{others}"))
    assert done.code == 1
    assert "['exact'] {'bound': 20, 'exact': 1}" in done.out
    assert "relu: output in the exact lane: wrong: its process exited with code 3 in the forward" in done.out
    assert "ended in the exact lane, of which nothing more was checked" in done.out
    (line,) = done.err.splitlines()
    assert line.endswith("exited with code 3, in the forward: checking the other lanes")


def test_a_crash_before_the_lanes_is_reported_once() -> None:
    done = run("os._exit(3)")
    assert done.out.count("wrong: the process of the implementation exited with code 3") == 1
