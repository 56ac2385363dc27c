"""Sums over several axes, accurate and fast.

NumPy adds up neighbouring numbers pairwise: the rounding error grows with log n, not with n. That takes a quarter
of the time of a sum in double precision, for which every number is converted. So contiguous numbers are summed
in the array's own precision, in one long run, and the partial sums are added in double precision.

The sum of a product is a BLAS dot product, which reads both factors once and writes nothing. It adds up in several
lanes but not pairwise, so it is cut into runs of at most `RUN` numbers. Rows of a matrix are added up by einsum,
without an array of their products, and cut likewise.

Source: N. Higham, The accuracy of floating point summation (1993).
"""

import math

import numpy as np

from numpy_cnn.arguments import Array

RUN = 4096
COLUMNS = 16


def total(x: Array, axes: tuple[int, ...]) -> Array:
    """Σ x over the axes, which keep the length 1, in double precision."""
    outer = x.ndim - len(axes)
    if x.flags.c_contiguous and axes == tuple(range(outer, x.ndim)):  # the common case: one run per result
        runs = x.reshape(*x.shape[:outer], math.prod(x.shape[outer:])).sum(axis=-1)
        return np.asarray(runs).astype(np.float64).reshape(*x.shape[:outer], *(1,) * len(axes))
    if _leading(x, axes):
        return _over_rows("rc->c", x, axes)
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))  # as in memory
    outer = x.ndim
    while outer and order[outer - 1] in axes:
        outer -= 1
    memory = x.transpose(order)
    if outer < x.ndim and memory.flags.c_contiguous:
        run = memory.reshape(*memory.shape[:outer], math.prod(memory.shape[outer:])).sum(axis=-1, keepdims=True)
        x = run.reshape(*run.shape[:outer], *(1,) * (x.ndim - outer)).transpose(np.argsort(order))
    return np.asarray(x.sum(axis=axes, keepdims=True, dtype=np.float64))


def total_product(a: Array, b: Array, axes: tuple[int, ...]) -> Array:
    """Σ a · b over the axes, which keep the length 1, in double precision; a and b have the same shape."""
    if _leading(a, axes) and b.flags.c_contiguous:
        return _over_rows("rc,rc->c", a, axes, b)
    order = sorted(range(a.ndim), key=lambda axis: -abs(a.strides[axis]))  # as in memory
    left, right = a.transpose(order), b.transpose(order)
    outer = a.ndim
    while outer and order[outer - 1] in axes and math.prod(left.shape[outer - 1 :]) <= RUN:
        outer -= 1
    if outer == a.ndim or not (left.flags.c_contiguous and right.flags.c_contiguous):
        return total(a * b, axes)
    runs = *left.shape[:outer], math.prod(left.shape[outer:])
    sums: Array = np.vecdot(left.reshape(runs), right.reshape(runs))
    sums = sums.reshape(*runs[:-1], *(1,) * (a.ndim - outer)).transpose(np.argsort(order))
    return np.asarray(sums.sum(axis=axes, keepdims=True, dtype=np.float64))


def _leading(x: Array, axes: tuple[int, ...]) -> bool:
    """Whether the sum is over whole rows of a matrix, with columns enough for vector instructions."""
    return x.flags.c_contiguous and axes == tuple(range(len(axes))) and math.prod(x.shape[len(axes) :]) >= COLUMNS


def _over_rows(formula: str, a: Array, axes: tuple[int, ...], *others: Array) -> Array:
    """Sum over the leading axes with einsum, at most `RUN` rows at a time."""
    rows, columns = math.prod(a.shape[: len(axes)]), math.prod(a.shape[len(axes) :])
    matrices = [x.reshape(rows, columns) for x in (a, *others)]
    found = np.zeros(columns)
    for start in range(0, rows, RUN):
        found += np.einsum(formula, *(m[start : start + RUN] for m in matrices))
    return found.reshape(*(1,) * len(axes), *a.shape[len(axes) :])
