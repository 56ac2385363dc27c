"""Stand-alone scripts of failures: each runs without parity and prints the difference."""

import re
import sys
import traceback
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from parity.__main__ import main
from parity.report.saved import read, saved_in

LAYERS = """
import numpy as np
from numpy_cnn import optim
from parity.rows.networks import by_hand

class MySGD:
    def __init__(self, parameters, lr, momentum=0.0):
        self.parameters, self.lr, self.momentum, self.velocity = parameters, lr, momentum, {}

    def step(self, gradients):
        for name, g in gradients.items():
            if g is not None:
                v = self.velocity[name] = g + self.momentum * self.velocity.get(name, 0)
                self.parameters[name] -= 2 * self.lr * v

class MyAdam(optim.Adam):
    def __init__(self, parameters, lr, betas, eps, weight_decay, amsgrad):
        super().__init__(parameters, lr, betas, eps * 2 + 0.1, weight_decay, amsgrad)

    def step(self, gradients):
        super().step(gradients)

def my_adamw(w, *gradients, weight_decay, **settings):
    w = w.copy()
    optimizer = optim.AdamW({"w": w}, weight_decay=weight_decay / 2, **settings)
    steps = []
    for g in gradients:
        optimizer.step({"w": g})
        steps.append(w.copy())
    return np.stack(steps), None

def network(x, *parameters, architecture, target):
    y, pullback = by_hand(x, *parameters, architecture=architecture, target=target)
    return y, lambda dy: tuple(g * (1 + (i == 1)) for i, g in enumerate(pullback(dy)))

def wrong_loss(x, *parameters, architecture, target):
    y, pullback = by_hand(x, *parameters, architecture=architecture, target=target)
    return y + 1, pullback

def dense(x, w, b):
    def pullback(dy):
        rows, d = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        return dy @ w, d.T @ rows, None if b is None else d.sum(0)
    return x @ w.T + (0 if b is None else b), pullback

def writes_input(x, w, b=None):
    y, pullback = dense(x.copy(), w, b)
    x += 1
    return y, pullback

def writes_weight(x, w, b=None):
    y, pullback = dense(x, w.copy(), b)
    def back(dy):
        w[...] = 0
        return pullback(dy)
    return y, back

def writes_upstream(x, w, b=None):
    y, pullback = dense(x, w, b)
    def back(dy):
        found = pullback(dy)
        dy *= 2
        dy += 1
        return found
    return y, back

def writes_output(x, w, b=None):
    y, pullback = dense(x, w, b)
    def back(dy):
        y[...] += 1
        return pullback(dy)
    return y, back

def accumulates(x, w, b=None):
    y, pullback = dense(x, w, b)
    total = [np.zeros_like(w)]
    def back(dy):
        dx, dw, db = pullback(dy)
        total[0] = total[0] + dw
        return dx, total[0].copy(), db
    return y, back

def hands_out(x, w, b=None):
    y, pullback = dense(x, w, b)
    kept = {}
    def back(dy):
        if "dw" not in kept:
            kept["dw"] = pullback(dy)[1]
        return pullback(dy)[0], kept["dw"], pullback(dy)[2]
    return y, back

def once(x, w, b=None):
    y, pullback = dense(x, w, b)
    kept = [1]
    def back(dy):
        kept.pop()
        return pullback(dy)
    return y, back

class Layer:
    def __init__(self, w, b=None):
        self.w, self.b = w, b
    def forward(self, x):
        y, self.back = dense(x.copy(), self.w, self.b)
        x += 1
        return y
    def backward(self, dy):
        return self.back(dy)

def fortran(x, w, b=None):
    y, pullback = dense(x, w, b)
    wrong = x.ndim > 1 and x.flags.f_contiguous and not x.flags.c_contiguous
    return y + wrong, pullback

def flipped(x, w, b=None):
    y, pullback = dense(x, w, b)
    return y, lambda dy: (pullback(dy)[0] + (x.strides[-1] < 0 and x.shape[-1] > 1), *pullback(dy)[1:])

def contiguous(x, w, b=None):
    if not x.flags.c_contiguous:
        raise ValueError("x must be contiguous")
    return dense(x, w, b)

def wide(x, w, b=None):
    y, pullback = dense(x, w, b)
    return y.astype(np.float64), pullback

def too_few(x, w, b=None):
    y, pullback = dense(x, w, b)
    return y, lambda dy: pullback(dy)[:1]

def crashes(x, w, b=None):
    y, pullback = dense(x, w, b)
    return y, lambda dy: {}["missing"]
"""
EXPECTED = [
    ("SGD", "MySGD", ""),
    ("Adam", "MyAdam", ""),
    ("AdamW", "my_adamw", ""),
    ("SimpleCNN", "network", ""),
    ("SimpleCNN", "wrong_loss", ""),
    ("linear", "writes_input", "the forward wrote to the input"),
    ("linear", "Layer", "the forward wrote to the input"),
    ("linear", "writes_weight", "the pullback wrote to the weight"),
    ("linear", "writes_upstream", "the pullback wrote to the upstream gradient dy"),
    ("linear", "writes_output", "the pullback wrote to the output"),
    ("linear", "accumulates", "the gradient accumulates"),
    ("linear", "hands_out", "writing to a returned gradient"),
    ("linear", "once", "a second call failed"),
    ("linear", "fortran", "with Fortran-ordered arrays"),
    ("linear", "flipped", "with negatively strided arrays"),
    ("linear", "contiguous", "x must be contiguous"),
    ("linear", "wide", "is float64, expected float32"),
    ("linear", "too_few", "returned 1 gradient for 3 arrays"),
    ("linear", "crashes", "raised KeyError"),
]
RAISES = {"once", "contiguous", "crashes"}


