"""Interpolation: images resized."""

from collections.abc import Sequence
from functools import reduce
from operator import iadd
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent, flag
from numpy_cnn.ops.average_pooling import adaptive_avg_pool2d
from numpy_cnn.ops.fast.resampling import MODES, add_runs, output_sizes, taps, weighted

__all__ = ["interpolate"]


def interpolate(
    input: Array,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> tuple[Array, Pullback]:
    """Resize images, as `torch.nn.functional.interpolate`.

        y[p] = Σ_k w[p,k] · x[i[p,k]]        dx[h] = Σ_{p,k} w[p,k] · dy[p] over i[p,k] = h        along each axis

        nearest:        i = ⌊p · s⌋, w = 1                         with s = L / ol, or 1 / scale_factor
        nearest-exact:  i = ⌊(p + ½) · s⌋, w = 1
        linear:         i = ⌊t⌋, ⌊t⌋ + 1, w = 1 − λ, λ             with λ = t − ⌊t⌋
        cubic:          i = ⌊t⌋ − 1 … ⌊t⌋ + 2, w = κ(λ + 1), κ(λ), κ(1 − λ), κ(2 − λ)
        area:           `adaptive_avg_pool2d`

    with t = (p + ½) · s − ½ (at least 0 for "linear"), or p · (L − 1) / (ol − 1) with align_corners; indices
    beyond the border are those of the border.
    κ(a) = 1.25 a³ − 2.25 a² + 1 for a ≤ 1, −0.75 (a³ − 5 a² + 8 a − 4) above.

    Args:
        input: x, (N, C, L), (N, C, H, W) or (N, C, D, H, W), as the mode allows.
        size: lengths of the output, one int or one per axis. Give either size or scale_factor.
        scale_factor: the output's length divided by the input's, one number or one per axis.
        mode: "nearest" and "nearest-exact" (3 to 5 axes), "area" (3 or 4), "linear" (3), "bilinear" and "bicubic"
            (4), "trilinear" (5).
        align_corners: whether the centres of the corner pixels stay in place; for the linear modes and "bicubic"
            only. None for False.
        recompute_scale_factor: whether s is L / ol although scale_factor is given. None for False.
        antialias: must be False.

    Returns:
        y (N, C, …) in the new size, and the pullback dy → (dx,).

    Raises:
        ValueError: shapes, dtype or options are invalid.

    Source: W. Press et al., Numerical recipes (2007), section 3.6, and R. Keys, Cubic convolution interpolation
    for digital image processing (1981), for the formulas; the positions are torch's.
    """
    check_floats("interpolate", input=input)
    x = input
    if mode not in MODES or x.ndim not in MODES[mode]:
        raise ValueError(
            f"interpolate: the modes and their numbers of axes are {MODES}, got {mode!r} for {x.shape}"
        )
    if mode in ("nearest", "nearest-exact", "area") and align_corners is not None:
        raise ValueError(f"interpolate: align_corners does not apply to mode {mode!r}, got {align_corners}")
    if min(x.shape[1:]) < 1:
        raise ValueError(f"interpolate: the input has no pixels: {x.shape}")
    sizes, scales = output_sizes(x.shape[2:], size, scale_factor)
    if antialias:
        raise ValueError(f"interpolate: antialias is not supported, got {antialias}")
    if recompute_scale_factor:
        if size is not None:
            raise ValueError(f"interpolate: recompute_scale_factor needs scale_factor, got size {size!r}")
        scales = [None] * len(scales)
    if mode == "area":
        return _area(x, sizes)
    aligned = align_corners is not None and flag("interpolate", "align_corners", align_corners)
    along = [taps(*given, mode, aligned) for given in zip(x.shape[2:], sizes, scales, strict=True)]
    axes = list(zip(range(2, x.ndim), along, strict=True))

    y = x
    with np.errstate(invalid="ignore"):  # 0 · ∞ is NaN as in torch, so do not warn
        for axis, of in reversed(axes):  # the last axis, element by element, while the array is small
            y = reduce(iadd, (weighted(y, *tap, axis) for tap in zip(*of, strict=True)))

    def pullback(dy: Array) -> tuple[Array]:
        u = cotangent("interpolate", dy, y)
        with np.errstate(invalid="ignore"):
            for axis, of in axes:
                dx = np.zeros((*u.shape[:axis], x.shape[axis], *u.shape[axis + 1 :]), dtype=x.dtype)
                for index, weight in zip(*of, strict=True):
                    add_runs(u, weight, index, axis, to=dx)
                u = dx
        return (u,)

    return y, pullback


def _area(x: Array, sizes: list[int]) -> tuple[Array, Pullback]:
    if x.ndim == 4:
        return adaptive_avg_pool2d(x, (sizes[0], sizes[1]))
    y, row_pullback = adaptive_avg_pool2d(x[..., None, :], (1, sizes[0]))
    y = y[..., 0, :]

    def pullback(dy: Any) -> tuple[Array]:
        return (row_pullback(cotangent("interpolate", dy, y)[..., None, :])[0][..., 0, :],)

    return y, pullback
