"""Properties of the optimizers that their rows do not check: settings out of range, and ownership of arrays."""

import inspect
from typing import Any

import numpy as np
import pytest
import torch

from numpy_cnn import optim


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (optim.SGD, {"lr": -1.0}, "lr must not be negative, got -1.0"),
        (optim.SGD, {"momentum": -0.5}, "-0.5"),
        (optim.SGD, {"weight_decay": float("nan")}, "nan"),
        (optim.SGD, {"nesterov": True}, "momentum 0.0"),
        (optim.SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening 0.1"),
        (optim.Adam, {"betas": (1.0, 0.9)}, "(1.0, 0.9)"),
        (optim.Adam, {"eps": -1e-8}, "-1e-08"),
        (optim.Adam, {"weight_decay": -0.1}, "weight_decay must not be negative, got -0.1"),
        (optim.AdamW, {"lr": -1.0}, "lr"),
        (optim.RMSprop, {"alpha": -0.5}, "alpha must not be negative, got -0.5"),
        (optim.RMSprop, {"momentum": -0.5}, "momentum must not be negative, got -0.5"),
        (optim.Adagrad, {"lr_decay": -1.0}, "lr_decay must not be negative, got -1.0"),
        (optim.Adagrad, {"initial_accumulator_value": -1.0}, "initial_accumulator_value must not be negative"),
    ],
)
def test_settings_out_of_range(kind: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  # the message is checked below
        kind({}, **settings)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{kind.__name__}: ")


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad])
def test_parameters_change_in_place_and_gradients_do_not(kind: Any) -> None:
    w, still = np.ones((2, 2), np.float32), np.ones(3, np.float32)
    optimizer = kind({"w": w, "still": still}, lr=0.1)
    g = np.full((2, 2), 0.5, np.float32)
    for _ in range(2):
        optimizer.step({"still": None, "w": g})
    assert (w < 1).all()
    assert (g == 0.5).all()
    assert (still == 1).all()
    assert "still" not in optimizer.state
    assert w.dtype == np.float32


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.RMSprop, optim.Adagrad])
def test_gradients_without_a_parameter(kind: Any) -> None:
    optimizer = kind({"w": np.ones(2)})
    with pytest.raises(ValueError, match=rf"^{kind.__name__}: .*'v'.*\['w'\]"):
        optimizer.step({"v": np.ones(2)})
    with pytest.raises(ValueError, match=rf"^{kind.__name__}: .*\(2,\).*\(3,\)"):
        optimizer.step({"w": np.ones(3)})


def test_the_momentum_buffer_is_not_the_first_gradient() -> None:
    g = np.ones(2)
    optimizer = optim.SGD({"w": np.zeros(2)}, lr=1.0, momentum=0.5)
    optimizer.step({"w": g})
    optimizer.step({"w": g})
    assert g.tolist() == [1.0, 1.0]
    assert optimizer.state["w"]["momentum_buffer"].tolist() == [1.5, 1.5]


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad])
def test_defaults_are_torchs(kind: Any) -> None:
    torchs = inspect.signature(getattr(torch.optim, kind.__name__)).parameters
    ours = [name for name in inspect.signature(kind).parameters if name != "parameters"]
    w = np.array([1.0, -2.0])
    by_default, spelled_out = w.copy(), w.copy()
    a = kind({"w": by_default})
    b = kind({"w": spelled_out}, **{name: torchs[name].default for name in ours})
    for g in (np.array([1e-9, 3.0]), np.array([-2e-9, 0.0]), np.array([0.0, 1.0])):
        a.step({"w": g})
        b.step({"w": g})
        assert by_default.tolist() == spelled_out.tolist()
    assert (by_default != w).all()


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (optim.Adam, {}),
        (optim.Adam, {"amsgrad": True}),
        (optim.AdamW, {}),
        (optim.AdamW, {"amsgrad": True}),
        (optim.RMSprop, {}),
        (optim.RMSprop, {"momentum": 0.5, "centered": True}),
        (optim.Adagrad, {"initial_accumulator_value": 0.5}),
        (optim.SGD, {}),
        (optim.SGD, {"momentum": 0.5}),
    ],
)
def test_the_state_is_torchs(kind: Any, settings: dict[str, Any]) -> None:
    ours = {"w": np.ones(3, np.float32)}
    theirs = [torch.ones(3)]
    optimizer = kind(ours, lr=0.1, **settings)
    reference = getattr(torch.optim, kind.__name__)(theirs, lr=0.1, **settings)
    for step in range(2):
        theirs[0].grad = torch.arange(3.0) - step
        reference.step()
        optimizer.step({"w": np.arange(3, dtype=np.float32) - step})
    expected = {key: value for key, value in reference.state[theirs[0]].items() if value is not None}
    state = optimizer.state.get("w", {})
    assert state.keys() == expected.keys()
    for key, value in state.items():
        assert (value.dtype, value.shape) == (expected[key].numpy().dtype, tuple(expected[key].shape))
        np.testing.assert_allclose(value, expected[key], rtol=1e-6)  # 16 roundings of float32


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
        (optim.Adam, {"weight_decay": 0.1, "amsgrad": True}),
        (optim.AdamW, {}),
        (optim.RMSprop, {"momentum": 0.9, "centered": True, "eps": 1.0}),
        (optim.Adagrad, {"lr_decay": 0.1}),
    ],
)
def test_several_parameters_are_updated_like_each_one_alone(kind: Any, settings: dict[str, Any]) -> None:
    generator = np.random.default_rng(0)
    shapes = {"a": ((2, 3), np.float32), "b": ((), np.float64), "c": ((4,), np.float32), "d": ((0,), np.float32)}
    w = {
        name: np.asarray(generator.standard_normal(shape)).astype(dtype) for name, (shape, dtype) in shapes.items()
    }
    together = {name: array.copy() for name, array in w.items()}
    optimizer = kind(together, **settings)
    alone = {name: kind({name: array}, **settings) for name, array in w.items()}
    for _ in range(20):
        names = generator.permutation([name for name in w if generator.random() < 0.8])
        gradients = {
            name: np.asarray(generator.standard_normal(w[name].shape)).astype(w[name].dtype) for name in names
        }
        optimizer.step(gradients)
        for name, gradient in gradients.items():
            alone[name].step({name: gradient})
        for name, array in w.items():
            np.testing.assert_array_equal(together[name], array)
            for key, state in alone[name].state.get(name, {}).items():
                np.testing.assert_array_equal(optimizer.state[name][key], state)


@pytest.mark.parametrize("kernels", range(1, 9))
def test_the_moments_are_aligned_to_cache_lines(kernels: int) -> None:
    w = np.ones((kernels, 9 * kernels), np.float32)
    optimizer = optim.Adam({"w": w})
    optimizer.step({"w": w})
    assert {array.ctypes.data % 64 for name, array in optimizer.state["w"].items() if name != "step"} == {0}
