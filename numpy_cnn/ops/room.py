"""Memory that does not have to be fetched anew."""

import math

import numpy as np
import numpy.typing as npt

from numpy_cnn.ops.arguments import Array

# At first the C library gives freed memory back to the system, and getting it again, page by page, takes longer
# than most ops do. How much it keeps instead follows the largest block that was ever freed, up to 32 MiB
# (mallopt(3), M_MMAP_THRESHOLD). This block is freed at once, and never touched, so it never takes room.
np.empty(31 << 20, np.uint8)


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
