"""Cutting work into blocks that stay in the cache."""

from functools import lru_cache

BYTES = 2 << 20  # of a block: it stays in the cache, and is large enough for the calls not to count
SHORT = 64  # positions of an output row, columns · images: so few are better joined with those of the next row


@lru_cache(maxsize=1024)
def cut(size: int, most: int) -> tuple[slice, ...]:
    """Slices that make up `size`, each of `most` at most but of one at least, as even as can be."""
    step = -(-size // -(-size // max(1, most)))
    return tuple(slice(start, min(start + step, size)) for start in range(0, size, step))
