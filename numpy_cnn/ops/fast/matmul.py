"""Matrix products in sizes that suit the cache and BLAS, and their scratch memory.

Three tricks:

1. *Blocks.* Work is cut into blocks of 2 MB (`cut`), so that what is copied is still in the cache when it is
   multiplied (K. Goto and R. van de Geijn, Anatomy of high-performance matrix multiplication, 2008).
2. *Scratch buffers.* Each block overwrites the memory of the previous one (`Scratch`). Buffers begin at a cache
   line (`aligned`).
3. *Pieces.* OpenBLAS multiplies small matrices in place and packs large ones first, so a wide product is cut
   into pieces below its limit (`multiply`, `add_products`).
"""

from functools import lru_cache
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array
from numpy_cnn.ops.fast.memory import keep_freed_memory

BYTES = 2 << 20  # per block: small enough to stay in the cache, large enough to make the cost of the calls small
SHORT = 64  # an output row with fewer positions (columns · images) is better joined with the next row

# The most multiplications in one product. With AVX-512, OpenBLAS reads the operands of such a product directly. It
# packs those of a larger one first, which costs a third of the time unless the matrices are large on all sides.
# Without AVX-512 it always packs, and pieces cost nothing.
SMALL = 1_000_000

# Whether the processor has AVX-512, for which OpenBLAS has these direct kernels. NumPy 2.4 renamed the feature.
_CONFIGURATION: Any = np.show_config(mode="dicts")
DIRECT = not {"AVX512_SKX", "X86_V4"}.isdisjoint(_CONFIGURATION["SIMD Extensions"]["found"])

# Above this result size the right factor is transposed in memory before the product.
TURNED = 1_200

# How many partial results are summed at once: more would leave the cache before they are summed.
SUMMED = 1 << 17

keep_freed_memory()


@lru_cache(maxsize=1024)
def cut(size: int, most: int) -> tuple[slice, ...]:
    """Slices that cover range(size), each at most `most` long (and at least 1), as even as possible."""
    step = -(-size // -(-size // max(1, most)))
    return tuple(slice(start, min(start + step, size)) for start in range(0, size, step))


def aligned(size: int, dtype: np.dtype[Any]) -> Array:
    """An uninitialised vector of `size` numbers that begins at a multiple of 64 bytes, a cache line.

    Without alignment every second vector load touches two cache lines; with AVX-512, every load.
    """
    memory = np.empty(size * dtype.itemsize + 64, np.uint8)
    first = -memory.ctypes.data % 64
    return memory[first : first + size * dtype.itemsize].view(dtype)


class Scratch:
    """A buffer that is reused for one array after another, so that it stays in the cache."""

    def __init__(self) -> None:
        self.last: Array | None = None

    def copy(self, view: Array) -> Array:
        """The numbers of `view`, contiguous; valid until the next call."""
        if self.last is None or self.last.shape != view.shape:
            self.last = view.copy()
        else:
            np.copyto(self.last, view)
        return self.last


def multiply(w: Array, patches: Array, out: Array) -> None:
    """out (…, O, positions) = w (…, O, k) · patches (…, k, positions)."""
    size = size_of_piece(patches.shape[-1], w.shape[-1] * w.shape[-2])
    np.matmul(w[..., None, :, :], _pieces(patches, size), out=_pieces(out, size))


def add_products(patches: Array, u: Array, to: Array) -> None:
    """to (groups, k, O) += Σ patches (groups, matrices, k, positions) · u (groups, matrices, O, positions)ᵀ."""
    result = to.shape[1] * to.shape[2]
    size = size_of_piece(patches.shape[3], result)
    step = max(1, SUMMED // result)
    for start in range(0, patches.shape[1], step):
        some = slice(start, start + step)
        right = _pieces(u[:, some], size).swapaxes(-1, -2)
        if result > TURNED and result * size <= SMALL:
            right = np.ascontiguousarray(right)
        to += (_pieces(patches[:, some], size) @ right).sum(axis=(1, 2))


def _pieces(a: Array, size: int) -> Array:
    """a (…, rows, positions) as (…, pieces, rows, size)."""
    if size == a.shape[-1]:
        return a[..., None, :, :]
    return a.reshape(*a.shape[:-1], a.shape[-1] // size, size).swapaxes(-2, -3)


@lru_cache(maxsize=1024)
def size_of_piece(positions: int, each: int) -> int:
    """Positions per piece, at `each` multiplications per position: as many as SMALL allows, or all.

    All pieces have the same size. Multiples of 64 fill the vector registers; below 32 a piece is not worth a call.
    """
    sizes = [positions // n for n in range(1, positions // 32 + 1) if positions % n == 0]
    small = [size for size in sizes if size * each <= SMALL]
    return max(small, key=lambda size: (size % 64 == 0, size), default=max(positions, 1))
