"""Interpolation: images resized."""

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import iadd

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent, flag
from numpy_cnn.ops.average_pooling import adaptive_avg_pool2d
from numpy_cnn.ops.fast.resampling import MODES, add_runs, output_sizes, smooth_taps, taps, weighted

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
        antialias:      all i with |i − t| < r · max(s, 1), w ∝ κ(|i − t| / max(s, 1)); r = 1 and κ(a) = 1 − a for
                        "bilinear", r = 2 and κ below, with −½ instead of −¾ as its slope at 1, for "bicubic"

    with t = (p + ½) · s − ½ (at least 0 for "linear"), or p · (L − 1) / (ol − 1) with align_corners; indices
    beyond the border are those of the border. (Where an axis keeps or doubles its length although the factor is
    another, torch's gradients of "bicubic", of "nearest" for 3 and 5 axes and with antialiasing differ from the
    gradients of its output.)
    κ(a) = 1.25 a³ − 2.25 a² + 1 for a ≤ 1, −0.75 (a³ − 5 a² + 8 a − 4) above.

    Args:
        input: x, (N, C, L), (N, C, H, W) or (N, C, D, H, W), as the mode allows.
        size: lengths of the output, one int or one per axis. Give either size or scale_factor.
        scale_factor: the output's length divided by the input's, one number or one per axis.
        mode: "nearest", "nearest-exact" and "area" (3 to 5 axes), "linear" (3), "bilinear" and "bicubic" (4),
            "trilinear" (5).
        align_corners: whether the centres of the corner pixels stay in place; for the linear modes and "bicubic"
            only. None for False.
        recompute_scale_factor: whether s is L / ol although scale_factor is given. None for False.
        antialias: whether an output of "bilinear" or "bicubic" averages all the inputs that it replaces.

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
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(
            f"interpolate: antialias applies to 'bilinear' and 'bicubic', got {antialias} for {mode!r}"
        )
    if recompute_scale_factor:
        if size is not None:
            raise ValueError(f"interpolate: recompute_scale_factor needs scale_factor, got size {size!r}")
        scales = [None] * len(scales)
    if mode == "area":
        return _area(x, sizes)
    aligned = align_corners is not None and flag("interpolate", "align_corners", align_corners)
    used = _used(scales, x.shape[2:], sizes, mode, antialias)
    kernels = smooth_taps if antialias else taps
    along = [kernels(*of, mode, aligned) for of in zip(x.shape[2:], sizes, used, strict=True)]
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


def _used(
    scales: list[float | None], lengths: Sequence[int], sizes: list[int], mode: str, antialias: bool
) -> Iterator[float | None]:
    """The scale factors that determine positions; None for L / ol.

    In the linear modes and with antialiasing, torch's outputs ignore the factor along an axis that keeps its
    length. In mode "nearest", those of images do so, also along an axis that doubles its length.
    """
    for factor, length, size in zip(scales, lengths, sizes, strict=True):
        kept = length == size and (mode in ("linear", "bilinear", "trilinear") or antialias)
        copied = mode == "nearest" and len(sizes) == 2 and size in (length, 2 * length)
        yield None if kept or copied else factor


def _area(x: Array, sizes: list[int]) -> tuple[Array, Pullback]:
    """Means over all axes but the first two: of images, of rows, or of columns (D) and then of images."""
    if x.ndim == 4:
        return adaptive_avg_pool2d(x, (sizes[0], sizes[1]))
    if x.ndim == 3:
        y, image_pullback = adaptive_avg_pool2d(x[..., None, :], (1, sizes[0]))
        return y[..., 0, :], lambda dy: (image_pullback(_like(dy, y[..., 0, :])[..., None, :])[0][..., 0, :],)
    images, channels, depth, height, width = x.shape
    columns = x.reshape(images, channels, depth, height * width).swapaxes(2, 3)
    thin, column_pullback = _area(columns.reshape(images, channels * height * width, depth), sizes[:1])
    slices = thin.reshape(images, channels, height * width, sizes[0]).swapaxes(2, 3)
    y, slice_pullback = _area(slices.reshape(images, channels * sizes[0], height, width), sizes[1:])
    shape = images, channels, *sizes

    def pullback(dy: Array) -> tuple[Array]:
        u = slice_pullback(_like(dy, y.reshape(shape)).reshape(y.shape))[0]
        u = u.reshape(images, channels, sizes[0], height * width).swapaxes(2, 3)
        dx = column_pullback(u.reshape(thin.shape))[0].reshape(images, channels, height * width, depth)
        return (dx.swapaxes(2, 3).reshape(x.shape),)

    return y.reshape(shape), pullback


def _like(dy: Array, y: Array) -> Array:
    return cotangent("interpolate", dy, y)
