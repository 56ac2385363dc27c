"""Failures are saved and replayed: FIXED, STILL FAILING or ERROR."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

import parity
from parity.__main__ import main
from parity.cases.case import ArraySpec, Case
from parity.report.rerun import RerunFlags
from parity.report.saved import Saved, read, saved_in

RIGHT = """
from numpy_cnn import ops

def layer(x, w, b=None, **options):
    return ops.linear(x, w, b)
"""
WRONG = """
from numpy_cnn import ops

def layer(x, w, b=None, **options):
    y, pullback = ops.linear(x, w, b)
    def wrong(dy):
        dx, dw, db = pullback(dy)
        return dx * 2, dw, db
    return y, wrong
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "layer.py"
    file.write_text(WRONG)
    assert main(["check", "linear", "--impl", "layer.py:layer", "--examples", "30"]) == 1
    return file


def test_a_saved_failure_is_replayed_until_it_is_fixed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    (saved,) = saved_in()
    assert saved.name.startswith("linear-grad_input-exact-")
    assert main(["replay", "all"]) == 1
    assert "STILL FAILING: exact linear(" in capsys.readouterr().out
    file.write_text(RIGHT)
    assert main(["replay", str(saved)]) == 0
    assert capsys.readouterr().out.startswith("FIXED: ")
    assert main(["replay", "all", "--forget"]) == 0
    assert saved_in() == []
    assert main(["replay", "all"]) == 2
    assert "no saved failure in .parity" in capsys.readouterr().err


def test_a_failure_saved_twice_gives_one_file(file: Path) -> None:
    assert main(["check", "linear", "--impl", "layer.py:layer", "--examples", "30"]) == 1
    assert len(saved_in()) == 1


def test_a_saved_file_contains_small_numbers_and_no_state_of_hypothesis(file: Path) -> None:
    text = saved_in()[0].read_text()
    assert "hypothesis" not in text
    reported = json.loads(text)
    assert reported["schema"] == 1
    assert reported["impl"] == "layer.py:layer"
    assert {abs(n) for n in _flat(reported["case"]["values"])} <= {0, 1}


