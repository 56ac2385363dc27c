"""Derived elementwise bounds on the floating-point error of an op.

A sum of n rounded products differs, for any order of summation, by at most γₙ·Σ|x||w| from the exact one, where
γₙ = n·u/(1−n·u) and u is the unit roundoff (2⁻²⁴ in float32, 2⁻⁵³ in float64). Σ|x||w| is the op itself on the
absolute values, run in float64: one more call of the oracle is the whole bound.

Source: N. Higham, Accuracy and Stability of Numerical Algorithms (2nd ed., 2002), chapters 3 and 4.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from parity.cases.op import Array, Op


class BoundInputs(NamedTuple):
    """The inputs of a bound: torch's function, its arguments in float64, and the unit roundoff."""

    like: Callable[..., Any]
    op: Op  # the same in the form of an op
    arrays: tuple[Array | None, ...]
    options: dict[str, Any]
    dy: Array
    u: float
    tiny: float  # smallest normal number: below it results lose digits or are flushed to zero


# The error allowed in the output, and in the gradient of each positional array (None if it has none).
ErrorBounds: TypeAlias = tuple[Array, tuple[Array | None, ...]]
Bound: TypeAlias = Callable[[BoundInputs], ErrorBounds]

# exp and log are not correctly rounded. 4 units in the last place (8·u) are allowed for each call; over two
# million arguments the largest error was 3.4·u in NumPy's float32 exp. The error of torch's float32 sqrt was
# 1.5·u.
FUNCTION_ERROR = 8
SQRT_ERROR = 2


def gamma(n: Any, u: float) -> Any:
    """γₙ = n·u / (1 − n·u); elementwise if n is an array."""
    return n * u / (1 - n * u)


def copies(s: BoundInputs) -> ErrorBounds:
    """No error: for ops that only copy or select."""
    y, pullback = s.op(*s.arrays, **s.options)
    return np.zeros_like(y), tuple(None if g is None else np.zeros_like(g) for g in pullback(s.dy))


def bilinear(s: BoundInputs, lengths: Callable[[Array, Array], tuple[int, int, int]]) -> ErrorBounds:
    """For ops linear in the input and in the weight; `lengths` counts the terms of y, of dx, and of dw and db."""
    absolute = [None if array is None else np.abs(array) for array in s.arrays]
    y, pullback = s.op(*absolute, **s.options)
    weight = s.arrays[1]
    assert weight is not None
    terms_y, terms_dx, terms_dw = lengths(weight, y)
    gradients = zip((terms_dx, terms_dw, terms_dw), pullback(np.abs(s.dy)), strict=True)
    return gamma(terms_y, s.u) * y, tuple(None if g is None else gamma(n, s.u) * g for n, g in gradients)
