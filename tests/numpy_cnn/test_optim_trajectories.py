"""Every optimizer follows torch's for 60 steps with random options, and rejects what torch rejects."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from numpy_cnn import optim

STEPS = 60
OPTIONS: dict[str, dict[str, list[Any]]] = {
    "SGD": {"lr": [0.1, 0.01], "momentum": [0.0, 0.5, 0.9], "dampening": [0.0, 0.3], "nesterov": [False, True]},
    "Adam": {"lr": [0.1, 1e-3], "betas": [(0.9, 0.999), (0.5, 0.75), (0.0, 0.0)], "amsgrad": [False, True]},
    "AdamW": {"lr": [0.1, 1e-3], "betas": [(0.9, 0.999), (0.5, 0.75)], "amsgrad": [False, True]},
    # Centered, v − ḡ² may be 0 up to rounding: then ε has to be large enough to decide the quotient.
    "RMSprop": {"alpha": [0.99, 0.5], "eps": [1e-2, 1.0], "momentum": [0.0, 0.9], "centered": [False, True]},
    "Adagrad": {"lr": [0.1, 1e-3], "lr_decay": [0.0, 0.5], "initial_accumulator_value": [0.0, 0.5]},
}
REJECTED: list[tuple[str, dict[str, Any]]] = [
    *((name, {"lr": -0.1}) for name in OPTIONS),
    *((name, {"weight_decay": -0.1}) for name in OPTIONS),
    *((name, {"eps": -1e-8}) for name in ("Adam", "AdamW", "RMSprop", "Adagrad")),
    *((name, {"betas": betas}) for name in ("Adam", "AdamW") for betas in ((1.0, 0.9), (0.9, 1.0), (-0.1, 0.9))),
    ("SGD", {"momentum": -0.1}),
    ("SGD", {"nesterov": True}),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
    ("RMSprop", {"alpha": -0.1}),
    ("RMSprop", {"momentum": -0.1}),
    ("Adagrad", {"lr_decay": -0.1}),
    ("Adagrad", {"initial_accumulator_value": -0.1}),
]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", OPTIONS)
def test_60_steps_with_random_options(name: str, seed: int) -> None:
    draw, generator = random.Random(f"{name} {seed}"), np.random.default_rng(seed)
    common = {"weight_decay": [0.0, 0.1], "maximize": [False, True]}
    settings = {option: draw.choice(values) for option, values in (OPTIONS[name] | common).items()}
    if settings.get("nesterov"):
        settings |= {"momentum": 0.9, "dampening": 0.0}
    start = {
        "weight": generator.standard_normal((3, 4)),
        "bias": generator.standard_normal(3),
        "none": np.ones((0, 2)),
    }
    start["scale"] = np.asarray(generator.standard_normal())
    parameters = {key: array.copy() for key, array in start.items()}
    tensors = {key: torch.from_numpy(array.copy()).requires_grad_() for key, array in start.items()}
    ours = getattr(optim, name)(parameters, **settings)
    theirs = getattr(torch.optim, name)([*tensors.values()], **settings)
    for step in range(STEPS):
        ours.lr = theirs.param_groups[0]["lr"] = ours.lr * (0.98 if step % 7 else 1.1)  # varies like a schedule
        gradients: dict[str, Any] = {
            key: np.asarray(generator.standard_normal(array.shape)) for key, array in start.items()
        }
        if draw.random() < 0.2:
            gradients[draw.choice([*gradients])] = None
        for key, gradient in gradients.items():
            tensors[key].grad = None if gradient is None else torch.from_numpy(gradient)
        ours.step(gradients)
        theirs.step()
        for key, tensor in tensors.items():
            np.testing.assert_allclose(
                parameters[key], tensor.detach(), 1e-9, 1e-9, err_msg=f"step {step} {settings}"
            )


@pytest.mark.parametrize(("name", "settings"), REJECTED)
def test_settings_that_torch_rejects(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"[Ii]nvalid|Nesterov"):
        getattr(torch.optim, name)([torch.ones(1, requires_grad=True)], **settings)
    with pytest.raises(ValueError, match=rf"^{name}: "):
        getattr(optim, name)({"w": np.ones(1)}, **settings)
