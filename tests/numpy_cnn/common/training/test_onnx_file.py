"""Exported networks run by ONNX Runtime give our scores up to the rounding of float32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from programs import error_of, succeed

from numpy_cnn import SimpleCNN
from numpy_cnn.common.data import PIXELS
from numpy_cnn.common.spec.architecture import PRESETS, Architecture, preset
from numpy_cnn.common.training.checkpoint import load_checkpoint
from numpy_cnn.common.training.onnx_file import ACTIVATIONS, to_onnx

onnxruntime = pytest.importorskip("onnxruntime", reason="the exported networks are run by onnxruntime")

NETWORKS: Mapping[str, Architecture] = {
    **PRESETS,
    "stride, padding, batch norm": preset("simple", stride=2, padding=1, in_channels=3, batch_norm=True),
    "dropout": preset("hidden", image_size=(8, 8), dropout=0.5),
    **{name: preset("hidden", image_size=(8, 8), activation=name) for name in (*ACTIVATIONS, "silu")},
}


def scores_of(content: bytes, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(["scores"], {"input": images})[0]


def agree(model: SimpleCNN, content: bytes, images: np.ndarray) -> None:
    ours, theirs = model(images)[0], scores_of(content, images)
    assert theirs.shape == ours.shape
    # Two orders of summation over a few layers: 300 roundings of the largest score.
    assert np.abs(ours - theirs).max() <= 300 * np.finfo(np.float32).eps * max(1, np.abs(ours).max())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("images", [1, 3])
def test_onnxruntime_computes_the_same_scores(name: str, images: int) -> None:
    architecture, rng = NETWORKS[name], np.random.default_rng(0)
    model = SimpleCNN(architecture, seed=1)
    for parameter, array in model.parameters.items():
        if array.ndim == 1:  # scales, shifts and statistics that change the result
            model.parameters[parameter] = rng.uniform(0.5, 1.5, array.shape).astype(np.float32)
    inputs = rng.standard_normal((images, architecture.in_channels, *architecture.image_size)).astype(np.float32)
    agree(model, to_onnx(architecture, model.parameters, PIXELS["mnist"]), inputs)


def test_the_command_exports_a_checkpoint(trained: dict[str, Path], tmp_path: Path, program: str) -> None:
    file = tmp_path / "net.onnx"
    assert succeed(program, "export", trained["numpy_cnn"], file).out == f"{file}\n"
    checkpoint = load_checkpoint(trained["numpy_cnn"])
    model = SimpleCNN(checkpoint.architecture, parameters=checkpoint.parameters)
    images = np.random.default_rng(2).standard_normal((5, 1, 8, 8)).astype(np.float32)
    agree(model, file.read_bytes(), images)


def test_names_and_scale_are_in_the_file() -> None:
    import onnx

    model = SimpleCNN("resnet", seed=0)
    loaded = onnx.load_from_string(to_onnx(model.architecture, model.parameters, PIXELS["mnist"]))
    assert {tensor.name for tensor in loaded.graph.initializer} == {*model.parameters}
    outputs = [name for node in loaded.graph.node for name in node.output]
    assert outputs == [*dict(model.architecture.stages()[1:]), "scores"]
    assert {prop.key: prop.value for prop in loaded.metadata_props} == {"mean": "0.1307", "std": "0.3081"}


def test_a_missing_onnx_is_reported_with_its_install_command(
    trained: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numpy_cnn.common.training.onnx_file.find_spec", lambda name: None)
    message = error_of("numpy_cnn", "export", trained["numpy_cnn"], tmp_path / "net.onnx")
    assert message == "an ONNX file needs the package onnx: pip install 'onnx>=1.17'"
    assert not [*tmp_path.iterdir()]
