"""Memory for the blocks of one call."""

import math

import numpy as np
import numpy.typing as npt

from numpy_cnn.ops.arguments import Array


class Room:
    """Room for one array after another; each may overwrite the one before.

    A large array fresh from the system costs a page fault for every 4 kB, which is more than computing it. Blocks
    of one size share one array, which also stays in the cache. It lives as long as the call that made it.
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self.memory = np.empty(0, dtype)

    def __call__(self, *shape: int) -> Array:
        size = math.prod(shape)
        if self.memory.size < size:
            self.memory = np.empty(size, self.memory.dtype)
        return self.memory[:size].reshape(shape)
