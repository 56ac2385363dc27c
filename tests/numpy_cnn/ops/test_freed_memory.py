"""Freed memory stays in the process; sums of products without a temporary array equal those with one."""

import ctypes
import sys
from itertools import permutations

import numpy as np
import programs
import pytest

from numpy_cnn.ops.fast import sums

GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")


FAULTS = """
import resource
import numpy as np
import numpy_cnn.ops  # sets the limits of malloc


def fill():
    _ = [np.zeros(1, np.uint8) + np.zeros(20 << 20, np.uint8) for _ in range(5)]


fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not GLIBC, reason="only glibc has mallopt")
def test_memory_that_is_freed_and_allocated_again_causes_no_page_faults() -> None:
    # In a process of its own: in a long one, gaps between the memory of other tests may be too small for reuse.
    done = programs.spawn("-c", FAULTS, cwd=programs.ROOT)
    assert int(done.out) < 1_000, done.err  # 3,581 without numpy_cnn.ops, out of 25,600 pages


@pytest.mark.parametrize("run", [1, 6, 4096])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_sum_of_a_product_is_the_same_in_every_layout(
    order: tuple[int, ...], run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "RUN", run)
    a, b = np.random.default_rng(0).integers(-8, 9, (2, 4, 3, 5)).astype(np.float32)
    turned = a.transpose(order).copy().transpose(np.argsort(order))
    for axes in ((0, 2), (1, 2), (0, 1, 2), (1,)):
        for other in (b, b.transpose(order).copy().transpose(np.argsort(order))):
            found = sums.total_product(turned, other, axes)
            assert found.dtype == np.float64
            np.testing.assert_array_equal(found, (a * b).sum(axis=axes, keepdims=True))
