"""Properties of the ops that rows do not check: single images, defaults, blocks, skipped gradients, warnings."""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from numpy_cnn import ops
from numpy_cnn.ops.batch_normalization import running_statistics
from parity.cases.case import ArraySpec, Case, Dtype, Lane
from parity.cases.inputs import inputs_of
from parity.cases.primitives import draw_plainly
from parity.cases.torch_op import own_kernels
from parity.rows.registry import ROWS
from parity.running.compare import differences_of
from parity.running.sandbox import sandboxed


def drawn(name: str, lane: Lane, count: int = 60) -> Iterator[Case]:
    """Cases of a row, identical in every run."""
    generator = random.Random(name)
    return (draw_plainly(ROWS[name].strategy(lane=lane), generator)[0] for _ in range(count))


@pytest.mark.parametrize("name", ["conv2d", "max_pool2d"])
def test_one_image_without_a_batch(name: str) -> None:
    for case in drawn(name, "exact"):
        image, *rest = case.arrays
        assert image.shape is not None
        alone = replace(case, arrays=(replace(image, shape=image.shape[1:]), *rest))
        with sandboxed(), own_kernels():
            for lane in ("exact", "structure"):
                assert not differences_of(ROWS[name], ROWS[name].op, lane, alone)[1], alone


NO_OPTIONS: dict[str, tuple[tuple[ArraySpec, ...], dict[str, Any]]] = {
    "conv2d": ((ArraySpec("input", (2, 2, 5, 6)), ArraySpec("weight", (3, 2, 3, 2)), ArraySpec("bias", (3,))), {}),
    "max_pool2d": ((ArraySpec("input", (2, 2, 5, 6)),), {"kernel_size": 2}),
    "flatten": ((ArraySpec("input", (2, 3, 4)),), {}),
    "nll_loss": ((ArraySpec("input", (4, 3), "log"), ArraySpec("target", (4,), "classes", 3)), {}),
    "mse_loss": ((ArraySpec("input", (4, 2)), ArraySpec("target", (4, 2))), {}),
}


@pytest.mark.parametrize("name", NO_OPTIONS)
def test_defaults_are_torchs(name: str) -> None:
    row = ROWS[name]
    assert not differences_of(row, row.op, "exact", Case(name, *NO_OPTIONS[name]))[1]


def test_the_default_momentum_is_torchs() -> None:
    x, mean, var = np.array([[1.0], [3.0]]), np.array([5.0]), np.array([7.0])
    momentum = inspect.signature(torch.nn.functional.batch_norm).parameters["momentum"].default
    spelled_out = running_statistics(x, mean, var, momentum)
    np.testing.assert_array_equal(running_statistics(x, mean, var), spelled_out)


@pytest.mark.parametrize("option", ["stride", "padding", "dilation"])
def test_a_tuple_of_one_stands_for_both(option: str) -> None:
    arrays, options = NO_OPTIONS["conv2d"]
    assert not differences_of(
        ROWS["conv2d"], ops.conv2d, "exact", Case("conv2d", arrays, options | {option: (2,)})
    )[1]


MODULES = [
    importlib.import_module(module.name) for module in pkgutil.walk_packages(ops.__path__, "numpy_cnn.ops.")
]
SIZES = [(m, name) for m in MODULES for name, value in vars(m).items() if name.isupper() and type(value) is int]
KEPT = [value for m in MODULES for value in vars(m).values() if hasattr(value, "cache_clear")]


