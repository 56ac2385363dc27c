"""What the parity rows of the optimizers do not say: settings out of range, and who owns which array."""

from typing import Any

import numpy as np
import pytest

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
        (optim.AdamW, {"lr": -1.0}, "AdamW: lr"),
    ],
)
def test_settings_out_of_range(kind: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  # the message is looked at below
        kind({}, **settings)
    assert message in str(error.value)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW])
def test_parameters_change_in_place_and_gradients_do_not(kind: Any) -> None:
    w, still = np.ones((2, 2), np.float32), np.ones(3, np.float32)
    optimizer = kind({"w": w, "still": still}, lr=0.1)
    g = np.full((2, 2), 0.5, np.float32)
    for _ in range(2):
        optimizer.step({"w": g, "still": None})
    assert (w < 1).all()
    assert (g == 0.5).all()
    assert (still == 1).all()
    assert "still" not in optimizer.state
    assert w.dtype == np.float32


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_gradients_that_belong_to_nothing(kind: Any) -> None:
    optimizer = kind({"w": np.ones(2)})
    with pytest.raises(ValueError, match=r"'v'.*\['w'\]"):
        optimizer.step({"v": np.ones(2)})
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        optimizer.step({"w": np.ones(3)})


def test_the_momentum_buffer_is_not_the_first_gradient() -> None:
    g = np.ones(2)
    optimizer = optim.SGD({"w": np.zeros(2)}, lr=1.0, momentum=0.5)
    optimizer.step({"w": g})
    optimizer.step({"w": g})
    assert g.tolist() == [1.0, 1.0]
    assert optimizer.state["w"]["momentum_buffer"].tolist() == [1.5, 1.5]


def test_parameters_of_several_dtypes_and_counts_step_as_each_does_alone() -> None:
    """Adam keeps those that step together in one vector; who is absent now and then changes the company."""
    generator = np.random.default_rng(0)
    shapes = {"a": (2, 3), "b": (4,), "c": (1, 2), "d": ()}
    dtypes = {"a": np.float32, "b": np.float64, "c": np.float32, "d": np.float32}
    start = {name: np.asarray(generator.standard_normal(shape), dtypes[name]) for name, shape in shapes.items()}
    together = {name: w.copy() for name, w in start.items()}
    alone = {name: w.copy() for name, w in start.items()}
    joint = optim.Adam(together, lr=0.1, weight_decay=0.1, amsgrad=True)
    single = {name: optim.Adam({name: w}, lr=0.1, weight_decay=0.1, amsgrad=True) for name, w in alone.items()}
    for absent in ("", "a", "", "bc", "d", ""):
        gradients = {
            name: None if name in absent else np.asarray(generator.standard_normal(shape), dtypes[name])
            for name, shape in shapes.items()
        }
        joint.step(gradients)
        for name, gradient in gradients.items():
            single[name].step({name: gradient})
    for name in shapes:
        assert np.array_equal(together[name], alone[name])
        assert together[name].dtype == dtypes[name]
        assert joint.state[name].keys() == single[name].state[name].keys()
        for key, array in joint.state[name].items():
            assert np.array_equal(array, single[name].state[name][key])
            assert array.shape == single[name].state[name][key].shape
