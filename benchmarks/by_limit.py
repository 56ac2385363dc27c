"""The machine's limit: matrix products with the same number of multiplications, and one pass over the memory."""

from collections.abc import Callable

import numpy as np
from cases import Case, floats_moved, products

SIDE = 256  # of square matrices, three of which fit into the L2 cache, where a product is fastest


def prepare(workload: str, case: Case) -> Callable[[], object]:
    """The function to time."""
    draw = np.random.default_rng(0).random
    multiplications = sum(
        count * rows * summed * columns for count, rows, summed, columns in products(workload, case)
    )
    side = min(SIDE, round(multiplications ** (1 / 3)))
    left, right = draw((side, side), dtype=np.float32), draw((side, side), dtype=np.float32)
    out = np.empty_like(left)
    source = draw(floats_moved(workload, case) // 2, dtype=np.float32)  # each number is read once and written once
    target = np.empty_like(source)

    def run() -> None:
        for _ in range(round(multiplications / side**3)):
            np.matmul(left, right, out=out)
        np.copyto(target, source)

    return run