@pytest.mark.parametrize(("row", "name", "message"), EXPECTED)
def test_the_script_reproduces_the_failure(
    row: str,
    name: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("parity.running.lane.SHRINKING", 100)  # enough for a script of 20 lines
    monkeypatch.setattr("parity.diagnosis.explain.CASES", 0)  # no script contains a condition
    (tmp_path / "their_layers.py").write_text(LAYERS)
    assert main(["check", row, "--impl", f"their_layers.py:{name}", "--examples", "20", "--strict", "-x"]) == 1
    diagnoses = {read(file).diagnosis for file in saved_in()}
    text = next(part for part in _failures(capsys.readouterr().out) if message in " ".join(part.split()))
    assert any(message in diagnosis for diagnosis in diagnoses)
    script = _script(text)
    assert len(script.splitlines()) <= 20
    assert "parity" not in script
    assert f"import {name}" in script
    monkeypatch.syspath_prepend(tmp_path)
    out, error = _run(script)
    if name in RAISES:
        assert "their_layers.py" in error
        assert message.removeprefix("raised ") in error or name == "once"
        return
    assert not error, f"{error}\n{script}"
    first, _, second = re.sub(r"\A.*?(before|yours):", "", out, flags=re.DOTALL).partition(
        "after:" if "after:" in out else "torch's:"
    )
    assert second.strip()
    assert first.strip() != second.strip(), out


def _run(script: str) -> tuple[str, str]:
    """The output of the script, with the traceback of its exception. test_report.py runs some in a process."""
    sys.modules.pop("their_layers", None)
    with redirect_stdout(StringIO()) as out, warnings.catch_warnings():
        warnings.simplefilter("default")
        try:
            exec(compile(script, "script.py", "exec"), {"__name__": "__main__"})
        except Exception:  # the layer may raise any exception
            return out.getvalue(), traceback.format_exc()
        finally:
            sys.modules.pop("their_layers", None)
    return out.getvalue(), ""


def _failures(out: str) -> list[str]:
    """Split the report into one part per failure."""
    return re.split(r"^(?=\w+: \w+: [\w.]+ in the \w+ lane)", out, flags=re.MULTILINE)[1:]


def _script(failure: str) -> str:
    part = failure.partition("stand-alone script, without parity:\n\n")[2].partition("\n\n  again:")[0]
    assert part, f"there is no script in\n{failure}"
    return "\n".join(line.removeprefix("    ") for line in part.splitlines()) + "\n"
