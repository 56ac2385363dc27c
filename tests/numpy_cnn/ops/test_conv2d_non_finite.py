"""NaN and ±∞ in conv2d reach exactly the results whose formula contains them, on every fast path."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F

from numpy_cnn import ops
from numpy_cnn.ops import convolution
from numpy_cnn.ops.fast import matmul, patches
from numpy_cnn.ops.fast import rows as by_rows
from parity.cases.torch_op import own_kernels
from parity.running.sandbox import sandboxed

Array = npt.NDArray[Any]


class Geometry(NamedTuple):
    """A convolution, and the fast path that computes its finite results."""

    path: str
    images: int
    channels: int
    size: tuple[int, int]
    kernels: int
    kernel: tuple[int, int]
    options: dict[str, Any]


GEOMETRIES = [
    Geometry("by_rows.correlate", 13, 16, (5, 5), 4, (3, 3), {"padding": 1}),
    Geometry("by_rows.correlate", 22, 11, (6, 3), 11, (2, 3), {"padding": (0, 1)}),
    Geometry("by_rows.correlate", 40, 24, (4, 4), 26, (3, 3), {"padding": 2, "dilation": 2, "groups": 2}),
    Geometry("by_rows.correlate", 70, 16, (1, 3), 4, (3, 3), {"padding": 1}),
    Geometry("by_rows.correlate", 70, 16, (2, 3), 3, (2, 3), {"padding": (3, 1)}),  # some windows are all padding
    Geometry("by_rows.correlate", 70, 16, (1, 3), 3, (2, 3), {"padding": (1, 1), "dilation": (2, 1)}),
    Geometry("patches._stacked", 12, 2, (6, 7), 3, (3, 3), {"padding": 1}),
    Geometry("patches._stacked", 20, 3, (9, 8), 4, (3, 2), {"padding": (1, 0), "stride": 2}),
    Geometry("patches._copied", 2, 2, (7, 6), 4, (3, 3), {"padding": 1, "groups": 2}),
    Geometry("patches._copied", 3, 2, (8, 8), 2, (2, 3), {"padding": 2, "stride": (3, 2), "dilation": (2, 1)}),
    Geometry("patches._copied", 2, 2, (5, 5), 2, (1, 1), {"padding": 1}),
    Geometry("conv_1x1", 3, 4, (5, 5), 6, (1, 1), {"groups": 2}),
]


@pytest.fixture(autouse=True)
def without_direct_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paths above are those of a processor without AVX-512, where more geometries use the path by rows."""
    monkeypatch.setattr(matmul, "DIRECT", False)


def by_formula(x: Array, w: Array, dy: Array, options: dict[str, Any]) -> tuple[Array, Array, Array]:
    """y, dx and dw by the formula, tap by tap."""
    sh, sw, ph, pw, dh, dw_ = (
        side
        for name, default in (("stride", 1), ("padding", 0), ("dilation", 1))
        for side in np.broadcast_to(options.get(name, default), 2)
    )
    groups = options.get("groups", 1)
    framed = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    y, dw, dframed = np.zeros(dy.shape), np.zeros(w.shape), np.zeros(framed.shape)
    for o, c, i, j in np.ndindex(*w.shape):
        k = c + o // (len(w) // groups) * w.shape[1]
        rows = slice(i * dh, i * dh + (dy.shape[2] - 1) * sh + 1, sh)
        columns = slice(j * dw_, j * dw_ + (dy.shape[3] - 1) * sw + 1, sw)
        seen = framed[:, k, rows, columns]
        y[:, o] += w[o, c, i, j] * seen
        dw[o, c, i, j] = (dy[:, o] * seen).sum()
        dframed[:, k, rows, columns] += w[o, c, i, j] * dy[:, o]
    return y, dframed[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]], dw


def arrays_of(geometry: Geometry) -> dict[str, Array]:
    draw = np.random.default_rng(0)

    def integers(*shape: int) -> Array:
        return draw.integers(1, 9, shape).astype(np.float32) * draw.choice([-1, 1], shape).astype(np.float32)

    x = integers(geometry.images, geometry.channels, *geometry.size)
    w = integers(geometry.kernels, geometry.channels // geometry.options.get("groups", 1), *geometry.kernel)
    y, _ = ops.conv2d(x, w, **geometry.options)
    return {"x": x, "w": w, "dy": integers(*y.shape)}


def kinds(a: Array) -> Array:
    """0 for finite numbers, 1 for NaN, 2 for ∞, 3 for −∞."""
    return np.select([np.isnan(a), a == np.inf, a == -np.inf], [1, 2, 3])


def calls_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list to which each call of a fast path appends its name."""
    called: list[str] = []

    def count(module: Any, function: str, name: str) -> None:
        original = getattr(module, function)
        monkeypatch.setattr(module, function, lambda *a, **k: (called.append(name), original(*a, **k))[1])

    count(by_rows, "correlate", "by_rows.correlate")
    count(patches, "_stacked", "patches._stacked")
    count(patches, "_copied", "patches._copied")
    count(convolution, "conv_1x1", "conv_1x1")
    return called


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_each_geometry_takes_its_path(geometry: Geometry, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays, called = arrays_of(geometry), calls_of(monkeypatch)
    ops.conv2d(arrays["x"], arrays["w"], **geometry.options)
    assert called == [geometry.path]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("name", ["x", "w", "dy"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_reaches_exactly_the_results_that_use_it(geometry: Geometry, name: str, value: float) -> None:
    arrays = arrays_of(geometry)
    *_, height, width = arrays[name].shape
    for h, v in product({0, height // 2, height - 1}, {0, width // 2, width - 1}):
        special = {n: a.copy() for n, a in arrays.items()}
        special[name][0, 0, h, v] = value
        with np.errstate(invalid="ignore"):
            expected = by_formula(*special.values(), geometry.options)
        y, pullback = ops.conv2d(special["x"], special["w"], **geometry.options)
        dx, dw, _ = pullback(special["dy"])
        for ours, right in zip((y, dx, dw), expected, strict=True):
            np.testing.assert_array_equal(kinds(ours), kinds(right))
            finite = np.isfinite(right)
            np.testing.assert_array_equal(ours[finite], right[finite])


@pytest.mark.parametrize("geometry", GEOMETRIES[:1])
@pytest.mark.parametrize("name", ["x", "w", "dy"])
def test_torchs_own_kernels_do_the_same(geometry: Geometry, name: str) -> None:
    arrays = arrays_of(geometry)
    arrays[name][0, 0, 0, 0] = np.inf
    x, w = (torch.tensor(arrays[n], requires_grad=True) for n in ("x", "w"))
    with sandboxed(), own_kernels():
        expected = F.conv2d(x, w, **geometry.options)
        gradients = torch.autograd.grad(expected, (x, w), torch.from_numpy(arrays["dy"]))
    y, pullback = ops.conv2d(arrays["x"], arrays["w"], **geometry.options)
    np.testing.assert_array_equal(y, expected.detach().numpy())
    for ours, their in zip(pullback(arrays["dy"]), gradients, strict=False):
        np.testing.assert_array_equal(ours, their.numpy())
