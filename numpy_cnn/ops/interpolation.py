"""Interpolation: images resized."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent, real

__all__ = ["interpolate"]

MODES = {"nearest": (3, 4, 5), "linear": (3,), "bilinear": (4,)}  # how many axes the input of each may have


class _Line(NamedTuple):
    """Along one axis, output p is (1 − λ)·x[below[p]] + λ·x[above[p]]."""

    below: Array
    above: Array
    share: Array  # λ


def interpolate(
    input: Array,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> tuple[Array, Pullback]:
    """Resize images, as `torch.nn.functional.interpolate`.

        nearest:   y[p] = x[⌊p · s⌋]                                   with s = L / ol, or 1 / scale_factor
        bilinear:  y[p] = (1 − λ) · x[i] + λ · x[i + 1]                 with i = ⌊t⌋, λ = t − i, along both axes
                   t = max((p + ½) · s − ½, 0), or p · (L − 1) / (ol − 1) with align_corners
        dx[h] = Σ_p dy[p] · ∂y[p]/∂x[h]                                 the weight that x[h] has in y[p]

    Beyond the last pixel x[i + 1] is that pixel itself. "linear" is the same for sequences (N, C, L).

    Args:
        input: x, (N, C, L), (N, C, H, W) or (N, C, D, H, W), as the mode allows.
        size: lengths of the output, one int or one per axis. Give either size or scale_factor.
        scale_factor: how many times longer the output is, one number or one per axis.
        mode: "nearest", "linear" (3 axes) or "bilinear" (4 axes).
        align_corners: whether the centres of the corner pixels stay in place; not for "nearest". None for False.

    Returns:
        y (N, C, …) in the new size, and the pullback dy → (dx,).

    Raises:
        ValueError: shapes, dtype or options are invalid.

    Source: W. Press et al., Numerical recipes (2007), section 3.6, for the formula; the positions are torch's.
    """
    check_floats("interpolate", input=input)
    x = input
    if mode not in MODES or x.ndim not in MODES[mode]:
        raise ValueError(
            f"interpolate: the modes and their numbers of axes are {MODES}, got {mode!r} for {x.shape}"
        )
    if mode == "nearest" and align_corners is not None:
        raise ValueError(f"interpolate: align_corners does not apply to mode 'nearest', got {align_corners}")
    if min(x.shape[1:]) < 1:
        raise ValueError(f"interpolate: the input has no pixels: {x.shape}")
    sizes, scales = _sizes(x.shape[2:], size, scale_factor)
    axes = range(2, x.ndim)
    lines = [
        _line(x.shape[axis], *given, mode, bool(align_corners), x.dtype)
        for axis, given in zip(axes, zip(sizes, scales, strict=True), strict=True)
    ]

    def along(axis: int, share: Array) -> Array:
        return share.reshape(-1, *(1,) * (x.ndim - 1 - axis))

    y = x
    with np.errstate(invalid="ignore"):  # 0 · ∞ is NaN as in torch, so do not warn
        for axis, line in zip(axes, lines, strict=True):
            low = y.take(line.below, axis)
            if mode == "nearest":
                y = low
            else:
                share = along(axis, line.share)
                y = low * (1 - share) + y.take(line.above, axis) * share

    def pullback(dy: Array) -> tuple[Array]:
        u = cotangent("interpolate", dy, y)
        with np.errstate(invalid="ignore"):
            for axis, line in reversed(list(zip(axes, lines, strict=True))):
                share = along(axis, line.share)
                low, high = (u, None) if mode == "nearest" else (u * (1 - share), u * share)
                u = np.zeros((*u.shape[:axis], x.shape[axis], *u.shape[axis + 1 :]), dtype=x.dtype)
                to, low = np.moveaxis(u, axis, 0), np.moveaxis(low, axis, 0)
                for p, below in enumerate(line.below):
                    to[below] += low[p]
                if high is not None:
                    high = np.moveaxis(high, axis, 0)
                    for p, above in enumerate(line.above):
                        to[above] += high[p]
        return (u,)

    return y, pullback


def _sizes(
    shape: tuple[int, ...], size: int | Sequence[int] | None, scale_factor: float | Sequence[float] | None
) -> tuple[list[int], list[float | None]]:
    """The output's lengths, and the scale factors where those are given."""
    if (size is None) == (scale_factor is None):
        raise ValueError(f"interpolate: give size or scale_factor, got {size!r} and {scale_factor!r}")
    given: Any = size if scale_factor is None else scale_factor
    each = list(given) if isinstance(given, Sequence) else [given] * len(shape)
    if len(each) != len(shape):
        raise ValueError(f"interpolate: expected 1 number or {len(shape)}, one per axis, got {given!r}")
    scales: list[float | None] = [
        None if scale_factor is None else real("interpolate", "scale_factor", f) for f in each
    ]
    sizes = [
        int(n) if factor is None else math.floor(length * factor)
        for n, length, factor in zip(each, shape, scales, strict=True)
    ]
    if min(sizes) < 1:
        raise ValueError(f"interpolate: the output {tuple(sizes)} of {shape} would have no pixels")
    return sizes, scales


def _line(
    size: int, windows: int, factor: float | None, mode: str, align_corners: bool, dtype: np.dtype[Any]
) -> _Line:
    p = np.arange(windows)
    if mode == "nearest":
        # In single precision, as in torch: the last bit decides which way the floor goes.
        scale = np.float32(size) / np.float32(windows) if factor is None else np.float32(1 / factor)
        below = np.minimum(np.floor(p.astype(np.float32) * scale).astype(int), size - 1)
        return _Line(below, below, np.zeros(windows, dtype))
    if align_corners:
        t = p * ((size - 1) / (windows - 1) if windows > 1 else 0.0)
    else:
        t = np.maximum((p + 0.5) * (size / windows if factor is None else 1 / factor) - 0.5, 0)
    below = np.minimum(np.floor(t).astype(int), size - 1)
    return _Line(below, np.minimum(below + 1, size - 1), np.minimum(t - below, 1).astype(dtype))
