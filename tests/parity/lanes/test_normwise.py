"""A convolution by FFT or Winograd's algorithm gets a note; a wrong or less precise one fails."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from numpy_cnn import ops

HOW: Any = {
    "examples": 20, "lanes": ["exact", "bound", "structure"],
    "supports": {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": False},
}  # fmt: skip
Correlate = Callable[[Any, Any], Any]


def by_fft(x: Any, w: Any) -> Any:
    """Σ_c x[n,c] ⋆ w[o,c] by FFT in the precision of x: complex64 for float32."""
    kind = np.complex64 if x.dtype == np.float32 else np.complex128
    size = x.shape[2:]
    of_x = np.fft.rfft2(x, size).astype(kind)
    of_w = np.fft.rfft2(w, size).astype(kind).conj()
    y = np.fft.irfft2(np.einsum("ncij,ocij->noij", of_x, of_w), size)
    return y[..., : size[0] - w.shape[2] + 1, : size[1] - w.shape[3] + 1].astype(x.dtype)


B = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])


def by_winograd(x: Any, w: Any) -> Any:
    """F(2×2,3×3): 16 products for four outputs of a 3×3 kernel instead of 36."""
    if w.shape[2:] != (3, 3):
        return by_fft(x, w)
    b, g, a = (m.astype(x.dtype) for m in (B, G, A))
    oh, ow = x.shape[2] - 2, x.shape[3] - 2
    x = np.pad(x, ((0, 0), (0, 0), (0, oh % 2), (0, ow % 2)))
    tiles = np.lib.stride_tricks.sliding_window_view(x, (4, 4), axis=(2, 3))[:, :, ::2, ::2]
    of_x, of_w = b @ tiles @ b.T, g @ w @ g.T
    y = a @ np.einsum("ncpqij,ocij->nopqij", of_x, of_w) @ a.T
    return y.swapaxes(3, 4).reshape(len(x), len(w), 2 * y.shape[2], 2 * y.shape[3])[:, :, :oh, :ow]


def conv(correlate: Correlate, off: float = 0.0) -> Any:
    def conv2d(x: Any, w: Any, b: Any = None) -> Any:
        y, pullback = ops.conv2d(x, w, b)
        y = correlate(x, w)
        if off:
            y[..., -1, -1] *= x.dtype.type(1 + off)

        def back(dy: Any) -> Any:
            _, dw, db = pullback(dy)
            edge = [(0, 0), (0, 0), *((k - 1, k - 1) for k in w.shape[2:])]
            return correlate(np.pad(dy, edge), w[..., ::-1, ::-1].swapaxes(0, 1)), dw, db

        return y, back

    return conv2d


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize("correlate", [by_fft, by_winograd])
def test_a_fast_algorithm_gets_a_note(correlate: Correlate) -> None:
    report = parity.check("conv2d", conv(correlate), **HOW)
    assert report.ok, f"\n{report}"
    assert {(note.quantity, note.verdict, note.aspect) for note in report.notes if note.aspect == "normwise"} == {
        ("output", "contract", "normwise"),
        ("grad_input", "contract", "normwise"),
    }
    assert not parity.check("conv2d", conv(correlate), strict=True, exitfirst=True, **HOW).ok


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize("off", [1e-3, 0.1])
def test_a_mistake_is_not_accepted_as_rounding(off: float) -> None:
    report = parity.check("conv2d", conv(by_fft, off), **HOW)
    assert {(f.quantity, f.verdict) for f in report.failures} == {("output", "wrong")}, f"\n{report}"


@pytest.mark.usefixtures("as_found")
def test_single_precision_in_double_is_wrong() -> None:
    def in_single(x: Any, w: Any) -> Any:
        return by_fft(x.astype(np.float32), w.astype(np.float32)).astype(x.dtype)

    report = parity.check("conv2d", conv(in_single), **HOW)
    assert {f.verdict for f in report.failures} == {"wrong"}


def strassen(a: Any, b: Any) -> Any:
    """One level: seven products of quarters instead of eight."""
    sizes = [size + size % 2 for size in (*a.shape, b.shape[1])]
    even_a, even_b = np.zeros(sizes[:2], a.dtype), np.zeros(sizes[1:], b.dtype)
    even_a[: a.shape[0], : a.shape[1]], even_b[: b.shape[0], : b.shape[1]] = a, b
    (a11, a12), (a21, a22) = (np.split(half, 2, axis=1) for half in np.split(even_a, 2))
    (b11, b12), (b21, b22) = (np.split(half, 2, axis=1) for half in np.split(even_b, 2))
    m1, m2, m3 = (a11 + a22) @ (b11 + b22), (a21 + a22) @ b11, a11 @ (b12 - b22)
    m4, m5 = a22 @ (b21 - b11), (a11 + a12) @ b22
    m6, m7 = (a21 - a11) @ (b11 + b12), (a12 - a22) @ (b21 + b22)
    product = np.block([[m1 + m4 - m5 + m7, m3 + m5], [m2 + m4, m1 - m2 + m3 + m6]])
    return product[: a.shape[0], : b.shape[1]]


def dense(off: float = 0.0) -> Any:
    """A dense layer by Strassen's algorithm; optionally one output is wrong by a small factor."""

    def linear(x: Any, weight: Any, bias: Any = None) -> Any:
        _, pullback = ops.linear(x, weight, bias)
        rows = x.reshape(-1, x.shape[-1])
        y = strassen(rows, weight.T).reshape(*x.shape[:-1], len(weight))
        y[..., -1:] *= y.dtype.type(1 + off)
        return (y if bias is None else y + bias), lambda dy: (
            strassen(dy.reshape(-1, dy.shape[-1]), weight).reshape(x.shape),
            *pullback(dy)[1:],
        )

    return linear


