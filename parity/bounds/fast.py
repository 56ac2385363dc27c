"""Error bounds of fast algorithms, whose rounding errors depend on the norms of whole arrays.

FFT, Winograd, Strassen and running sums combine numbers that a result does not depend on. The rounding error of
every entry is then as large as that of the largest ones, so small entries exceed their elementwise bound γ·Σ|x||w|
although the algorithm is correct. It satisfies a bound with norms, which distinguishes wrong results from those of
fast algorithms; the latter are notes, and fail with `--strict`.

Sources: N. Higham, Accuracy and Stability of Numerical Algorithms (2nd ed., 2002), chapter 3, sections 23.2 and
24.1; A. Lavin and S. Gray, Fast algorithms for convolutional neural networks (2016).
"""

import math

import numpy as np

from parity.bounds.derived import BoundInputs, gamma
from parity.cases.op import Array

LEVELS = 4  # of Strassen's recursion, at most: larger products are split into larger blocks


def by_transforms(s: BoundInputs) -> dict[str, Array]:
    """The error of a convolution by FFT or Winograd's algorithm.

    Both satisfy |y − ŷ|[n,o] ≤ c · Σ_c ‖x[n,c]‖₂ · ‖w[o,c]‖₂, and the same with dy in place of x or w for the
    gradients. With the error of one FFT in the 2-norm, f = t·η/(1 − t·η), where t = log₂ of the number of points
    and η = u + γ₄(√2 + u):

        c = 2f + √2·γ₂ + γ_C + f·√k    by FFT: two transforms, complex products, C sums, and the way back, where
                                       ‖x∗w‖₂ ≤ √k·‖x‖₂‖w‖₂ for the k terms of the shorter factor
        c = 18·γ₍₁₁₊C₎                  by Winograd's F(2×2,3×3): 9 products reach an output, the rows of B⊗B
                                       have the 2-norm 2 and those of G⊗G at most 1; 11 roundings and C sums

    The larger of the two is allowed.
    """
    x, w = s.arrays[:2]
    assert x is not None
    assert w is not None
    options = {"groups": s.options.get("groups", 1)}
    y, pullback = s.op(_norms(x), _norms(w), None, **options)
    dx, dw, _ = pullback(_norms(s.dy))
    along = zip(x.shape[2:], s.dy.shape[2:], w.shape[2:], strict=True)
    points = sum(math.ceil(math.log2(2 * max(a, b) + k)) for a, b, k in along)
    taps, positions = math.prod(w.shape[2:]), min(math.prod(x.shape[2:]), math.prod(s.dy.shape[2:]))
    channels = max(w.shape[:2])  # added up in y and dx, at most; images in dw
    return {
        "output": y * _of_transforms(points, taps, channels, s.u),
        "grad_input": dx * _of_transforms(points, taps, channels, s.u),
        "grad_weight": dw * _of_transforms(points, positions, len(x), s.u),
    }


def _norms(array: Array) -> Array:
    """‖array[n,c]‖₂ as a one-pixel image."""
    axes = tuple(range(2, array.ndim))
    return np.asarray(np.sqrt((array**2).sum(axis=axes, keepdims=True)))


def _of_transforms(points: int, shorter: int, summed: int, u: float) -> float:
    per_stage = u + gamma(4, u) * (math.sqrt(2) + u)
    transform = gamma(points, per_stage)
    by_fft = 2 * transform + math.sqrt(2) * gamma(2, u) + gamma(summed, u) + transform * math.sqrt(shorter)
    return float(max(by_fft, 18 * gamma(11 + summed, u)))


def by_strassen(s: BoundInputs) -> dict[str, Array]:
    """The error of a matrix product by Strassen: ((n/m)^log₂12 · (m² + 5m) − 5n) · u · max|A| · max|B|.

    n is the largest of the three sizes, rounded up to a power of two, and m the size of the blocks that are
    multiplied directly.
    """
    x, w = s.arrays[:2]
    assert x is not None
    assert w is not None
    n = 2 ** math.ceil(math.log2(max(1, x.size // max(1, x.shape[-1]), *w.shape)))
    m = max(1, n // 2**LEVELS)
    factor = ((n / m) ** math.log2(12) * (m**2 + 5 * m) - 5 * n) * s.u
    of_x, of_w, of_dy = (float(np.abs(a).max(initial=0.0)) for a in (x, w, s.dy))
    return {
        "output": np.full(s.dy.shape, factor * of_x * of_w),
        "grad_input": np.full(x.shape, factor * of_dy * of_w),
        "grad_weight": np.full(w.shape, factor * of_dy * of_x),
    }


def by_running_sums(s: BoundInputs) -> dict[str, Array]:
    """The error of averages by differences of running sums (a summed-area table).

    A running sum over both axes adds at most h + w numbers in a row, and is at most Σ|x| of the plane; a window
    combines four of them and divides by its size. The gradient is a sum of dy over its size, in the same way, on a
    plane with a border: a window on each side.
    """
    (x,) = s.arrays
    assert x is not None
    share = _share_of_one(s, x)
    terms = sum(size + 2 * _length(s, x, axis) for axis, size in ((-2, x.shape[-2]), (-1, x.shape[-1])))
    factor = 4 * gamma(terms + 5, s.u)
    plane = np.abs(x).sum((-2, -1), keepdims=True)
    of_plane = np.abs(s.dy * share).sum((-2, -1), keepdims=True)
    return {
        "output": factor * plane * share,
        "grad_input": np.broadcast_to(factor * of_plane, x.shape),
    }


def _share_of_one(s: BoundInputs, x: Array) -> Array:
    """1/size of each window, from sums of its rows, its columns and all of its pixels: an average is linear.

    Lines as far apart as a window is long are summed at the same time: a window has at most one of them.
    """

    def largest(axis: int) -> Array:
        length = _length(s, x, axis)
        found = np.zeros(s.dy.shape)
        for place in range(min(length, x.shape[axis])):
            lines = np.zeros_like(x)
            np.moveaxis(lines, axis, 0)[place::length] = 1
            found = np.maximum(found, np.abs(s.op(lines, **s.options)[0]))
        return found

    everything = np.abs(s.op(np.ones_like(x), **s.options)[0])
    return np.asarray(largest(-2) * largest(-1) / np.where(everything == 0, 1, everything))


def _length(s: BoundInputs, x: Array, axis: int) -> int:
    """The largest number of pixels of a window along an axis."""
    kernel = s.options.get("kernel_size")
    if kernel is None:  # adaptive
        return 2 + int(x.shape[axis]) // max(1, int(s.dy.shape[axis]))
    return int(kernel if isinstance(kernel, int) else kernel[axis])
