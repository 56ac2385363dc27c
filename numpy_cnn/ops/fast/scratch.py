"""Memory that does not have to be fetched anew."""

from typing import Any

import numpy as np

from numpy_cnn.arguments import Array

# At first the C library gives freed memory back to the system, and getting it again, page by page, takes longer
# than most ops do. How much it keeps instead follows the largest block that was ever freed, up to 32 MiB
# (mallopt(3), M_MMAP_THRESHOLD). This block is freed at once, and never touched, so it never takes room.
np.empty(31 << 20, np.uint8)


def aligned(size: int, dtype: np.dtype[Any]) -> Array:
    """Room for `size` numbers from a multiple of 64 bytes on, where a line of the cache begins.

    Elsewhere the vector unit takes two lines for every second of its loads, with AVX-512 for each.
    """
    room = np.empty(size * dtype.itemsize + 64, np.uint8)
    first = -room.ctypes.data % 64
    return room[first : first + size * dtype.itemsize].view(dtype)


class Room:
    """Room for one array after another: each overwrites the one before, and so they stay in the cache."""

    def __init__(self) -> None:
        self.last: Array | None = None

    def copy(self, view: Array) -> Array:
        """The numbers of `view`, contiguous, until the next are asked for."""
        if self.last is None or self.last.shape != view.shape:
            self.last = view.copy()
        else:
            np.copyto(self.last, view)
        return self.last
