"""A failure of one property of the structure lane is explained by cases that show the same property."""

from typing import Any

import numpy as np
import pytest

import parity
from numpy_cnn import ops
from parity.cases.case import ArraySpec, Case
from parity.lanes.facts import LayoutChangesResult, SharedState
from parity.lanes.structure import LAYOUTS, selecting_the_same


def pool_with_shared_state() -> Any:
    """It keeps the last pullback of strides above 1 in an attribute, as a layer that is used twice does."""
    kept: dict[str, Any] = {}

    def pool(x: Any, kernel_size: Any, stride: Any = None, **options: Any) -> Any:
        y, pullback = ops.max_pool2d(x, kernel_size, stride, **options)
        if stride is None or np.min(stride) < 2:
            return y, pullback
        kept["pullback"] = pullback
        return y, lambda dy: kept["pullback"](dy)

    return pool


def relu_in_c_order(x: Any) -> Any:
    """It reads the memory of arrays in Fortran order as if they were in C order."""
    y, pullback = ops.relu(x)
    return (y.copy("C") if x.flags.c_contiguous else y.ravel("K").reshape(y.shape)), pullback


@pytest.mark.parametrize(
    ("row", "op", "kind"),
    [("max_pool2d", pool_with_shared_state(), SharedState), ("relu", relu_in_c_order, LayoutChangesResult)],
)
def test_other_cases_show_the_same_property(row: str, op: Any, kind: type) -> None:
    """One case in three shows shared state, and one in twelve the layout, if the seeds are random."""
    report = parity.check(row, op, lanes=["structure"], examples=150, strict=True)
    failure = next(failure for failure in report.failures if isinstance(failure.fact, kind))
    assert failure.evidence is not None
    dependence = failure.evidence.dependence
    assert dependence.failing > 0.15 * dependence.cases


@pytest.mark.parametrize("seed", [0, 7, 13, 40, 2**31 - 1])
@pytest.mark.parametrize("like", [0, 1, 2, 5, 11, 12, 30, 47, 48, 999_999])
def test_the_seed_selects_the_property_and_the_layout(seed: int, like: int) -> None:
    case, of = (Case("relu", (ArraySpec("input", (2,)),), seed=number) for number in (seed, like))
    made = selecting_the_same(case, of).seed
    assert (made % 3, made % 4, made // 12 % len(LAYOUTS)) == (like % 3, like % 4, like // 12 % len(LAYOUTS))
    assert abs(made - seed) < 48