@pytest.mark.parametrize("name", ["conv2d", "max_pool2d", "SimpleCNN"])
def test_results_do_not_depend_on_block_sizes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The integer constants of the ops are block sizes; small ones split even small cases into several blocks."""
    assert SIZES
    generator = random.Random(0)
    for case in drawn(name, "exact", 150):
        for module, constant in SIZES:
            monkeypatch.setattr(module, constant, generator.choice([1, 2, 3, 5, 50, 1000]))
        for function in KEPT:  # cached results depend on the sizes
            function.cache_clear()
        with sandboxed(), own_kernels():
            assert not differences_of(ROWS[name], ROWS[name].op, "exact", case)[1], case


LARGE: list[tuple[str, tuple[ArraySpec, ...], dict[str, Any]]] = [
    (
        "conv2d",
        (ArraySpec("input", (70, 4, 31, 30)), ArraySpec("weight", (6, 2, 3, 3)), ArraySpec("bias", (6,))),
        {"padding": 1, "groups": 2},
    ),
    (
        "conv2d",
        (ArraySpec("input", (30, 24, 20, 18)), ArraySpec("weight", (40, 24, 3, 3)), ArraySpec("bias", (40,))),
        {"padding": 1},  # forward and backward by rows
    ),
    (
        "conv2d",
        (ArraySpec("input", (64, 2, 6, 32)), ArraySpec("weight", (160, 1, 3, 3)), ArraySpec("bias", (160,))),
        {"groups": 2},  # a row of patches is multiplied in pieces
    ),
    (
        "conv2d",
        (ArraySpec("input", (20, 1, 16, 16)), ArraySpec("weight", (2, 1, 3, 3)), ArraySpec("bias", (2,))),
        {},  # 1 or 2 kB per image: `numpy_cnn.ops.fast.windows` transposes these in smaller groups
    ),
    ("max_pool2d", (ArraySpec("input", (70, 4, 31, 30)),), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("linear", (ArraySpec("input", (70, 300)), ArraySpec("weight", (200, 300)), ArraySpec("bias", (200,))), {}),
]


@pytest.mark.parametrize(("name", "arrays", "options"), LARGE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cases_with_several_blocks_of_the_default_size(
    name: str, arrays: tuple[ArraySpec, ...], options: dict[str, Any], dtype: Dtype
) -> None:
    with sandboxed(), own_kernels():
        assert not differences_of(ROWS[name], ROWS[name].op, "exact", Case(name, arrays, options, dtype, 4))[1]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_images_may_have_any_memory_order(order: tuple[int, ...]) -> None:
    draw = np.random.default_rng(0)
    x = draw.integers(-8, 9, (3, 12, 9, 8)).astype(np.float32)  # every sum is exact
    lying = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
    wide, small, single = (
        draw.integers(-8, 9, (4, 12 // groups, side, side)).astype(np.float32)
        for groups, side in [(1, 3), (4, 3), (1, 1)]
    )
    for op in (
        lambda x: ops.conv2d(x, wide),
        lambda x: ops.conv2d(x, small, groups=4, padding=1),
        lambda x: ops.conv2d(x, single),
        lambda x: ops.max_pool2d(x, 2),
    ):
        (y, pullback), (expected, expected_pullback) = op(lying), op(x)
        np.testing.assert_array_equal(y, expected)
        dy = draw.integers(-8, 9, y.shape).astype(np.float32)
        lying_dy = np.ascontiguousarray(dy.transpose(order)).transpose(np.argsort(order))
        for gradient, right in zip(pullback(lying_dy), expected_pullback(dy), strict=True):
            np.testing.assert_array_equal(gradient, right)


@pytest.mark.parametrize(("name", "whole_batch"), [("conv2d", True), ("conv2d", False), ("linear", True)])
def test_a_gradient_that_is_not_needed_is_none(name: str, whole_batch: bool) -> None:
    for case in drawn(name, "exact", 20):
        inputs = inputs_of(case, "exact", integer=True)
        x, *parameters = inputs.arrays
        assert x is not None
        y, pullback = ROWS[name].op(x if whole_batch else x[0], *parameters, **inputs.options)
        dy = inputs.cotangent(y)
        full = pullback(dy)
        for needs in itertools.product((True, False), repeat=3):
            for needed, gradient, expected in zip(needs, pullback(dy, needs_input_grad=needs), full, strict=True):
                np.testing.assert_array_equal(gradient, expected if needed else None)


INFINITE = np.array([[np.inf, 1.0, np.inf], [-np.inf, -np.inf, -np.inf], [np.nan, 0.0, 1.0]])
NOBODY = np.full(3, -100)


@pytest.mark.parametrize(
    ("name", "arrays", "options"),
    [
        ("softmax", (INFINITE,), {"dim": 1}),
        ("log_softmax", (INFINITE[:1],), {"dim": 1}),
        ("log_softmax", (np.zeros((2, 0)),), {"dim": 1}),
        ("nll_loss", (INFINITE[1:2, :2], NOBODY[:1]), {"reduction": "sum"}),
        ("nll_loss", (np.zeros((3, 2)), NOBODY), {}),
        ("nll_loss", (np.zeros((0, 2)), NOBODY[:0]), {}),
        ("cross_entropy", (np.zeros((3, 2)), NOBODY), {}),
        ("mse_loss", (np.zeros((0, 2)), np.zeros((0, 2))), {}),
        ("max_pool2d", (INFINITE[None], 2), {"stride": 1}),
        ("relu", (INFINITE,), {}),
        ("batch_norm", (INFINITE, None, None), {"training": True}),
        ("batch_norm", (INFINITE[:0], None, None), {"training": True}),
        ("batch_norm", (INFINITE[:1], INFINITE[0], np.ones(3)), {}),
    ],
)
@pytest.mark.parametrize("dy", [0.0, 1.0, np.inf, np.nan])
def test_nan_and_infinity_by_the_formula_give_no_warning(
    name: str, arrays: tuple[Any, ...], options: dict[str, Any], dy: float
) -> None:
    y, pullback = getattr(ops, name)(*arrays, **options)  # warnings are errors here
    pullback(np.full_like(y, dy))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("zeros", [(0.0, -0.0), (-0.0, 0.0)])
def test_pooling_returns_the_first_of_two_zeros_of_opposite_sign(zeros: tuple[float, float], dtype: str) -> None:
    y, _ = ops.max_pool2d(np.array([*zeros, -1.0, 2.0], dtype).reshape(1, 1, 1, 4), (1, 2))
    assert [*np.signbit(y[0, 0, 0])] == [np.signbit(zeros[0]), False]


def test_in_a_window_of_minus_infinities_the_first_pixel_receives_the_gradient_not_the_padding() -> None:
    x = np.full((1, 1, 2, 2), -np.inf)
    y, pullback = ops.max_pool2d(x, 2, stride=1, padding=1)
    np.testing.assert_array_equal(pullback(np.ones_like(y))[0][0, 0], [[4, 2], [2, 1]])


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_weights_of_one_change_nothing(reduction: Any) -> None:
    x, targets = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32), np.array([2, 0, 1, 1, 2])
    (y, pullback), (weighted, weighted_pullback) = (
        ops.cross_entropy(x, targets, weight, reduction=reduction) for weight in (None, np.ones(3, np.float32))
    )
    np.testing.assert_array_equal(y, weighted)
    dy = np.full_like(y, 0.5)
    np.testing.assert_array_equal(pullback(dy)[0], weighted_pullback(dy)[0])


def test_a_scalar_upstream_gradient_is_converted_to_the_outputs_dtype() -> None:
    x = np.ones((2, 3), np.float32)
    for gradient in ops.mse_loss(x, 0 * x)[1](0.5):  # type: ignore[arg-type]  # a loss's upstream may be a number
        assert gradient is not None
        assert gradient.dtype == np.float32


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
def test_every_float_of_at_most_64_bits_keeps_its_dtype(dtype: str) -> None:
    y, pullback = ops.relu(np.array([-1.0, 0.0, 2.0], dtype))
    (dx,) = pullback(np.array([3.0, 4.0, 5.0], dtype))
    assert (y.dtype, dx.dtype) == (np.dtype(dtype),) * 2
    assert (y.tolist(), dx.tolist()) == ([0, 0, 2], [0, 0, 5])
