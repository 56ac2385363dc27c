"""Generated networks: both sides agree, and a mistake in one layer is found and its layer named."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from numpy_cnn import ops
from parity.cases.primitives import draw_plainly
from parity.cases.torch_op import one_thread
from parity.diagnosis.first_layer import departs_first
from parity.lanes import bound, exact
from parity.lanes.reference import expect
from parity.rows.generated import ROWS, built

(NETWORK,) = ROWS
LAYERS = (
    ("conv1", "conv2d", {"padding": 1}),
    ("relu1", "relu", {}),
    ("block1", "residual", (("conv1", "conv2d", {"padding": 1}),)),
    ("pool1", "max_pool2d", {"kernel_size": 2}),
    ("linear1", "linear", {}),
)
SHAPES = {
    "conv1.weight": (2, 1, 3, 3), "conv1.bias": (2,), "block1.residual.conv1.weight": (2, 2, 3, 3),
    "block1.residual.conv1.bias": (2,), "linear1.weight": (2, 2), "linear1.bias": (2,),
}  # fmt: skip


@pytest.mark.parametrize("lane", ["exact", "bound"])
def test_both_sides_of_generated_networks_agree(lane: Any) -> None:
    generator, compare = random.Random(1), {"exact": exact, "bound": bound}[lane].compare
    with one_thread():
        for _ in range(5):
            case = draw_plainly(NETWORK.strategy(lane=lane), generator)[0]
            assert not compare(NETWORK, NETWORK.op, expect(NETWORK, case, lane))[1], case


def integers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 4, shape) * np.random.default_rng(seed).choice(
        [-1.0, 1.0], shape
    )


def without_bias(x: Any, weight: Any, bias: Any, **options: Any) -> Any:
    y, pullback = ops.conv2d(x, weight, None, **options)
    return y, lambda dy: (*pullback(dy)[:2], np.zeros_like(bias))


def passes_all(x: Any) -> Any:
    return ops.relu(x)[0], lambda dy: (dy,)


def bias_untrained(x: Any, weight: Any, bias: Any) -> Any:
    y, pullback = ops.linear(x, weight, bias)
    return y, lambda dy: (*pullback(dy)[:2], np.zeros_like(bias))


@pytest.mark.parametrize(
    ("other", "departure"),
    [
        ({}, None),
        ({"relu1": passes_all}, ("relu1", "grad_input")),
        ({"linear1": bias_untrained}, ("linear1", "grad_linear1.bias")),
        ({"conv1": without_bias}, ("conv1", "output")),
    ],
    ids=["right", "relu", "linear", "conv"],
)
def test_the_layer_that_departs_first_is_named(other: Any, departure: Any) -> None:
    parameters = {name: integers(shape, seed) for seed, (name, shape) in enumerate(SHAPES.items())}
    x = integers((2, 1, 4, 4), 7)
    y, _ = built(LAYERS)(x, *parameters.values())
    with one_thread():
        assert departs_first(LAYERS, x, parameters, integers(y.shape, 8), other) == departure
