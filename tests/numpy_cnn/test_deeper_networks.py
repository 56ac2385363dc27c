"""The deeper networks: specification and both models agree, and so does batch norm in both modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from numpy_cnn import SimpleCNN as NumpyCNN
from numpy_cnn import ops
from numpy_cnn.backend import Backend as NumpyBackend
from numpy_cnn.chain import Layer, Residual, chain
from numpy_cnn.common.spec.architecture import PRESETS, Architecture, is_buffer, preset
from numpy_cnn.common.spec.config import ArchitectureConfig, OptimizerConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.training.tensors import check_optimizer_state
from torch_cnn import SimpleCNN as TorchCNN
from torch_cnn.backend import Backend as TorchBackend

DEEPER = ["lenet5", "vgg", "resnet"]


def names_of(layers: list[Layer], prefix: str = "") -> list[str]:
    """The names of all layers; those inside a residual block come before the block."""
    names = []
    for name, op in layers:
        if isinstance(op, Residual):
            names += names_of(op.residual, f"{prefix}{name}.residual.")
            names += names_of(op.shortcut, f"{prefix}{name}.shortcut.")
        names.append(prefix + name)
    return names


@pytest.mark.parametrize("side", [8, 28])
@pytest.mark.parametrize("name", DEEPER)
def test_the_description_and_both_backends_have_the_same_layers_and_shapes(name: str, side: int) -> None:
    architecture = preset(name, image_size=(side, side), in_channels=2, classes=3)
    theirs = TorchCNN(architecture)
    shapes = {
        key: tuple(array.shape)
        for key, array in theirs.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    assert shapes == architecture.parameter_shapes()
    assert list(shapes) == list(architecture.parameter_shapes())

    outputs: dict[str, tuple[int, ...]] = {}
    for layer, module in theirs.named_modules():
        module.register_forward_hook(lambda _, __, y, layer=layer: outputs.update({layer: tuple(y.shape[1:])}))
    theirs(torch.zeros(2, 2, side, side))
    stages = dict(architecture.stages())
    assert {layer: outputs[layer] for layer in stages if layer != "input"} == {
        layer: shape for layer, shape in stages.items() if layer != "input"
    }
    assert names_of(NumpyCNN(architecture).layers) == [*stages][1:]


def test_lenet5_has_the_parameters_of_the_paper() -> None:
    sizes = [np.prod(shape) for shape in PRESETS["lenet5"].parameter_shapes().values()]
    assert sum(sizes) == 61_706


@pytest.mark.parametrize("architecture", [*DEEPER, Architecture(batch_norm=True, filters=4, hidden=8)])
def test_both_backends_train_and_evaluate_alike(architecture: Any) -> None:
    if isinstance(architecture, str):
        architecture = PRESETS[architecture]
    start = initial_parameters(architecture, 0, np.float64)
    backends = [kind(architecture, start, OptimizerConfig("sgd")) for kind in (NumpyBackend, TorchBackend)]
    generator = np.random.default_rng(0)
    for _ in range(3):
        images, labels = generator.standard_normal((4, 1, 28, 28)), generator.integers(0, 10, 4)
        losses = [backend.train_step(images, labels, 0.01)[0] for backend in backends]
        assert losses[0] == pytest.approx(losses[1], rel=1e-10)
    ours, theirs = (backend.parameters() for backend in backends)
    assert [*ours] == [*theirs] == [*architecture.parameter_shapes()]
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], rtol=1e-7, atol=1e-10, err_msg=name)
        assert not np.array_equal(array, start[name]), name
    before = {name: array.copy() for name, array in ours.items()}
    scores = [backend.logits(images) for backend in backends]
    np.testing.assert_allclose(*scores, rtol=1e-7, atol=1e-10)
    for name, array in backends[0].parameters().items():
        assert np.array_equal(array, before[name]), f"evaluation changed {name}"


def test_batch_norm_evaluates_each_image_by_itself() -> None:
    network = NumpyBackend(PRESETS["vgg"], initial_parameters(PRESETS["vgg"], 0, np.float64), OptimizerConfig())
    images = np.random.default_rng(0).standard_normal((6, 1, 28, 28))
    network.train_step(images, np.arange(6), 0.01)
    whole = network.logits(images)
    np.testing.assert_allclose(whole[:1], network.logits(images[:1]), rtol=1e-12)


def test_batch_norm_uses_the_whole_batch_with_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numpy_cnn.backend.TRAINED", 2)
    monkeypatch.setattr("numpy_cnn.backend.SHARE", 2)
    architecture = preset("vgg", image_size=(8, 8))
    images = np.random.default_rng(0).standard_normal((8, 1, 8, 8))
    found = []
    for threads in (1, 2):
        network = NumpyBackend(
            architecture, initial_parameters(architecture, 0, np.float64), OptimizerConfig(), threads=threads
        )
        network.train_step(images, np.arange(8), 0.01)
        found.append(network.parameters())
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])


def test_the_gradients_of_a_skip_connection_add() -> None:
    x, weight = np.array([[1.0, -2.0]]), np.array([[2.0, 3.0], [5.0, 7.0]])
    layers: list[Layer] = [("block", Residual([("fc", ops.linear)]))]
    y, pullback = chain(layers, {"block.residual.fc.weight": weight}, x)
    assert y.tolist() == [[-4.0 + 1, -9.0 - 2]]
    dy = np.array([[1.0, 10.0]])
    dx, gradients = pullback(dy)
    assert dx.tolist() == (dy @ weight + dy).tolist()
    assert gradients["block.residual.fc.weight"].tolist() == (dy.T @ x).tolist()


@pytest.mark.parametrize("name", DEEPER)
def test_running_statistics_are_stored_and_not_trained(name: str) -> None:
    architecture = PRESETS[name]
    buffers = {key for key in architecture.parameter_shapes() if is_buffer(key)}
    assert not buffers & {*architecture.trained}
    assert bool(buffers) == architecture.couples_images == (name != "lenet5")


def test_a_size_that_a_deeper_network_does_not_have_is_refused() -> None:
    with pytest.raises(UserError, match="lenet5 has its own layers, got filters 3"):
        ArchitectureConfig(arch="lenet5", filters=3).architecture((28, 28))
    with pytest.raises(UserError, match="resnet has its own layers, got batch_norm True"):
        ArchitectureConfig(arch="resnet", batch_norm=True).architecture((28, 28))


@pytest.mark.parametrize(
    "optimizer",
    [
        OptimizerConfig("adamw", amsgrad=True, clip_norm=0.5),
        OptimizerConfig("adam", betas=(0.8, 0.9), eps=1e-3, clip_value=0.01),
        OptimizerConfig("rmsprop", centered=True, momentum=0.5, eps=1e-2, alpha=0.9),
        OptimizerConfig("adagrad", lr_decay=0.1, initial_accumulator_value=0.1, weight_decay=0.1),
        OptimizerConfig("sgd", momentum=0.9, nesterov=True, clip_norm=0.5, clip_value=0.1),
    ],
    ids=lambda config: config.optimizer,
)
def test_every_optimizer_and_clipping_give_the_same_steps_in_both_backends(optimizer: OptimizerConfig) -> None:
    architecture = preset("lenet5", image_size=(8, 8))
    start = initial_parameters(architecture, 0, np.float64)
    backends = [kind(architecture, start, optimizer) for kind in (NumpyBackend, TorchBackend)]
    generator = np.random.default_rng(0)
    for step in range(5):
        images, labels = generator.standard_normal((4, 1, 8, 8)), generator.integers(0, 10, 4)
        for backend in backends:
            backend.train_step(images, labels, optimizer.lr_at(step, 5, 5))
    ours, theirs = (backend.parameters() for backend in backends)
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], rtol=1e-8, atol=1e-9, err_msg=name)
    states = [backend.optimizer_state() for backend in backends]
    assert states[0].keys() == states[1].keys()
    check_optimizer_state(architecture, optimizer, states[0], begun=True)


def test_schedules_and_warm_up() -> None:
    step = OptimizerConfig(lr=1.0, schedule="step", step_size=2, gamma=0.5)
    assert [step.lr_at(t, 12, 2) for t in (0, 3, 4, 8)] == [1, 1, 0.5, 0.25]
    one_cycle = OptimizerConfig(lr=1.0, schedule="onecycle")
    assert max(one_cycle.lr_at(t, 100, 10) for t in range(100)) == one_cycle.lr_at(29, 100, 10) == 1
    warm = OptimizerConfig(lr=3.0, schedule="constant", warmup_steps=4)
    assert [round(warm.lr_at(t, 9, 3), 12) for t in (0, 2, 4, 8)] == [1, 2, 3, 3]
