"""Properties of the activations that their rows do not check: accuracy of Φ, special values, layouts, dtypes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F

from numpy_cnn import ops
from numpy_cnn.ops.fast import elementwise
from numpy_cnn.ops.fast.normal_tail import POWERS, SHIFT, normal_tail
from parity.bounds.derived import gamma

Array = npt.NDArray[Any]

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("relu", {}),
    ("leaky_relu", {"negative_slope": -0.25}),
    ("elu", {"alpha": 2.0}),
    ("sigmoid", {}),
    ("tanh", {}),
    ("silu", {}),
    ("softplus", {"beta": 2.0, "threshold": 3.0}),
    ("hardswish", {}),
    ("gelu", {}),
    ("gelu", {"approximate": "tanh"}),
]
SPECIAL = [0.0, -0.0, 1, -1, 3, -3, 3.5, 20, 21, -20, 100, -100, 1e4, -1e4, 1e30, -1e30, np.nan, -np.inf, 1e-30]
UPSTREAM = [1.0, -1.0, np.inf, 0.0, np.nan, -np.inf, 2.0, 0.5]


def by_torch(name: str, x: Array, dy: Array, options: dict[str, Any]) -> tuple[Array, Array]:
    tensor = torch.tensor(x, requires_grad=True)
    y = (getattr(F, name) if hasattr(F, name) else getattr(torch, name))(tensor, **options)
    (dx,) = torch.autograd.grad(y, tensor, torch.tensor(dy))
    return y.detach().numpy(), dx.numpy()


@pytest.mark.parametrize(("name", "options"), CALLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values_equal_torchs(name: str, options: dict[str, Any], dtype: str) -> None:
    """Inputs are tiled to 512 numbers, so that torch uses its vectorised kernels, not its scalar loops."""
    x, dy = (a.ravel().astype(dtype) for a in np.meshgrid(SPECIAL, UPSTREAM))
    x, dy = (np.resize(a, 512) for a in (x, dy))
    y, pullback = getattr(ops, name)(x, **options)
    for ours, theirs in zip((y, *pullback(dy)), by_torch(name, x, dy, options), strict=True):
        assert ours.dtype == dtype
        if name == "hardswish":  # torch's gradient at NaN depends on the number of elements; ours is NaN
            np.testing.assert_array_equal(np.isnan(ours[np.isnan(x)]), True)
            ours, theirs = ours[~np.isnan(x)], theirs[~np.isnan(x)]  # so NaN is left out
        np.testing.assert_allclose(ours, theirs, rtol=0 if name == "relu" else 1e-5, atol=1e-6)
        zeros = (ours == 0) & (theirs == 0)
        np.testing.assert_array_equal(np.signbit(ours[zeros]), np.signbit(theirs[zeros]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_at_infinity_gelu_is_its_limit(dtype: str) -> None:
    y, pullback = ops.gelu(np.array([np.inf], dtype))  # torch returns NaN in float32 and ∞ in float64
    assert y[0] == np.inf
    assert np.isnan(pullback(np.ones(1))[0][0])  # ∞ · φ(∞) is ∞ · 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_normal_tail_is_accurate_relative_to_its_own_size(dtype: Any) -> None:
    x = np.concatenate([np.linspace(0, 12, 4001), np.geomspace(1e-30, 1e-3, 50)]).astype(dtype)
    density = np.empty_like(x)
    tail = normal_tail(x, density)
    right = np.array([0.5 * math.erfc(float(a) / math.sqrt(2)) for a in x])
    u = float(np.finfo(dtype).eps) / 2
    # One rounding of x² multiplies the exponent. r has 2, and Horner's rule 4 per term with that of r, on numbers
    # whose sum exceeds G by `growth`; exp and the other steps have 8; the polynomial adds 5·10⁻⁹ or 3·10⁻¹⁷.
    # The argument of erfc has 2 roundings in double precision, which its square doubles.
    r = 1 / (np.float64(x) + SHIFT)
    powers = POWERS[np.dtype(dtype)]
    growth = np.polyval(np.abs(powers), r) / np.polyval(powers, r)
    allowed = gamma(np.float64(x) ** 2 / 2 + growth * 4 * len(powers) + 8, u)
    allowed += (5e-9 if dtype == np.float32 else 3e-17) + gamma(
        4 * np.float64(x) ** 2 / 2, np.finfo(float).eps / 2
    )
    assert (np.abs(tail - right) <= allowed * right).all()
    np.testing.assert_allclose(density, np.exp(-(np.float64(x) ** 2) / 2), rtol=float(gamma(144 / 2 + 4, u)))


@pytest.mark.parametrize(("name", "options"), CALLS)
@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
def test_results_do_not_depend_on_layout_or_pieces(
    name: str, options: dict[str, Any], piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(0).standard_normal
    x, dy = draw((3, 4, 5)), draw((3, 4, 5))
    expected, expected_pullback = getattr(ops, name)(x, **options)
    monkeypatch.setattr(elementwise, "PIECE", piece)
    for order in [(0, 1, 2), (2, 0, 1), (1, 2, 0)]:
        laid = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
        for variant in (laid, laid[::1, ::-1][:, ::-1]):
            y, pullback = getattr(ops, name)(variant, **options)
            assert y.strides == laid.strides
            np.testing.assert_allclose(y, expected, rtol=1e-15)  # a vector loop and its remainder may differ
            np.testing.assert_allclose(pullback(dy)[0], expected_pullback(dy)[0], rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize(("name", "options"), CALLS)
@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2,)])
def test_dtype_and_shape_are_kept(name: str, options: dict[str, Any], dtype: str, shape: tuple[int, ...]) -> None:
    x = np.full(shape, 0.5, dtype)
    y, pullback = getattr(ops, name)(x, **options)
    (dx,) = pullback(np.ones(shape, dtype))
    assert (y.dtype, y.shape, dx.dtype, dx.shape) == (x.dtype, shape, x.dtype, shape)
    right, right_dx = by_torch(name, np.full(shape, 0.5), np.ones(shape), options)
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(y, right, rtol=4 * eps)
    np.testing.assert_allclose(dx, right_dx, rtol=8 * eps)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("leaky_relu", {"negative_slope": "0.1"}, "leaky_relu: negative_slope must be a number, got '0.1'"),
        ("elu", {"alpha": None}, "elu: alpha must be a number, got None"),
        ("softplus", {"beta": None}, "softplus: beta must be a number, got None"),
        ("softplus", {"threshold": [1]}, "softplus: threshold must be a number, got [1]"),
        ("gelu", {"approximate": "erf"}, "gelu: approximate must be 'none' or 'tanh', got 'erf'"),
    ],
)
def test_options_out_of_range(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: ") as error:
        getattr(ops, name)(np.ones(2), **options)
    assert str(error.value) == message


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "elu", "softplus", "silu"])
def test_smooth_activations_neither_modify_arguments_nor_share_memory(name: str) -> None:
    x, dy = np.linspace(-3, 3, 8), np.ones(8)
    before = x.copy()
    y, pullback = getattr(ops, name)(x)
    kept = y.copy()
    first, second = pullback(dy)[0], pullback(dy)[0]
    assert not any(np.shares_memory(a, b) for a, b in ((x, y), (y, first), (first, second), (dy, first)))
    for array, same in ((x, before), (y, kept), (dy, np.ones(8)), (first, second)):
        np.testing.assert_array_equal(array, same)
