"""Running error analysis: numbers that carry a bound of their rounding error along.

Source: N. Higham, Accuracy and Stability of Numerical Algorithms (2nd ed., 2002), section 3.3.
"""

from dataclasses import dataclass

import numpy as np

from parity.bounds.derived import SQRT_ERROR
from parity.cases.torch_op import Array

# Each operation is allowed two roundings: implementations fold scalars together, or take them apart, in their own
# way (lr/(1−β₁ᵗ)·m or lr·(m/(1−β₁ᵗ))), and none of that is a mistake.
ROUNDINGS = 2


@dataclass(frozen=True)
class WithError:
    """A value computed in float64, and how far the same computation may be from it with roundoff u."""

    value: Array
    error: Array
    u: float

    @classmethod
    def exact(cls, value: Array, u: float) -> "WithError":
        """A value that both sides are given."""
        return cls(value, np.zeros_like(value), u)

    def __add__(self, other: "WithError | float") -> "WithError":
        b = self._lift(other)
        return self._rounded(self.value + b.value, self.error + b.error)

    def __sub__(self, other: "WithError | float") -> "WithError":
        b = self._lift(other)
        return self._rounded(self.value - b.value, self.error + b.error)

    def __mul__(self, other: "WithError | float") -> "WithError":
        b = self._lift(other)
        error = np.abs(self.value) * b.error + self.error * np.abs(b.value) + self.error * b.error
        return self._rounded(self.value * b.value, error)

    __rmul__ = __mul__

    def __truediv__(self, other: "WithError | float") -> "WithError":
        b = self._lift(other)
        with np.errstate(divide="ignore", invalid="ignore"):
            quotient = self.value / b.value
            room = (
                np.abs(b.value) - b.error
            )  # the divisor may be as small as this; none left: anything may come out
            error = np.where(room > 0, (self.error + np.abs(quotient) * b.error) / room, np.inf)
        return self._rounded(quotient, error)

    def sqrt(self) -> "WithError":
        """√, whose error is |√(a+e) − √a| ≤ min(e/√a, √e), and the function's own."""
        root = np.sqrt(self.value)
        with np.errstate(divide="ignore", invalid="ignore"):
            carried = np.where(root > 0, np.minimum(self.error / root, np.sqrt(self.error)), np.sqrt(self.error))
        return WithError(root, carried + SQRT_ERROR * self.u * (root + carried), self.u)

    def maximum(self, other: "WithError") -> "WithError":
        """The larger one: |max(a′, b′) − max(a, b)| is at most the larger error."""
        return WithError(np.maximum(self.value, other.value), np.maximum(self.error, other.error), self.u)

    def _lift(self, other: "WithError | float") -> "WithError":
        if isinstance(other, WithError):
            return other
        # A scalar is rounded to the arrays' precision before it is used.
        return WithError(np.asarray(other), np.asarray(self.u * abs(other)), self.u)

    def _rounded(self, value: Array, error: Array) -> "WithError":
        return WithError(value, error + ROUNDINGS * self.u * (np.abs(value) + error), self.u)
