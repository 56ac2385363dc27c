"""Normwise error bounds for convolutions by fast algorithms.

FFT and Winograd transform whole images. The rounding error of every entry is then as large as that of the largest
ones, so small entries exceed their elementwise bound γ·Σ|x||w| although the algorithm is correct. Both algorithms
satisfy a bound of the form

    |y − ŷ|[n,o] ≤ c · Σ_c ‖x[n,c]‖₂ · ‖w[o,c]‖₂

and the same with dy in place of x or w for the gradients. With the error of one FFT in the 2-norm,
f = t·η/(1 − t·η), where t = log₂ of the number of points and η = u + γ₄(√2 + u):

    c = 2f + √2·γ₂ + γ_C + f·√k         by FFT: two transforms, complex products, C sums, and the way back, where
                                        ‖x∗w‖₂ ≤ √k·‖x‖₂‖w‖₂ for the k terms of the shorter factor
    c = 18·γ₍₁₁₊C₎                       by Winograd's F(2×2,3×3): 9 products reach an output, the rows of B⊗B have
                                        the 2-norm 2 and those of G⊗G at most 1; 11 roundings and C sums

The larger of the two is allowed. It distinguishes wrong results from those of fast algorithms, which are notes and
fail with `--strict`.

Sources: N. Higham, Accuracy and Stability of Numerical Algorithms (2nd ed., 2002), sections 23.2 and 24.1;
A. Lavin and S. Gray, Fast algorithms for convolutional neural networks (2016).
"""

import math

import numpy as np

from parity.bounds.derived import gamma
from parity.cases.inputs import Inputs
from parity.cases.op import Array
from parity.cases.torch_op import oracle
from parity.rows.row import Row


def allowances(row: Row, inputs: Inputs, dy: Array, u: float) -> dict[str, Array]:
    """Return the error allowed in the output and in the gradients of input and weight; empty for other ops.

    Args:
        row: the op.
        inputs: its arrays and options.
        dy: the cotangent, in the shape of the output.
        u: unit roundoff.
    """
    if not row.bilinear or inputs.arrays[1] is None or inputs.arrays[1].ndim < 3:
        return {}
    x, w = (np.asarray(array, np.float64) for array in inputs.arrays[:2])
    options = {"groups": inputs.options.get("groups", 1)}
    y, pullback = oracle(row.like)(_norms(x), _norms(w), None, **options)
    dx, dw, _ = pullback(_norms(dy.astype(np.float64)))
    along = zip(x.shape[2:], dy.shape[2:], w.shape[2:], strict=True)
    points = sum(math.ceil(math.log2(2 * max(a, b) + k)) for a, b, k in along)
    taps, positions = math.prod(w.shape[2:]), min(math.prod(x.shape[2:]), math.prod(dy.shape[2:]))
    of_y, of_dx, of_dw = (
        max(w.shape[:2]),
        max(w.shape[:2]),
        len(x),
    )  # images or channels that are added up, at most
    return {
        "output": y * _factor(points, taps, of_y, u),
        "grad_input": dx * _factor(points, taps, of_dx, u),
        "grad_weight": dw * _factor(points, positions, of_dw, u),
    }


def _norms(array: Array) -> Array:
    """‖array[n,c]‖₂ as a one-pixel image."""
    axes = tuple(range(2, array.ndim))
    return np.asarray(np.sqrt((array**2).sum(axis=axes, keepdims=True)))


def _factor(points: int, shorter: int, summed: int, u: float) -> float:
    per_stage = u + gamma(4, u) * (math.sqrt(2) + u)
    transform = gamma(points, per_stage)
    by_fft = 2 * transform + math.sqrt(2) * gamma(2, u) + gamma(summed, u) + transform * math.sqrt(shorter)
    return float(max(by_fft, 18 * gamma(11 + summed, u)))
