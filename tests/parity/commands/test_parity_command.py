"""`python -m parity` with the arguments that a user types."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hypothesis  # noqa: F401  # must be loaded before the command runs
import pytest
from programs import ROOT

from parity.__main__ import main
from parity.commands.check import Check
from parity.commands.storage import nothing_left_behind
from parity.rows.registry import ROWS

WRONG = """
import numpy as np
from numpy_cnn import ops

def flipped(x, w, b=None, **options):
    y, pullback = ops.conv2d(x, w, b, **options)
    def wrong(dy):
        dx, dw, db = pullback(dy)
        return dx, dw[:, :, ::-1, ::-1], db
    return y, wrong

def right(x, w, b=None, **options):
    return ops.conv2d(x, w, b, **options)

number = 3
absent = None

def of_four(x, w, b, c):
    return x
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a temporary folder, where failures are saved."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    file = tmp_path / "my_layers.py"
    file.write_text(WRONG)
    return file


def test_rows_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "relu", "linear", "--examples", "20"]) == 0
    out, err = capsys.readouterr()
    assert "relu" in out
    assert "linear" in out
    assert "conv2d" not in out
    assert "160 cases, seed 0: all agree" in out
    assert "relu: structure lane: 20 cases, agrees" in err


def test_without_a_command_all_rows_are_checked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    report = Check._report

    def of_one(self: Check, names: Sequence[str]) -> Any:
        asked.extend(names)
        return report(self, ("relu",))

    monkeypatch.setattr(Check, "_report", of_one)
    assert main(["--examples", "1"]) == 0
    assert asked == [*ROWS]
    assert "relu" in capsys.readouterr().out


def test_an_implementation_and_its_replay(layers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    impl = f"{layers}:flipped"
    assert main(["check", "conv2d", "--impl", impl, "--examples", "60"]) == 1
    out = capsys.readouterr().out
    assert "grad_weight in the exact lane" in out
    case = out.split("replay '")[1].split("'")[0]
    assert main(["replay", case, "--impl", impl]) == 1
    assert "STILL FAILING" in capsys.readouterr().out
    assert main(["replay", case, "--impl", f"{layers}:right"]) == 0
    assert "FIXED" in capsys.readouterr().out


def test_a_failure_that_cannot_be_saved_is_still_reported(
    layers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    command = ["check", "conv2d", "--impl", f"{layers}:flipped", "--examples", "40", "-x"]
    assert main([*command, "--failures", str(tmp_path / "taken")]) == 1
    out, err = capsys.readouterr()
    assert "conv2d: wrong: grad_weight in the exact lane" in out
    assert f"warning: failures cannot be saved in {tmp_path / 'taken'} (File exists); see --failures" in err
    assert "saved in" not in out


def test_json_to_a_file_and_to_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.json"
    assert main(["check", "mse_loss", "--examples", "5", "--json", str(file)]) == 0
    assert main(["check", "mse_loss", "--examples", "5", "--json", "-"]) == 0
    out = capsys.readouterr().out
    reported = json.loads(file.read_text())
    assert json.loads(out[out.index("{\n") :]) == reported
    assert reported["schema"] == 2
    assert reported["ok"] is True
    assert reported["rows"][0]["lanes"]["exact"] == {"cases": 5, "ok": True}


def test_defaults_of_the_project(
    layers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (layers.parent / "pyproject.toml").write_text("[tool.parity]\nexamples = 6\n")
    below = layers.parent / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert main(["check", "relu"]) == 0
    assert "24 cases" in capsys.readouterr().out
    (layers.parent / "pyproject.toml").write_text("[tool.parity]\nexample = 6\n")
    assert main(["check", "relu"]) == 2
    assert "has no key 'example'; did you mean examples?" in capsys.readouterr().err


def test_options_that_torch_takes_only_with_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "SGD", "--supports", "nesterov=true", "--examples", "10"]) == 0
    assert main(["check", "max_pool2d", "--supports", "stride=none", "--examples", "5"]) == 0


PACKAGE = """
from .helpers import forward

class Relu:
    forward = staticmethod(forward)
"""


def test_a_module_of_a_package_with_relative_imports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "layers.py").write_text(PACKAGE)
    (package / "helpers.py").write_text("from numpy_cnn.ops import relu as forward\n")
    for place in ("mine.layers:Relu.forward", "mine/layers.py:forward"):
        assert main(["check", "relu", "--impl", place, "--examples", "5"]) == 0
    assert not {name for name in sys.modules if name.partition(".")[0] == "mine"}


