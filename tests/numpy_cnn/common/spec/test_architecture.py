"""Sizes computed from an architecture equal those of both networks."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numpy_cnn import SimpleCNN as NumpyCNN
from numpy_cnn.common.spec.architecture import PRESETS, Architecture, preset
from numpy_cnn.common.spec.config import ArchitectureConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.initial import initial_parameters
from torch_cnn import SimpleCNN as TorchCNN


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """Draws any valid architecture, starting from the pooled size."""
    kernel, stride, pool = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, 2))
    sides = []
    for _ in range(2):
        pooled = draw(st.integers(1, 3)) * pool + draw(st.integers(0, pool - 1))
        size = (pooled - 1) * stride + kernel - 2 * padding + draw(st.integers(0, stride - 1))
        sides.append(max(size, 1))
        if size < 1:  # the padding alone exceeds the size: choose an image large enough for one pooling window
            sides[-1] = max(1, pool * stride + kernel)
    return Architecture(
        image_size=(sides[0], sides[1]),
        in_channels=draw(st.integers(1, 3)),
        filters=draw(st.integers(1, 3)),
        kernel_size=kernel,
        stride=stride,
        padding=padding,
        pool=pool,
        hidden=draw(st.none() | st.integers(1, 5)),
        classes=draw(st.integers(1, 4)),
        loss=draw(st.sampled_from(["cross_entropy", "mse"])),
    )


@given(architectures(), st.integers(0, 3))
def test_stages_have_the_shapes_of_both_networks(architecture: Architecture, batch: int) -> None:
    stages = dict(architecture.stages())
    x = np.ones((batch, *stages["input"]), np.float32)

    numpy_cnn, torch_cnn = NumpyCNN(architecture), TorchCNN(architecture)
    theirs = torch.from_numpy(x)
    ours = x
    assert [name for name, _ in numpy_cnn.layers] == [*stages][1:]
    for (name, op), (torch_name, module) in zip(numpy_cnn.layers, torch_cnn.named_children(), strict=True):
        own = [numpy_cnn.parameters[p] for p in (f"{name}.weight", f"{name}.bias") if p in numpy_cnn.parameters]
        ours, _ = op(ours, *own)
        theirs = module(theirs)
        assert torch_name == name
        assert ours.shape == theirs.shape == (batch, *stages[name])


@given(architectures())
def test_parameter_shapes_are_those_of_torchs_layers(architecture: Architecture) -> None:
    shapes = {name: tuple(p.shape) for name, p in TorchCNN(architecture).named_parameters()}
    assert architecture.parameter_shapes() == shapes
    assert list(architecture.parameter_shapes()) == list(shapes)  # also in torch's order


@given(architectures())
def test_an_architecture_survives_json(architecture: Architecture) -> None:
    assert Architecture.from_json(architecture.to_json()) == architecture


def test_presets_have_their_documented_sizes() -> None:
    assert PRESETS["simple"].parameter_shapes() == {
        "conv1.weight": (8, 1, 3, 3), "conv1.bias": (8,),
        "fc1.weight": (10, 8 * 13 * 13), "fc1.bias": (10,),
    }  # fmt: skip
    assert PRESETS["hidden"].parameter_shapes() == {
        "conv1.weight": (8, 1, 3, 3), "conv1.bias": (8,),
        "fc1.weight": (128, 8 * 13 * 13), "fc1.bias": (128,),
        "fc2.weight": (10, 128), "fc2.bias": (10,),
    }  # fmt: skip
    assert PRESETS["tiny"].stages() == [
        ("input", (1, 4, 4)), ("conv1", (2, 4, 4)), ("relu1", (2, 4, 4)),
        ("pool1", (2, 2, 2)), ("flatten", (8,)), ("fc1", (2,)),
    ]  # fmt: skip
    assert {name: a.loss for name, a in PRESETS.items() if a.loss != "cross_entropy"} == {"tiny": "mse"}
    edge = PRESETS["edge"].parameter_shapes()
    assert edge == {"conv1.weight": (1, 1, 3, 3), "fc1.weight": (2, 169), "fc1.bias": (2,)}
    assert PRESETS["edge"].trained == ["fc1.weight", "fc1.bias"]
    for name in ("simple", "hidden", "tiny"):
        assert PRESETS[name].trained == list(PRESETS[name].parameter_shapes())


def test_a_preset_takes_changes_and_its_hidden_layer_can_be_left_out() -> None:
    assert preset("hidden", hidden=0) == PRESETS["simple"]
    assert preset("simple", hidden=128) == PRESETS["hidden"]
    assert preset("simple", filters=None, stride=2) == replace(PRESETS["simple"], stride=2)


def test_flags_change_the_size_that_they_name() -> None:
    config = ArchitectureConfig(
        arch="simple", image_size=(9, 12), channels=2, filters=3, kernel_size=4, stride=2, padding=1, hidden=5,
        classes=6,
    )  # fmt: skip
    assert config.architecture((28, 28)) == Architecture((9, 12), 2, 3, 4, 2, 1, 2, 5, 6)
    assert ArchitectureConfig(arch="hidden").architecture((8, 9)).image_size == (8, 9)
    assert ArchitectureConfig(arch="tiny").architecture((28, 28)).image_size == (4, 4)


@given(st.sampled_from(["in_channels", "filters", "kernel_size", "stride", "pool", "hidden", "classes"]),
       st.integers(-5, 0) | st.sampled_from([1.5, "3", None]))  # fmt: skip
def test_a_size_below_one_or_of_another_kind_is_reported_with_its_value(name: str, value: object) -> None:
    if name == "hidden" and value is None:
        assert replace(Architecture(), hidden=None).hidden is None
        return
    with pytest.raises(UserError) as reported:
        replace(Architecture(), **{name: value})
    assert str(reported.value) == f"architecture: {name} must be an integer of at least 1, got {value!r}"


@given(st.integers(max_value=-1))
def test_a_negative_padding_is_reported_with_its_value(value: int) -> None:
    with pytest.raises(UserError, match=f"padding must be an integer of at least 0, got {value}$"):
        Architecture(padding=value)


@pytest.mark.parametrize(("size", "reported"), [((0, 28), "height .* got 0"), ((28, -1), "width .* got -1")])
def test_an_image_without_pixels_is_rejected(size: tuple[int, int], reported: str) -> None:
    with pytest.raises(UserError, match=reported):
        Architecture(image_size=size)


@given(st.integers(1, 6), st.integers(0, 2), st.integers(1, 5), st.sampled_from([0, 1]))
def test_a_kernel_larger_than_the_padded_image_is_reported_with_the_sizes(
    size: int, padding: int, excess: int, axis: int
) -> None:
    kernel = size + 2 * padding + excess
    image_size = (size, 100) if axis == 0 else (100, size)
    with pytest.raises(UserError) as reported:
        Architecture(image_size=image_size, kernel_size=kernel, padding=padding)
    needs = f"conv1 needs at least {kernel} pixels, but has {size + 2 * padding}"
    assert f"{needs} (size {size}, padding {padding} on both sides)" in str(reported.value)


@given(st.integers(1, 5), st.integers(1, 3))
def test_a_pooling_larger_than_its_input_is_reported_with_the_sizes(left: int, excess: int) -> None:
    with pytest.raises(UserError, match=f"pool1 needs at least {left + excess} pixels, but has {left} "):
        Architecture(image_size=(left + 2, 28), pool=left + excess)


@pytest.mark.parametrize("change", [{"filters": 2}, {"in_channels": 3}, {"kernel_size": 5}])
def test_the_edge_kernel_has_one_size(change: dict[str, int]) -> None:
    with pytest.raises(UserError, match=r"fixed edge kernel is one 3x3 filter .* got \d filters of"):
        preset("edge", **change)


@given(architectures(), st.data())
def test_check_reports_parameters_of_another_architecture(architecture: Architecture, data: st.DataObject) -> None:
    parameters = initial_parameters(architecture, seed=0)
    assert architecture.check(parameters) is parameters

    name = data.draw(st.sampled_from(list(parameters)))
    fewer = {key: array for key, array in parameters.items() if key != name}
    shape = architecture.parameter_shapes()[name]
    with pytest.raises(UserError) as reported:
        architecture.check(fewer)
    assert f"no {name} of shape {shape}; there are " in str(reported.value)
    with pytest.raises(UserError, match=r"fc9\.weight of shape \(1,\) is unknown$"):
        architecture.check({**parameters, "fc9.weight": np.zeros(1)})
    other = np.zeros((*shape, 1))
    with pytest.raises(UserError) as reported:
        architecture.check({**parameters, name: other})
    assert str(reported.value).endswith(f"{name} has the shape {other.shape}, expected {shape}")


@given(architectures())
def test_the_number_of_parameters(architecture: Architecture) -> None:
    """Counted by hand: one weight per pair of output and input, and one bias per output."""
    a, flat = architecture, math.prod(dict(architecture.stages())["pool1"])
    convolution = a.filters * (a.in_channels * a.kernel_size**2 + 1)
    widths = [flat, a.hidden, a.classes] if a.hidden else [flat, a.classes]
    dense = sum(after * (before + 1) for before, after in pairwise(widths))
    assert sum(map(math.prod, a.parameter_shapes().values())) == convolution + dense
