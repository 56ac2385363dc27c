"""Failures are saved, and run again: FIXED, STILL FAILING or ERROR."""

import json
from pathlib import Path

import pytest

from parity.__main__ import main
from parity.cases import ArraySpec, Case
from parity.failures.saved import Saved, read, saved_in

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


def test_a_failure_is_saved_and_seen_to_be_fixed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_a_failure_saved_twice_is_one_file(file: Path) -> None:
    assert main(["check", "linear", "--impl", "layer.py:layer", "--examples", "30"]) == 1
    assert len(saved_in()) == 1


def test_the_numbers_are_small_and_nothing_of_hypothesis_is_in_the_file(file: Path) -> None:
    text = saved_in()[0].read_text()
    assert "hypothesis" not in text
    told = json.loads(text)
    assert told["schema"] == 1
    assert told["impl"] == "layer.py:layer"
    assert {abs(n) for n in _flat(told["case"]["values"])} <= {0, 1}


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
def test_a_damaged_file_is_an_error_of_one_line(
    text: str | bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "layer.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["replay", str(file)]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("ERROR: ")
    assert message in line


def test_what_cannot_be_run_is_an_error_and_the_others_run(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (good,) = saved_in()
    told = json.loads(good.read_text())
    (good.parent / "gone.json").write_text(json.dumps(told | {"impl": "gone.py:layer"}))
    (good.parent / "row.json").write_text(json.dumps(told | {"row": "conv9d"}))
    broken = told["case"] | {"values": {"input": [1, 2, 3, 4, 5, 6, 7]}}
    (good.parent / "values.json").write_text(json.dumps(told | {"case": broken}))
    capsys.readouterr()
    assert main(["replay", "all"]) == 1
    out = capsys.readouterr().out
    assert "no such file gone.py" in out
    assert "no row 'conv9d'" in out
    assert "cannot be run" in out
    assert out.splitlines()[-1] == "1 STILL FAILING, 3 ERROR"
    good.unlink()
    assert main(["replay", "all"]) == 2


def test_saved_cases_survive_the_trip(tmp_path: Path) -> None:
    case = Case(
        "relu", (ArraySpec("input", (2,)),), values={"input": (float("inf"), -0.0), "dy": (float("nan"), 0.5)}
    )
    saved = Saved("relu", "special", "output", case, "wrong", None)
    file = tmp_path / saved.file_name
    file.write_text(json.dumps(saved.to_json(), allow_nan=False))
    assert str(read(file)) == str(saved)
