"""Sums over several axes, accurate and fast.

A sum in double precision converts every number. BLAS adds up in the array's own precision, in a tenth of the time,
as a product with ones or with weights: it reads both factors once and writes nothing. It adds in several lanes but
not pairwise, so the sums are cut into runs of at most `RUN` numbers, and added up in double precision. Other sums
are NumPy's, pairwise over neighbouring numbers, so that the rounding error grows with log n.

Source: N. Higham, The accuracy of floating point summation (1993).
"""

import math

import numpy as np

from numpy_cnn.arguments import Array

RUN = 4096


def total(x: Array, axes: tuple[int, ...]) -> Array:
    """Σ x over the axes, which keep the length 1, in double precision."""
    outer = x.ndim - len(axes)
    if x.flags.c_contiguous and x.dtype.itemsize > 2:  # BLAS has no half precision
        kept = tuple(1 if axis in axes else side for axis, side in enumerate(x.shape))
        if axes == tuple(range(outer, x.ndim)):
            rows = x.reshape(math.prod(x.shape[:outer]), 1, math.prod(x.shape[outer:]))
            return over_columns(rows, np.ones(rows.shape[1:], x.dtype)).reshape(kept)
        if axes == tuple(range(len(axes))):
            rows = x.reshape(math.prod(x.shape[: len(axes)]), 1, math.prod(x.shape[len(axes) :]))
            return over_rows(np.ones(rows.shape[:2], x.dtype), rows).reshape(kept)
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


def over_columns(a: Array, w: Array) -> Array:
    """Σ_k w[g,k] · a[r,g,k] as (r, g), by BLAS in runs of at most `RUN` numbers, added up in double precision."""
    rows, groups, columns = a.shape
    found = np.zeros((groups, rows))
    for start in range(0, columns, RUN):
        part = slice(start, start + RUN)
        found += np.matmul(a[..., part].swapaxes(0, 1), w[:, part, None])[..., 0]
    return found.T


def over_rows(w: Array, a: Array) -> Array:
    """Σ_r w[r,g] · a[r,g,k] as (g, k), likewise."""
    rows, groups, columns = a.shape
    found = np.zeros((groups, columns))
    for start in range(0, rows, RUN):
        part = slice(start, start + RUN)
        found += np.matmul(w[part].T[:, None], a[part].swapaxes(0, 1))[:, 0]
    return found
