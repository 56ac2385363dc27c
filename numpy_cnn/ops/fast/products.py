"""Products of matrices, in the sizes that BLAS is fast with."""

from functools import lru_cache

import numpy as np

from numpy_cnn.arguments import Array

# Multiplications of one product at most: with AVX-512 OpenBLAS takes so small a one straight from memory. A larger
# one it would rearrange first, which costs a third of the time unless the matrices are large on all sides. Without
# it all are rearranged, and pieces cost nothing.
SMALL = 1_000_000

# The numbers of the result at most, if one of the two is to be turned on the way.
TURNED = 1_200

# Numbers of results that are summed at once: more would not stay in the cache until they are.
SUMMED = 1 << 17


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
        turned = _pieces(u[:, some], size).swapaxes(-1, -2)
        if result > TURNED and result * size <= SMALL:
            turned = np.ascontiguousarray(turned)
        to += (_pieces(patches[:, some], size) @ turned).sum(axis=(1, 2))


def _pieces(a: Array, size: int) -> Array:
    """a (…, rows, positions) as (…, pieces, rows, size)."""
    if size == a.shape[-1]:
        return a[..., None, :, :]
    return a.reshape(*a.shape[:-1], a.shape[-1] // size, size).swapaxes(-2, -3)


@lru_cache(maxsize=1024)
def size_of_piece(positions: int, each: int) -> int:
    """Positions of a piece: as many as SMALL allows, `each` of them so many multiplications; or all.

    The pieces are equal. Multiples of 64 fill the vector unit's registers; below 32 a piece is not worth a call.
    """
    sizes = [positions // n for n in range(1, positions // 32 + 1) if positions % n == 0]
    small = [size for size in sizes if size * each <= SMALL]
    return max(small, key=lambda size: (size % 64 == 0, size), default=max(positions, 1))
