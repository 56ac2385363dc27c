"""Indices and counts in too few bits are named on cases large enough to show them."""

from typing import Any

import numpy as np
import pytest

from numpy_cnn import ops
from parity.cases.case import ArraySpec, Case
from parity.naming import Observation, explain
from parity.rows.registry import ROWS
from parity.running.sandbox import sandboxed
from parity.subjects import adapt


def explained(op: Any, case: Case, quantity: str) -> Any:
    row = ROWS[case.row]
    with sandboxed():
        return explain(Observation(row, adapt(op), row.lanes[0]), quantity, case, row.lanes[0])


@pytest.mark.parametrize(("kind", "classes", "bits"), [(np.int8, 129, "a signed byte"), (np.uint8, 257, "a byte")])
def test_a_target_in_a_byte(kind: Any, classes: int, bits: str) -> None:
    def cross_entropy(x: Any, target: Any, **options: Any) -> Any:
        if target.dtype.kind == "i":
            count = x.shape[min(1, x.ndim - 1)]
            ignored = target == options.get("ignore_index", -100)
            target = np.where(ignored, target, np.where(ignored, 0, target).astype(kind).astype(np.int64) % count)
        return ops.cross_entropy(x, target, **options)

    arrays = (
        ArraySpec("input", (3, classes)), ArraySpec("target", (3,), "classes", classes),
        ArraySpec("weight", None, keyword=True),
    )  # fmt: skip
    found = explained(cross_entropy, Case("cross_entropy", arrays, {"reduction": "mean"}), "output")
    assert found.sentence == f"the target is stored in {bits}"


@pytest.mark.parametrize("row", ["mse_loss", "l1_loss"])
def test_a_count_in_a_byte(row: str) -> None:
    def loss(x: Any, target: Any, reduction: str = "mean") -> Any:
        y, pullback = getattr(ops, row)(x, target, reduction)
        factor = x.size / (x.size % 256) if reduction == "mean" and x.size > 255 and x.size % 256 else 1
        return np.asarray(y * y.dtype.type(factor)), pullback

    arrays = ArraySpec("input", (2, 129)), ArraySpec("target", (2, 129))
    found = explained(loss, Case(row, arrays, {"reduction": "mean"}, "float64"), "output")
    assert found.sentence == "the number of entries is stored in a byte"
