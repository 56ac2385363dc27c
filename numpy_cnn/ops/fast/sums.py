"""Sums over several axes, accurate and fast.

A sum in double precision converts every number. BLAS adds up in the array's own precision, in a tenth of the time,
as a product with ones or with weights: it reads both factors once and writes nothing. It adds in several lanes but
not pairwise, so the sums are cut into runs of at most `RUN` numbers, and added up in double precision. Rows of a
matrix are added up by einsum, without an array of their products, and cut likewise. Other sums are NumPy's,
pairwise over neighbouring numbers, so that the rounding error grows with log n.

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
    if x.flags.c_contiguous and axes == tuple(range(outer, x.ndim)) and x.dtype.itemsize > 2:  # the common case
        rows = x.reshape(math.prod(x.shape[:outer]), 1, math.prod(x.shape[outer:]))
        found = over_columns(rows, np.ones(rows.shape[1:], x.dtype))
        return found.reshape(*x.shape[:outer], *(1,) * len(axes))
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