def test_exitfirst_stops_after_the_first_failing_lane(layers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["check", "conv2d", "--impl", f"{layers}:flipped", "--examples", "40", "-x", "--json", "-"]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert set(json.loads(out[out.index("{\n") :])["rows"][0]["lanes"]) == {"exact"}
    assert "conv2d: exact lane: grad_weight differs from torch" in err


def test_a_single_precision(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "SGD", "--examples", "10", "--dtype", "float32", "--json", "-"]) == 0
    out = capsys.readouterr().out
    lanes = json.loads(out[out.index("{\n") :])["rows"][0]["lanes"]
    assert set(lanes) == {"bound"}  # the others need float64 to be exact


def test_training_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--steps", "8", "--batch-size", "16"]) == 0
    out = capsys.readouterr().out
    assert "the backends agree in each of" in out
    assert "fc2.weight" in out


def test_list(capsys: pytest.CaptureFixture[str]) -> None:

    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ROWS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chekc"], "did you mean check?"),
        (["check", "conv3d"], "conv2d"),
        (["check", "--exmples", "3"], "did you mean --examples?"),
        (["check", "--examples", "0"], "got 0"),
        (["check", "--seed", "-1"], "got -1"),
        (["check", "--impl", "x.py:f"], "needs the one row"),
        (["check", "conv2d", "--impl", "nowhere.py:f"], "no such file nowhere.py"),
        (["check", "conv2d", "--impl", "nowhere"], "expected FILE.py:NAME"),
        (["check", "conv2d", "--impl", "{layers}:other"], "defines no other"),
        (["check", "conv2d", "--impl", "{layers}:number"], "got 3"),
        (["check", "--second"], "--second needs --impl: the ops of numpy_cnn offer no second derivatives"),
        (["check", "conv2d", "--impl", "{broken}:f"], "broken.py:2: "),
        (["check", "conv2d", "--impl", "{raising}:f"], "raising.py:1 raised ZeroDivisionError"),
        (["check", "conv2d", "--impl", "{layers}:flippd"], "defines no flippd; did you mean flipped?"),
        (["check", "conv2d", "--impl", "{layers}:number"], "my_layers.py:15: number is not a layer"),
        (["check", "conv2d", "--impl", "{layers}"], "as in {layers}:of_four"),
        (["check", "conv2d", "--impl", "{folder}/my_layer.py:f"], "did you mean my_layers.py?"),
        (["check", "conv2d", "--impl", "{folder}:f"], "is a folder"),
        (["check", "conv2d", "--impl", "{leaving}:f"], "leaving.py:2 raised SystemExit: bye"),
        (["check", "conv2d", "--impl", "{lacking}:f"], "lacking.py:1 raised ModuleNotFoundError"),
        (["check", "conv2d", "--impl", "no.such.module:f"], "there is no module no in"),
        (["check", "conv2d", "--impl", "{layers}:absent"], "absent is None in"),
        (["check", "relu", "--impl", "{layers}:of_four"], "it cannot be called: of_four() missing 3 required"),
        (["check", "relu", "--impl", "{layers}:"], "as in {layers}:of_four"),
        (
            ["check", "relu", "--impl", "{odd}:NoGpu"],
            "NoGpu cannot be constructed: the forward raised",
        ),
        (["check", "relu", "--impl", "{odd}:nothing"], "nothing takes no array, as in: def nothing(x): …"),
        (["check", "relu", "--impl", "{binary}:f"], "binary.py: source code"),
        (["check", "conv2d", "--supports", "stride=none"], "conv2d has no case with stride=None: torch rejects"),
        (["check", "conv2d", "--supports", "padding=odd"], "Invalid padding string: 'odd'"),
        (["check", "conv2d", "--supports", "rank=two"], "conv2d has no case with rank='two'"),
        (["check", "conv2d", "--supports", "input=3"], "conv2d has no case with input=3"),
        (["check", "softmax", "--supports", "dim=9"], "softmax has no case with dim=9: no case of the row fits"),
        (["check", "SGD", "--json", "{folder}/no/such/file.json"], "no such folder {folder}/no/such"),
        (["replay", "exact:{}"], "not a case"),
        (["replay", "exakt:1"], "not a case"),
        (["train", "--steps", "0"], "must be at least 1"),
        (["train", "--data", "mnist", "--data-dir", "/nowhere"], "/nowhere"),
    ],
)
def test_a_mistake_gives_one_line(
    arguments: list[str], message: str, layers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "raising.py").write_text("1 / 0\n")
    (tmp_path / "odd.py").write_text(ODD)
    (tmp_path / "binary.py").write_bytes(b"\x00\x01")
    (tmp_path / "leaving.py").write_text("import sys\nsys.exit('bye')\n")
    (tmp_path / "lacking.py").write_text("import no_such_module\n")
    places = {
        "layers": layers,
        "broken": tmp_path / "broken.py",
        "raising": tmp_path / "raising.py",
        "leaving": tmp_path / "leaving.py",
        "lacking": tmp_path / "lacking.py",
        "odd": tmp_path / "odd.py",
        "binary": tmp_path / "binary.py",
        "folder": tmp_path,
    }
    filled = [a if a.startswith("exact:") else a.format(**places) for a in arguments]
    assert main(filled) == 2
    err = capsys.readouterr().err.splitlines()
    assert message.format(**places) in err[-1]
    assert err[-1].startswith("parity: error: ")
    assert not any("Traceback" in line for line in err)


