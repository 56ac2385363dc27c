"""The machine's own limit: its matrix product on the same multiplications, and one pass over what must move."""

from collections.abc import Callable

import numpy as np
from cases import Case, floats_moved, products


def prepare(workload: str, case: Case) -> Callable[[], object]:
    """What is to be timed."""
    draw = np.random.default_rng(0).random
    work = []
    for count, rows, summed, columns in products(workload, case):
        left, right = draw((rows, summed), dtype=np.float32), draw((summed, columns), dtype=np.float32)
        work.append((count, left, right, np.empty((rows, columns), np.float32)))
    source = draw(floats_moved(workload, case) // 2, dtype=np.float32)  # each is read once and written once
    target = np.empty_like(source)

    def run() -> None:
        for count, left, right, out in work:
            for _ in range(count):
                np.matmul(left, right, out=out)
        np.copyto(target, source)

    return run