def _flat(value: object) -> list[float]:
    if isinstance(value, dict):
        return _flat([*value.values()])
    return [n for item in value for n in _flat(item)] if isinstance(value, list) else [value]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "layer.json"),
        ("[]", "no schema"),
        ('{"schema": 2}', "schema 2"),
        ('{"schema": 1}', "not a saved failure"),
        (b"\xff\xfe", "layer.json"),
    ],
)
def test_a_damaged_file_gives_one_line(
    text: str | bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "layer.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["replay", str(file)]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("ERROR: ")
    assert message in line


def test_a_case_that_cannot_run_does_not_stop_the_others(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (good,) = saved_in()
    reported = json.loads(good.read_text())
    (good.parent / "gone.json").write_text(json.dumps(reported | {"impl": "gone.py:layer"}))
    (good.parent / "row.json").write_text(json.dumps(reported | {"row": "conv9d"}))
    broken = reported["case"] | {"values": {"input": [1, 2, 3, 4, 5, 6, 7]}}
    (good.parent / "values.json").write_text(json.dumps(reported | {"case": broken}))
    capsys.readouterr()
    assert main(["replay", "all"]) == 1
    out = capsys.readouterr().out
    assert "no such file gone.py" in out
    assert "no row 'conv9d'" in out
    assert "cannot be run" in out
    assert out.splitlines()[-1] == "1 STILL FAILING, 3 ERROR"
    good.unlink()
    assert main(["replay", "all"]) == 2


def test_a_saved_failure_equals_the_original_after_reading(tmp_path: Path) -> None:
    case = Case(
        "relu", (ArraySpec("input", (2,)),), values={"input": (float("inf"), -0.0), "dy": (float("nan"), 0.5)}
    )
    how = RerunFlags("layer.py:f", {"input": (2,), "padding": "same"}, ("dtype",), 2.5, "torch.relu", "n")
    saved = Saved("relu", "special", "output", case, "wrong", how)
    file = tmp_path / saved.file_name
    file.write_text(json.dumps(saved.to_json(), allow_nan=False))
    assert str(read(file)) == str(saved)
    assert str(Saved.from_json(saved.to_json() | {"timeout": None}).rerun.timeout) == "None"


NARROW = """
import numpy as np

def layer(x, w, b):
    x = x.astype(np.float64)
    def pullback(dy):
        return dy @ w * FACTOR, dy.T @ x, dy.sum(0)
    return x @ w.T + b, pullback
"""


def test_a_replay_uses_the_flags_of_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "layer.py"
    file.write_text(NARROW.replace("FACTOR", "2"))
    flags = ["--supports", "bias=true", "rank=2", "--accept", "dtype", "--strict", "--timeout", "20"]
    assert main(["check", "linear", "--impl", "layer.py:layer", "--examples", "40", *flags]) == 1
    out = capsys.readouterr().out
    assert out.count("who is wrong") == 1  # for dx, not for the dtypes
    (saved,) = saved_in()
    assert read(saved).rerun == RerunFlags(
        "layer.py:layer", {"bias": True, "rank": 2}, ("dtype",), 20.0, strict=True
    )
    again = next(line for line in out.splitlines() if line.startswith("  again: ")).partition("parity ")[2]
    assert again.endswith("--impl layer.py:layer --supports bias=true rank=2 --accept dtype --strict --timeout 20")
    assert main(shlex.split(again)) == 1
    file.write_text(NARROW.replace("FACTOR", "1"))
    assert main(shlex.split(again)) == 0
    assert main(["replay", "all"]) == 0
    lenient = [flag for flag in flags if flag != "--strict"]  # --strict would report what torch rejects
    assert main(["watch", "layer.py:layer", "--op", "linear", "--rounds", "1", *lenient]) == 0
    reported = json.loads(saved.read_text())
    del reported["accept"]
    saved.write_text(json.dumps(reported))
    assert main(["replay", "all"]) == 1  # the dtype is not accepted any more
    assert main(["replay", "all", "--accept", "dtype"]) == 0


GELU = """
import numpy as np

def gelu(x):
    c = np.sqrt(2 / np.pi).astype(x.dtype)
    t = np.tanh(c * (x + x.dtype.type(0.044715) * x**3))
    slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + x.dtype.type(3 * 0.044715) * x * x)
    return 0.5 * x * (1 + t), lambda dy: ((dy * slope).astype(x.dtype),)
"""


def test_an_op_without_a_row_is_replayed_with_its_oracle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(GELU)
    (tmp_path / "theirs.py").write_text(
        "import torch\ndef gelu(x): return torch.nn.functional.gelu(x, approximate='tanh')\n"
    )
    check = ["check", "my_gelu", "--impl", "mine.py:gelu", "--examples", "20", "--shapes", "n c"]
    assert main([*check, "--like", "theirs.py:gelu"]) == 0  # the oracle uses the same approximation
    assert main([*check, "--like", "torch.nn.functional.gelu"]) == 1
    out = capsys.readouterr().out
    assert "--impl mine.py:gelu --like torch.nn.functional.gelu --shapes 'n c'" in out
    assert saved_in()
    assert main(["replay", "all"]) == 1
    assert "STILL FAILING: bound my_gelu(" in capsys.readouterr().out
    assert main(["replay", str(saved_in()[0]), "--like", "theirs.py:gelu"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--like", "torch.nn.functional.gelo"], "torch.nn.functional defines no gelo; did you mean gelu?"),
        (["--like", "torch.nnn.gelu"], "there is no module torch.nnn"),
        (["--like", "gelu"], "expected a torch function"),
        (["--like", "torch.pi"], "pi is a float, not a function"),
        (["--shapes", "n c"], "needs --like"),
        ([], "there is no row 'my_gelu'"),
        (["--like", "torch.relu", "--soak", "1"], "only Hypothesis can draw its cases"),
    ],
)
def test_mistakes_in_the_oracle(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(GELU)
    name = "relu" if arguments[:1] == ["--shapes"] else "my_gelu"
    assert main(["check", name, "--impl", "mine.py:gelu", *arguments]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_check_in_python_prints_a_valid_replay_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "their_gelu.py").write_text(GELU)
    monkeypatch.syspath_prepend(str(tmp_path))
    from their_gelu import gelu  # type: ignore[import-not-found]

    def failing(implementation: Any, **options: Any) -> str:
        return str(parity.check("their_gelu", implementation, examples=5, lanes=["bound"], **options))

    gelu_of_torch = torch.nn.functional.gelu
    assert "--impl their_gelu.py:gelu --like torch.nn.functional.gelu" in failing(gelu, like=gelu_of_torch)
    for same in (
        failing(gelu, like=lambda x: gelu_of_torch(x)),
        failing(lambda x: gelu(x), like=gelu_of_torch),
        failing(gelu, like=gelu_of_torch, shapes=[2]),
    ):
        assert "again: the same call in Python" in same
    report = parity.check("relu", lambda x: (x, lambda dy: (dy,)), examples=5, lanes=["exact"])
    assert "--impl FILE.py:NAME (define it under a name" in str(report)
