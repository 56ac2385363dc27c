"""Whole networks: parity walks the layers of the model, so a new option of the models needs no edit in parity."""

import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from programs import ROOT

from numpy_cnn.common.spec.architecture import PRESETS, Activation, preset
from parity.cases.case import Case
from parity.cases.primitives import draw_plainly
from parity.lanes import bound
from parity.lanes.reference import expect
from parity.rows.layers import layers_of
from parity.rows.networks import by_hand
from parity.rows.registry import ROWS


def test_the_layers_are_those_of_the_model_with_all_their_options() -> None:
    layers = layers_of(preset("hidden", activation="leaky_relu"))
    assert [(layer.name, layer.row.name) for layer in layers] == [
        ("conv1", "conv2d"), ("leaky_relu1", "leaky_relu"), ("pool1", "max_pool2d"), ("flatten", "flatten"),
        ("fc1", "linear"), ("leaky_relu2", "leaky_relu"), ("fc2", "linear"), ("the loss", "cross_entropy"),
    ]  # fmt: skip
    conv, activation, *_ = layers
    assert conv.parameters == {"weight": "conv1.weight", "bias": "conv1.bias"}
    assert conv.options == {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    assert activation.options == {"negative_slope": 0.01}
    assert layers_of(PRESETS["edge"])[0].parameters == {"weight": "conv1.weight"}


@pytest.mark.parametrize("activation", get_args(Activation))
def test_both_networks_agree_with_every_activation(activation: Any) -> None:
    row, generator = ROWS["SimpleCNN"], random.Random(0)
    worst = 0.0
    for _ in range(10):
        case = draw_plainly(row.strategy(lane="bound"), generator)[0]
        options = {"architecture": case.options["architecture"] | {"activation": activation}}
        case = replace(case, options=options, dtype="float32")
        fractions, differences = bound.compare(row, row.op, expect(row, case, "bound"))
        assert not differences, case
        worst = max(worst, *fractions.values())
    assert 0 < worst < 1


def test_a_different_activation_is_wrong() -> None:
    def leaky(x: Any, *parameters: Any, architecture: Any, target: Any) -> Any:
        return by_hand(x, *parameters, architecture=architecture | {"activation": "leaky_relu"}, target=target)

    row = ROWS["SimpleCNN"]
    case: Case = draw_plainly(row.strategy(lane="bound"), random.Random(1))[0]
    case = replace(case, options={"architecture": case.options["architecture"] | {"activation": "relu"}})
    assert bound.compare(row, leaky, expect(row, case, "bound"))[1]


def test_a_new_option_needs_no_edit_in_parity(tmp_path: Path) -> None:
    """The example adds softplus as another activation."""
    for package in ("numpy_cnn", "torch_cnn", "parity"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, old, new in (
        ("numpy_cnn/common/spec/architecture.py", '"sigmoid"]', '"sigmoid", "softplus"]'),
        ("torch_cnn/model.py", '"sigmoid": nn.Sigmoid,', '"sigmoid": nn.Sigmoid, "softplus": nn.Softplus,'),
    ):
        text = (tmp_path / file).read_text(encoding="utf-8")
        assert old in text
        (tmp_path / file).write_text(text.replace(old, new), encoding="utf-8")
    code = """
from numpy_cnn.common.spec.architecture import preset
from parity.rows.layers import layers_of
import parity, sys
assert layers_of(preset("hidden", activation="softplus"))[1].row.name == "softplus"
report = parity.check("SimpleCNN", examples=8, seed=1, lanes=["bound"])
print(report)
sys.exit(not report.ok)
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_network_with_fixed_edges_has_no_bias() -> None:
    shapes = PRESETS["edge"].parameter_shapes()
    parameters = [np.ones(shape) for shape in shapes.values()]
    y, pullback = by_hand(
        np.ones((1, 1, 28, 28)), *parameters, architecture=PRESETS["edge"].to_json(), target=np.array([1])
    )
    assert [g.shape for g in pullback(np.ones_like(y))] == [(1, 1, 28, 28), *shapes.values()]
