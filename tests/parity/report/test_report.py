"""The text of a failure: all its small numbers, its conditions, and a stand-alone script."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import ROOT

import parity
from numpy_cnn import ops
from parity.bounds.extended import is_available
from parity.diagnosis.facets import Facet, Kind
from parity.report import Failure
from parity.report.tables import beside, grid, map_of, number
from parity.report.terminal import render_failure

LAYERS = """
from numpy_cnn import ops

def flipped(x, w, b=None, **options):
    y, pullback = ops.conv2d(x, w, b, **options)
    def wrong(dy):
        dx, dw, db = pullback(dy)
        return dx, dw[:, :, ::-1, ::-1], db
    return y, wrong

class Linear:
    def __init__(self, w, b=None):
        self.w, self.b = w, b
    def forward(self, x):
        y, self.pullback = ops.linear(x, self.w, self.b)
        return y
    def backward(self, dy):
        dx, dw, db = self.pullback(dy)
        return -dx, dw, db

def forward(x, w, b=None):
    return ops.linear(x, w, b)
def backward(dy, cache):
    dx, dw, db = cache(dy)
    return dx, dw * 2, db
"""


def doubled_in_groups(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
    y, pullback = ops.conv2d(x, w, b, **options)
    factor = 2 if options["groups"] > 1 else 1
    return y, lambda dy: (pullback(dy)[0] * factor, *pullback(dy)[1:])


@pytest.fixture(scope="module")
def failure() -> Failure:
    report = parity.check("conv2d", doubled_in_groups, examples=60, lanes=["exact"])
    (failure,) = report.failures
    return failure


def test_the_shrunk_numbers_are_zeros_and_ones(failure: Failure) -> None:
    assert failure.evidence is not None
    for array in failure.evidence.arrays.values():
        assert set(np.unique(array)) <= {0, 1}
    assert sum(int(np.count_nonzero(a)) for a in failure.evidence.arrays.values()) == 2


def test_a_failure_lists_what_differs_what_agrees_and_its_conditions(failure: Failure) -> None:
    evidence = failure.evidence
    assert evidence is not None
    assert evidence.differs == ("grad_input",)
    assert set(evidence.agrees) == {"output", "grad_weight"}
    groups = Facet(Kind.ABOVE, "groups", 1)
    first = evidence.dependence.needed[0]
    assert (first.facet, first.holds) == (groups, True)
    assert Facet(Kind.ABOVE, "stride", 1) in evidence.dependence.alike
    assert groups not in evidence.dependence.alike
    c = evidence.comparison
    assert c is not None
    assert (c.yours[c.worst], c.torchs[c.worst], c.referee, c.allowed) == (2, 1, 1, 0)


def test_the_printed_report_is_complete(failure: Failure) -> None:
    text = render_failure(failure)
    for part in (
        "conv2d: wrong: grad_input in the exact lane",
        "differs: grad_input; agrees: output",
        "who is wrong: yours; the correct value is 1",
        "grad_input, yours",
        "yours − torch's",
        "2*",
        "fails only with groups > 1",
        "python -m parity replay 'exact:{",
    ):
        assert part in text, f"{part!r} is not in\n{text}"


FAILING = [
    ("conv2d", ["flipped"], "grad_weight"), ("linear", ["Linear"], "grad_input"),
    ("linear", ["forward", "backward"], "grad_weight"),
]  # fmt: skip


def test_the_scripts_reproduce_the_failures_without_parity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "their_layers.py"
    file.write_text(LAYERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("their_layers", None)
    module = __import__("their_layers")
    scripts = []
    for row, names, quantity in FAILING:
        found = [getattr(module, name) for name in names]
        report = parity.check(row, found[0] if len(found) == 1 else tuple(found), examples=40, lanes=["exact"])
        failure = next(f for f in report.failures if f.quantity == quantity)
        assert failure.evidence is not None
        script = failure.evidence.script
        assert script is not None
        assert len(script.splitlines()) <= 20
        assert "parity" not in script
        assert f"from their_layers import {', '.join(names)}" in script
        scripts.append(script)
    code = "\n".join(f"exec({script!r}, {{}})\nprint('-----')" for script in scripts)
    environment = {"PYTHONPATH": str(ROOT)}  # the layers import numpy_cnn
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    *printed, rest = done.stdout.split("-----\n")
    assert len(printed) == len(FAILING)
    assert rest == ""
    for out in printed:
        yours, _, torchs = out.partition("torch's:")
        assert yours.partition("yours:")[2].strip() != torchs.strip()


def test_an_implementation_within_a_function_is_recorded() -> None:
    report = parity.check("relu", lambda x: (x, lambda dy: (dy,)), examples=20, lanes=["exact"])
    script = report.failures[0].evidence.script  # type: ignore[union-attr]
    assert script is not None
    assert "the result of your implementation" in script


def test_as_json(failure: Failure) -> None:
    values = json.loads(json.dumps(failure.to_json(), allow_nan=False))
    assert values["agrees"]
    assert values["needed"][0]["facet"] == {"kind": "above", "subject": "groups", "value": 1}
    assert values["fact"]["kind"] == "ValuesDiffer"
    assert (values["verdict"], values["accept"]) == ("wrong", None)
    assert values["script"]
    assert values["case"]["values"]["dy"]


def test_tables() -> None:
    assert [number(v) for v in (1.0, -0.0, 0.5, float("nan"), -np.inf)] == ["1", "-0", "0.5", "NaN", "-inf"]
    lines = grid(np.array([[1.0, -2.0], [0.0, 10.0]]), "x")
    assert [line.rstrip() for line in lines] == ["x", "(2×2)", " 1  -2", " 0  10"]
    assert "too large" in grid(np.zeros((9, 9)), "x")[2]
    assert "empty" in grid(np.zeros((0, 9)), "x")[2]
    assert grid(np.array(3.0), "x", signed=True)[-1].strip() == "+3"
    assert grid(np.zeros((2, 1, 1)), "x")[2].strip() == "[0]"
    assert beside([["a", "b"], ["c"]], gap=1) == ["a c", "b"]
    assert beside([["aaa"], ["bbb"]], width=5) == ["aaa", "", "bbb"]
    assert map_of(np.array([[True, False]])) == ["#·"]


@pytest.mark.skipif(not is_available(), reason="numpy.longdouble is float64 on this machine")
def test_in_float64_extended_precision_decides_who_is_wrong_about_a_function() -> None:
    def off(x: Any, dim: int) -> Any:
        y, pullback = ops.softmax(x, dim)
        return y * (1 + 1e-9), pullback

    report = parity.check("softmax", off, examples=30, lanes=["bound"], dtype="float64")
    assert report.failures[0].wrong_side == "implementation"
    text = " ".join(str(report).split())
    assert "who is wrong: yours" in text
    assert "computed in extended precision" in text


def test_without_a_more_precise_referee_the_wrong_side_is_undetermined() -> None:
    def off(x: Any, kernel_size: Any, **options: Any) -> Any:
        y, pullback = ops.avg_pool2d(x, kernel_size, **options)
        return y * (1 + 1e-9), pullback

    report = parity.check("avg_pool2d", off, examples=30, lanes=["bound"], dtype="float64")
    assert report.failures[0].wrong_side == "undecided"
    assert "which side is wrong is undetermined" in str(report)
    assert "who is wrong: yours" not in str(report)
