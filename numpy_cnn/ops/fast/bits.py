"""Selecting numbers by their bits, without arithmetic on them.

    select(x, mask) = x where mask, else +0.0        as integers: bits(x) & m, m = −1 where mask, else 0

`np.where` and `np.copyto(where=)` branch at every element, which takes 4–10 ns for an unpredictable mask; integer
operations on the bits are vectorized and take 0.1 ns each. A float product would be wrong: ∞ · 0 is NaN, and
−1 · 0 is −0.0.

Source: IEEE 754-2019, section 3.4: +0.0 has no bit set, −0.0 only the sign bit; H. Warren, Hacker's delight
(2013), section 2-20, for `merge`.
"""

from typing import Any

import numpy as np

from numpy_cnn.arguments import Array

# Integers as wide as a float of this many bytes.
INTEGERS: dict[int, np.dtype[Any]] = {2: np.dtype(np.int16), 4: np.dtype(np.int32), 8: np.dtype(np.int64)}


def spread_mask(mask: Array, itemsize: int) -> Array:
    """A bool mask as integers of that many bytes: −1, all of whose bits are 1, where it is true, else 0."""
    # As bytes first: NumPy multiplies or subtracts bools of another width through a buffer, five times slower.
    return np.negative(mask.view(np.int8)).astype(INTEGERS[itemsize])


def select(x: Array, mask: Array, out: Array | None = None) -> Array:
    """x where mask, else +0.0; written to `out`, an array of x's dtype, if given."""
    bits = INTEGERS[x.itemsize]
    ones = spread_mask(mask, x.itemsize)
    selected = np.bitwise_and(x.view(bits), ones, out=None if out is None else out.view(bits))
    return np.asarray(selected).view(x.dtype)  # without axes NumPy returns a scalar, which has no byte order


def merge(mask: Array, x: Array, other: Array, out: Array) -> Array:
    """x where mask, elsewhere `other`: other ^ ((x ^ other) & m), the bits of one or of the other."""
    bits = INTEGERS[x.itemsize]
    differ = np.bitwise_xor(x.view(bits), other.view(bits))
    differ &= spread_mask(mask, x.itemsize)
    np.bitwise_xor(other.view(bits), differ, out=out.view(bits))
    return out


def choose(mask: Array, chosen: float, other: float, dtype: np.dtype[Any]) -> Array:
    """`chosen` where mask, else `other`, as an array."""
    a, b = np.array([chosen, other], dtype).view(INTEGERS[dtype.itemsize])
    numbers = spread_mask(mask, dtype.itemsize)
    numbers &= a ^ b
    numbers ^= b
    return numbers.view(dtype)


def has_negative_zero(x: Array) -> bool:
    """Whether x contains −0.0, whose bits are those of the smallest integer."""
    bits = INTEGERS[x.itemsize].newbyteorder(x.dtype.byteorder)
    return x.size > 0 and bool(x.view(bits).min() == -(1 << (8 * x.itemsize - 1)))
