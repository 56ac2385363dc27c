"""`new` prints a stub for each op, which passes once both bodies are filled in."""

import inspect
from pathlib import Path

import pytest

from numpy_cnn import ops
from parity.__main__ import main
from parity.commands.stub import FORWARD, PULLBACK, has_stub, stub
from parity.rows.registry import ROWS

OPS = [name for name, row in ROWS.items() if has_stub(row)]


def test_every_op_has_a_stub() -> None:
    assert set(OPS) == set(ops.__all__)


@pytest.mark.parametrize("name", OPS)
def test_a_completed_stub_passes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parameters = inspect.signature(getattr(ops, name)).parameters.values()
    names = ", ".join(f"{p.name}={p.name}" if p.kind is p.KEYWORD_ONLY else p.name for p in parameters)
    text = stub(name)
    assert f"def {name}(" in text
    filled = text.replace(
        f'raise NotImplementedError("{FORWARD}")', f"y, inner = __import__('numpy_cnn').ops.{name}({names})"
    ).replace(f'raise NotImplementedError("{PULLBACK}")', "return inner(dy)")
    assert filled.count("NotImplementedError") == 0
    file = tmp_path / f"my_{name}.py"
    file.write_text(filled)
    assert main(["check", name, "--impl", f"{file}:{name}", "--examples", "2"]) == 0


@pytest.mark.parametrize("name", OPS)
def test_a_stub_is_valid_python_and_raises(name: str) -> None:
    text = stub(name)
    compile(text, name, "exec")
    assert max(map(len, text.splitlines())) <= 115
    assert FORWARD in text
    assert PULLBACK in text
    assert "needs_input_grad" not in text


def test_an_empty_stub_fails_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "relu"]) == 0
    Path("my_relu.py").write_text(capsys.readouterr().out)
    assert main(["check", "relu", "--impl", "my_relu.py:relu", "--examples", "10"]) == 2  # no case ran
    assert FORWARD in " ".join(capsys.readouterr().out.split())


def test_an_optimizer_has_no_stub(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "Adam"]) == 2
    assert "no stub for 'Adam'; there are conv2d, " in capsys.readouterr().err