ODD = """
class NoGpu:
    def __init__(self):
        raise RuntimeError("no GPU")
    def forward(self, x):
        return x
    def backward(self, dy):
        return dy

def nothing():
    return 1
"""


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m parity …` in a separate process."""
    return subprocess.run(
        [sys.executable, "-m", "parity", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )


def test_a_check_writes_nothing_to_the_working_directory(tmp_path: Path) -> None:
    assert run(tmp_path, "check", "relu", "--examples", "3").returncode == 0
    assert [*tmp_path.iterdir()] == []


def test_hypothesis_gets_a_temporary_folder_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "hypothesis")
    monkeypatch.delenv("HYPOTHESIS_STORAGE_DIRECTORY", raising=False)
    with nothing_left_behind():
        folder = Path(os.environ["HYPOTHESIS_STORAGE_DIRECTORY"])
        assert folder.is_dir()
    assert not folder.exists()
    assert "HYPOTHESIS_STORAGE_DIRECTORY" not in os.environ
    monkeypatch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", "notes")
    with nothing_left_behind():
        assert os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] == "notes"


def test_a_running_hypothesis_keeps_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "hypothesis" in sys.modules
    monkeypatch.delenv("HYPOTHESIS_STORAGE_DIRECTORY", raising=False)
    with nothing_left_behind():
        assert "HYPOTHESIS_STORAGE_DIRECTORY" not in os.environ


def test_help_is_readable() -> None:
    for command in ("check", "replay", "new", "watch"):
        done = run(Path(), command, "--help")
        assert done.returncode == 0, done.stderr
        assert not re.search(r"None|STR|PATH|\(default: \)", done.stdout), done.stdout


@pytest.mark.parametrize(
    "command", [*["check", "replay", "merge", "train", "list", "new", "watch", "self-test"], None]
)
def test_help_fits_a_terminal(
    command: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*([command] if command else []), "--help"])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines()[1:])) <= 80, "only tyro's usage line may be longer"
    assert command or "(default: check)" in shown


def test_help_imports_nothing_slow() -> None:
    code = (
        "import sys, runpy\n"
        "sys.argv = ['parity', '--help']\n"
        "try: runpy.run_module('parity', run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "slow = {'torch', 'hypothesis', 'matplotlib'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "replay" in done.stdout
