"""Selecting numbers by a mask, without arithmetic on them: on their bits.

`np.where` and `np.copyto(where=)` decide element by element and take 3–4 ns each; integer operations on the bits
run through the vector unit in a tenth of that. A float product would not do: ∞ · 0 is NaN, and −1 · 0 is −0.0.
"""

import numpy as np

from numpy_cnn.ops.arguments import Array

INTEGERS = {2: np.int16, 4: np.int32, 8: np.int64}  # as wide as a float of so many bytes


def keep(x: Array, mask: Array) -> Array:
    """x where mask, else +0.0: the bits of x times 1 or 0, for +0.0 is the number without a bit set."""
    bits: Array = np.multiply(x.view(INTEGERS[x.itemsize]), mask)
    return bits.view(x.dtype)
