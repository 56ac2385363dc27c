"""A measured bound for an op without a derived one.

The allowed error is measured for each case by running torch in float32 and in float64:

- torch's own error in float32, the largest over the entries of a quantity, at these inputs and at four neighbours
  (each entry times a factor between ¾ and 1¼), because the error of one run may be small by chance. Another order
  of the same operations has as many roundings. In float64 there is no more precise referee: its error is assumed
  to be the same times the ratio 2⁻²⁹ of the roundoffs.
- the change of the result when every input and dy moves by one roundoff, at random. An implementation whose result
  is exact for such inputs is backward stable.
- one roundoff of the largest entry, for results that happen to be exact.

In float64, results that cancel to 0 cannot be measured: at least 2⁻⁴⁰ of the largest entry, or of dy, is allowed.
A mistake is far larger, because it does not shrink with the precision.

The largest of these, times SLACK, is allowed in every entry: normwise, because the measured error of a single
entry is random. So this bound is less sharp than a derived one: it detects a relative error of 1e-4 in an entry
as large as the largest, but not in an entry a hundred times smaller.
"""

from typing import Any

import numpy as np

from parity.bounds.derived import BoundInputs, ErrorBounds
from parity.cases.op import Array

# For other formulas of gelu, silu, softplus, layer_norm, logsumexp, matmul, normalize and cumsum in NumPy (700
# cases each) the float32 error was at most 11 times the largest of the measures, and at most 3 times except for
# layer_norm. A factor above 64 indicates cancellation, such as tanh by (e²ˣ − 1)/(e²ˣ + 1) near 0.
SLACK = 64.0
PERTURBATIONS, NEIGHBOURS = 3, 4
SINGLE, IN_DOUBLE = 2.0**-24, 2.0**-40


def measured(s: BoundInputs) -> ErrorBounds:
    """The same error for every entry of a quantity."""
    y, pullback = s.op(*s.arrays, **s.options)
    truth = [y, *pullback(s.dy)]
    generator = np.random.default_rng(0)
    runs = [(s.arrays, s.dy, truth)]
    for _ in range(NEIGHBOURS):
        near, near_dy = [_moved(a, generator, 0.25) for a in s.arrays], _moved(s.dy, generator, 0.25)
        near = [_as(_as(a, np.float32), np.float64) for a in near]
        near_dy = near_dy.astype(np.float32).astype(np.float64)
        runs.append((tuple(near), near_dy, _run(s, near, near_dy, np.float64)))
    errors_of_torch = [
        _distances(_run(s, [_as(a, np.float32) for a in arrays], dy.astype(np.float32), np.float32), exact)
        for arrays, dy, exact in runs
    ]
    conditions = [
        _distances(_run(s, [_moved(a, generator) for a in s.arrays], _moved(s.dy, generator), np.float64), truth)
        for _ in range(PERTURBATIONS)
    ]
    allowed: list[Array | None] = []
    for place, exact in enumerate(truth):
        if exact is None:
            allowed.append(None)
            continue
        errors = [run[place] * (s.u / SINGLE) for run in (*errors_of_torch, *conditions)]
        largest = SLACK * max(*errors, s.u * _largest(exact), s.tiny)
        if s.u < SINGLE:
            largest = max(largest, IN_DOUBLE * _largest(exact), IN_DOUBLE * _largest(s.dy) if place else 0.0)
        allowed.append(np.full(exact.shape, largest))
    err_y = allowed[0]
    assert err_y is not None
    return err_y, tuple(allowed[1:])


def _run(s: BoundInputs, arrays: list[Array | None], dy: Array, kind: Any) -> list[Any]:
    options = {name: _as(value, kind) for name, value in s.options.items()}
    y, pullback = s.op(*arrays, **options)
    return [None if a is None else a.astype(np.float64) for a in (y, *pullback(dy))]


def _as(value: Any, kind: Any) -> Any:
    return value.astype(kind) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def _distances(run: list[Any], exact: list[Any]) -> list[float]:
    return [0.0 if b is None else _largest(a - b) for a, b in zip(run, exact, strict=True)]


def _moved(array: Array | None, generator: np.random.Generator, by: float | None = None) -> Any:
    """Each entry times 1 ± one roundoff, or times a factor up to 1 ± `by`."""
    if array is None or array.dtype.kind != "f":
        return array
    if by is None:
        return array * (1 + SINGLE * generator.choice([-1.0, 1.0], array.shape))
    return array * (1 + by * generator.uniform(-1, 1, array.shape))


def _largest(array: Array) -> float:
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max(initial=0.0))
