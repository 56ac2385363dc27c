"""Products of matrices, in the sizes that BLAS is fast with."""

from functools import cache

import numpy as np

from numpy_cnn.ops.arguments import Array

# Multiplications of one product at most: OpenBLAS takes so small a one straight from memory. A larger one it would
# rearrange first, which costs a third of the time unless the matrices are large on all sides.
SMALL = 1_000_000

# The numbers of the result at most, if one of the two is to be turned on the way.
TURNED = 1_200


def multiply(w: Array, patches: Array, out: Array) -> None:
    """out (…, O, positions) = w (…, O, k) · patches (…, k, positions)."""
    size = size_of_piece(patches.shape[-1], w.shape[-1] * w.shape[-2])
    np.matmul(w[..., None, :, :], _pieces(patches, size), out=_pieces(out, size))


def multiply_transposed(patches: Array, u: Array) -> Array:
    """patches (…, k, positions) · u (…, O, positions)ᵀ, to be summed over the pieces: (…, pieces, k, O)."""
    result = patches.shape[-2] * u.shape[-2]
    size = size_of_piece(patches.shape[-1], result)
    turned = _pieces(u, size).swapaxes(-1, -2)
    if result > TURNED and result * size <= SMALL:
        turned = np.ascontiguousarray(turned)
    return _pieces(patches, size) @ turned


def _pieces(a: Array, size: int) -> Array:
    """a (…, rows, positions) as (…, pieces, rows, size)."""
    if size == a.shape[-1]:
        return a[..., None, :, :]
    return a.reshape(*a.shape[:-1], a.shape[-1] // size, size).swapaxes(-2, -3)


@cache
def size_of_piece(positions: int, each: int) -> int:
    """Positions of a piece: as many as SMALL allows, `each` of them so many multiplications; or all.

    The pieces are equal. Multiples of 64 fill the vector unit's registers; below 32 a piece is not worth a call.
    """
    sizes = [positions // n for n in range(1, positions // 32 + 1) if positions % n == 0]
    small = [size for size in sizes if size * each <= SMALL]
    return max(small, key=lambda size: (size % 64 == 0, size), default=max(positions, 1))
