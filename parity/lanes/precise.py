"""Results more precise than float64: the referee of float64 cases, run only on a failing case.

An op that is linear in each of its arrays has an exact result, an unevaluated sum of two float64 arrays. Every
array is cut into slices of so few bits that all products and all sums of products of two slices are exact in
float64, in whatever order they are added. torch's own function computes them, as in the exact lane, and the
results are added with TwoSum, which keeps the rounding error of an addition:

    x = Σ_k x_k, w = Σ_i w_i:   y = Σ_(k,i) op(x_k, w_i) + b

This takes 9 to 25 calls of torch. Other ops are computed as torch computes them, in extended precision and with a
bound of the remaining error; see `parity.bounds.extended`.

Sources: T. Ogita, S. Rump and S. Oishi, Accurate sum and dot product (2005), for TwoSum and for cutting a number
in two; K. Ozaki, T. Ogita, S. Oishi and S. Rump, Error-free transformations of matrix multiplication by using
fast routines of matrix multiplication (2012), for the slices.
"""

from typing import NamedTuple, TypeAlias

import numpy as np

from parity.bounds.derived import BoundInputs
from parity.bounds.extended import extended
from parity.bounds.with_error import NoRule
from parity.cases.inputs import Inputs
from parity.cases.op import Array, Op
from parity.rows.row import Row
from parity.subjects import Declined

DIGITS = 53  # significant bits of a float64
MOST = 8  # slices: more are needed only if the numbers of an array differ by many orders of magnitude


class Precise(NamedTuple):
    """high + low, which together have more digits than a float64."""

    high: Array
    low: Array
    error: Array | float = 0.0  # a bound on the distance to the exact result

    def within(self, other: Array, bound: Array) -> bool | None:
        """Whether all entries are within the bound around the exact result; None if the error may decide it."""
        with np.errstate(invalid="ignore"):
            distance = np.abs((other - self.high) - self.low)
            both_nan = np.isnan(other) & np.isnan(self.high)
            if ((distance <= bound - self.error) | (distance == 0) | both_nan | (other == self.high)).all():
                return True
            return False if (~(distance <= bound + self.error) & ~both_nan & (other != self.high)).any() else None


PreciseResults: TypeAlias = dict[str, Precise]


def precise_results(row: Row, like: Op, inputs: Inputs, dy: Array) -> PreciseResults | None:
    """The output and all gradients of a case in float64, or None if nothing more precise can be computed."""
    if row.bilinear:
        return exact_results(like, inputs, dy)
    kind = np.finfo(np.float64)
    s = BoundInputs(row.like, like, inputs.arrays, inputs.options, dy, float(kind.eps) / 2, float(kind.tiny))
    try:
        results, (error_y, errors) = extended(s)
    except (NoRule, Declined, RuntimeError, TypeError, ValueError, IndexError):
        return None  # torch rejects such tensors in some operation, by one of several exceptions
    names = ("output", *(f"grad_{name}" for name in inputs.names))
    found: PreciseResults = {}
    for name, value, error in zip(names, results, (error_y, *errors), strict=True):
        if value is not None and error is not None:
            high = value.astype(np.float64)
            with np.errstate(invalid="ignore"):
                found[name] = Precise(high, (value - high).astype(np.float64), error)
    return found


def exact_results(like: Op, inputs: Inputs, dy: Array) -> PreciseResults | None:
    """The output and all gradients, or None if the numbers do not fit into the slices.

    Args:
        like: torch's function as an op: of the input, the weight and the bias, and linear in each.
        inputs: the arrays and options, in float64.
        dy: the cotangent.
    """
    x, w, b = inputs.arrays
    assert x is not None
    assert w is not None
    bits = (DIGITS - 1 - int(1 + max(x.size, w.size, dy.size)).bit_length()) // 2
    cut = [slices(array, bits) for array in (x, w, dy)]
    if not all(np.isfinite(array).all() for array in (x, w, dy)) or max(map(len, cut)) > MOST:
        return None
    of_x, of_w, of_dy = cut
    zeros = None if b is None else np.zeros_like(b)
    sums: dict[str, list[Array]] = {f"grad_{name}": [] for name in inputs.names}
    outputs: list[Array] = []
    for i, w_i in enumerate(of_w):
        for k, x_k in enumerate(of_x):
            y, pullback = like(x_k, w_i, zeros, **inputs.options)
            outputs.append(y)
            # dx is linear in w and dy, dw in x and dy, and db in dy.
            needed = [k == 0, i == 0, b is not None and k == i == 0]
            for part in of_dy if any(needed) else ():
                for name, needs, gradient in zip(inputs.names, needed, pullback(part), strict=True):
                    if needs:
                        sums[f"grad_{name}"].append(gradient)
    if b is not None:
        outputs.append(like(np.zeros_like(x), np.zeros_like(w), b, **inputs.options)[0])
    return {"output": added(outputs)} | {name: added(parts) for name, parts in sums.items() if parts}


def slices(array: Array, bits: int) -> list[Array]:
    """Arrays whose sum is exactly `array`; the entries of each are multiples of a unit, below 2^bits units."""
    found, rest = list[Array](), array
    while len(found) <= MOST:
        largest = float(np.abs(rest).max(initial=0.0))
        if largest == 0.0 or not np.isfinite(largest):
            break
        # Adding and subtracting it rounds to multiples of 2^-bits of the power of two above `largest`.
        shift = 1.5 * 2.0 ** (np.frexp(largest)[1] + DIGITS - 1 - bits)
        found.append((rest + shift) - shift)
        rest = rest - found[-1]
    return found or [array]


def added(parts: list[Array]) -> Precise:
    """The sum of arrays by TwoSum: the rounding errors of the additions are summed separately."""
    high = low = np.zeros_like(parts[0])
    for part in parts:
        total = high + part
        back = total - high
        low = low + ((high - (total - back)) + (part - back))
        high = total
    return Precise(high, low)
