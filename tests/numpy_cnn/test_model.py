"""Both networks start with identical parameters under the same names."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import bits

from numpy_cnn import SimpleCNN as NumpyCNN
from numpy_cnn.backend import Backend as NumpyBackend
from numpy_cnn.common.spec.architecture import PRESETS, Architecture, is_buffer, preset
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.initial import initial_parameters
from torch_cnn import SimpleCNN as TorchCNN
from torch_cnn.backend import Backend as TorchBackend

PRESET = st.sampled_from(list(PRESETS))
SEED = st.integers(0, 2**32)


def of_torch(model: TorchCNN) -> dict[str, np.ndarray]:
    """All parameters and buffers except the unused counts of batches."""
    state = model.state_dict()
    return {name: array.numpy() for name, array in state.items() if not name.endswith("num_batches_tracked")}


def drawn_ones(architecture: Architecture) -> list[str]:
    """The randomly initialized parameters: all except fixed kernels and those of batch norm."""
    return [
        name for name in architecture.trained if not name.rpartition(".")[0].rpartition(".")[2].startswith("bn")
    ]


@given(PRESET, SEED, st.sampled_from([np.float32, np.float64]))
@settings(max_examples=20)
def test_both_start_with_identical_bits(name: str, seed: int, dtype: type) -> None:
    ours, theirs = NumpyCNN(name, seed=seed, dtype=dtype), TorchCNN(name, seed=seed, dtype=dtype)
    assert {array.dtype for array in ours.parameters.values()} == {np.dtype(dtype)}
    assert list(ours.parameters) == list(of_torch(theirs))
    assert bits(ours.parameters) == bits(of_torch(theirs))


@given(PRESET, SEED)
@settings(max_examples=20)
def test_initial_parameters_fill_torchs_bounds(name: str, seed: int) -> None:
    architecture = PRESETS[name]
    parameters = initial_parameters(architecture, seed)
    for parameter in drawn_ones(architecture):
        fan_in = math.prod(parameters[f"{parameter.rpartition('.')[0]}.weight"].shape[1:])
        drawn = np.abs(parameters[parameter].astype(np.float64))
        assert drawn.max() <= np.float32(1 / math.sqrt(fan_in))
        if drawn.size >= 100:  # the probability that none of 100 is within 30 % of the bound is below 1e-15
            assert drawn.max() > 0.7 / math.sqrt(fan_in)


def test_torchs_own_layers_draw_from_the_same_bounds() -> None:
    torch.manual_seed(0)
    layers = {"conv": torch.nn.Conv2d(2, 200, 3), "linear": torch.nn.Linear(18, 1000)}
    for layer in layers.values():
        for parameter in (layer.weight, layer.bias):
            largest = float(parameter.detach().abs().max())
            assert 0.95 / math.sqrt(18) < largest <= np.float32(1 / math.sqrt(18))


@given(PRESET, SEED, SEED)
@settings(max_examples=20)
def test_the_seed_decides_every_drawn_parameter(name: str, one: int, other: int) -> None:
    architecture = PRESETS[name]
    first, second = initial_parameters(architecture, one), initial_parameters(architecture, other)
    assert bits(initial_parameters(architecture, one)) == bits(first)
    for parameter in drawn_ones(architecture):
        assert (first[parameter].tobytes() == second[parameter].tobytes()) == (one == other)


def test_a_float64_network_starts_where_the_float32_network_does() -> None:
    single, double = initial_parameters(PRESETS["hidden"], 3), initial_parameters(PRESETS["hidden"], 3, np.float64)
    assert bits({name: array.astype(np.float64) for name, array in single.items()}) == bits(double)


def test_both_have_the_same_layers_under_the_same_names() -> None:
    for name in PRESETS:
        ours = [layer for layer, _ in NumpyCNN(name).layers]
        assert ours == [layer for layer, _ in TorchCNN(name).named_children()]


def test_given_parameters_are_used_as_they_are_by_numpy_and_copied_by_torch() -> None:
    given_ones = initial_parameters(PRESETS["tiny"], 1)
    assert NumpyCNN("tiny", parameters=given_ones).parameters is given_ones

    turned = {name: np.flip(array.copy()) for name, array in given_ones.items()}  # negative strides
    network = TorchCNN("tiny", parameters=turned)
    assert bits(of_torch(network)) == bits(turned)
    for parameter in network.parameters():
        parameter.data.zero_()
    assert all(array.any() for array in turned.values())


@pytest.mark.parametrize("network", [NumpyCNN, TorchCNN])
def test_parameters_of_another_architecture_are_refused(network: type) -> None:
    with pytest.raises(UserError, match=r"fc1\.weight has the shape \(10, 1352\), expected \(128, 1352\)"):
        network("hidden", parameters=initial_parameters(PRESETS["simple"], 0))


@pytest.mark.parametrize("backend", [NumpyBackend, TorchBackend])
@pytest.mark.parametrize(
    "optimizer",
    [OptimizerConfig(weight_decay=0.1), OptimizerConfig(optimizer="sgd", momentum=0.9, weight_decay=0.1)],
    ids=["adam", "sgd"],
)
def test_the_edge_kernel_is_fixed_and_everything_else_is_trained(
    backend: type, optimizer: OptimizerConfig
) -> None:
    for name in PRESETS:
        architecture = preset(name, image_size=(6, 6))
        start = initial_parameters(architecture, 0)
        if name == "edge":
            assert start["conv1.weight"].tolist() == [[[[1, 0, -1]] * 3]]
        trainer = backend(architecture, start, optimizer)
        random = np.random.default_rng(0)
        for _ in range(3):
            images = random.standard_normal((8, 1, 6, 6), dtype=np.float32)
            trainer.train_step(images, random.integers(0, architecture.classes, 8), 0.01)
        moved = [key for key, array in trainer.parameters().items() if array.tobytes() != start[key].tobytes()]
        assert [key for key in moved if not is_buffer(key)] == architecture.trained
        assert {key for key in start if is_buffer(key)} <= {*moved}
        assert {key.rpartition(".")[0] for key in trainer.optimizer_state()} == {*architecture.trained}


@pytest.mark.parametrize("backend", [NumpyBackend, TorchBackend])
@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_a_step_uses_the_given_step_size(backend: type, kind: str) -> None:
    """The schedule passes a step size for each step, which overrides that of the optimizer."""
    images, labels = np.ones((3, 1, 4, 4), np.float32), np.array([0, 1, 1])

    def after(made_with: float, *steps: float) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
        optimizer = OptimizerConfig(optimizer=kind, lr=made_with)
        trainer = backend(PRESETS["tiny"], initial_parameters(PRESETS["tiny"], 0), optimizer)
        for lr in steps:
            trainer.train_step(images, labels, lr)
        return bits(trainer.parameters())

    assert after(0.5, 0.0) == bits(initial_parameters(PRESETS["tiny"], 0))
    assert after(0.5, 0.1, 0.2) == after(0.1, 0.1, 0.2) != after(0.5, 0.1, 0.1)


@pytest.mark.parametrize("backend", [NumpyBackend, TorchBackend])
def test_a_backend_does_not_modify_its_parameters_and_images(backend: type) -> None:
    architecture = PRESETS["tiny"]
    start = initial_parameters(architecture, 0)
    before = bits(start)
    trainer = backend(architecture, start, OptimizerConfig())
    images, labels = np.ones((3, 1, 4, 4), np.float32), np.array([0, 1, 1])
    trainer.train_step(images, labels, 0.1)
    trainer.logits(images)
    assert bits(start) == before
    assert images.tolist() == np.ones((3, 1, 4, 4)).tolist()
    assert bits(trainer.parameters()) != before


@pytest.mark.parametrize("name", ["numpy_cnn", "torch_cnn"])
def test_an_unknown_name_of_a_package_is_an_attribute_error(name: str) -> None:
    package = __import__(name)
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'SimplestCNN'"):
        _ = package.SimplestCNN
