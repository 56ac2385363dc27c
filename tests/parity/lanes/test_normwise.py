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