def box(x: Any, kernel: Any, step: Any) -> Any:
    """The sums of all windows, by differences of running sums."""
    sums = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(1, 0), (1, 0)]).cumsum(-2).cumsum(-1)
    rows = (sums[..., kernel[0] :, :] - sums[..., : -kernel[0], :])[..., :: step[0], :]
    return (rows[..., kernel[1] :] - rows[..., : -kernel[1]])[..., :: step[1]]


def averages(off: float = 0.0) -> Any:
    """Average pooling by running sums, forward and backward; optionally the output is wrong by a small factor."""

    def avg_pool2d(x: Any, kernel_size: Any, stride: Any = None) -> Any:
        kernel = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
        steps = kernel if stride is None else stride if isinstance(stride, tuple) else (stride, stride)
        size = x.dtype.type(kernel[0] * kernel[1])
        y = box(x, kernel, steps) / size

        def pullback(dy: Any) -> Any:
            apart = np.zeros(
                [*x.shape[:-2], *(n + k - 1 for n, k in zip(x.shape[-2:], kernel, strict=True))], x.dtype
            )
            inner = apart[..., kernel[0] - 1 :: steps[0], kernel[1] - 1 :: steps[1]]
            inner[..., : dy.shape[-2], : dy.shape[-1]] = dy / size
            return (box(apart, kernel, (1, 1)),)

        return y * x.dtype.type(1 + off), pullback

    return avg_pool2d


FAST = [("linear", dense), ("avg_pool2d", averages)]


@pytest.mark.parametrize(("name", "implementation"), FAST)
def test_strassen_and_running_sums_are_notes(name: str, implementation: Any) -> None:
    report = parity.check(name, implementation(), examples=150, lanes=["bound"])
    assert report.ok, report
    notes = {note.quantity: note.aspect for note in report.notes if not isinstance(note, str)}
    assert notes.keys() == {"output", "grad_input"}
    assert {*notes.values()} == {"normwise"}
    assert not parity.check(name, implementation(), examples=150, lanes=["bound"], strict=True).ok


@pytest.mark.parametrize(("name", "implementation"), FAST)
def test_a_wrong_fast_algorithm_is_not_excused(name: str, implementation: Any) -> None:
    report = parity.check(name, implementation(1e-3), examples=150)
    assert any(failure.quantity == "output" and failure.verdict == "wrong" for failure in report.failures)
