"""Remainders of blocks and narrow indices are named."""

from typing import Any

import numpy as np

from numpy_cnn import ops
from parity.naming import Observation, explain
from parity.rows.registry import ROWS
from parity.running.sandbox import sandboxed
from parity.subjects import adapt


def explained(row: str, op: Any, quantity: str, lane: Any) -> Any:
    with sandboxed():
        return explain(Observation(ROWS[row], adapt(op), lane), quantity)


def from_on(array: Any, start: int, value: Any) -> Any:
    changed = array.ravel().copy()
    changed[start:] = np.broadcast_to(value, array.shape).ravel()[start:]
    return changed.reshape(array.shape)


def test_the_remainder_of_a_loop_over_blocks() -> None:
    def relu(x: Any) -> Any:
        y, pullback = ops.relu(x)
        return from_on(y, y.size // 8 * 8, x), pullback

    found = explained("relu", relu, "output", "exact")
    assert found.sentence == "the remainder of all elements beyond blocks of 8 equals the argument"


def test_an_8_bit_index_along_the_last_axis() -> None:
    def softmax(x: Any, dim: int) -> Any:
        y, pullback = ops.softmax(x, dim)
        if y.ndim:
            y[..., 128:] = 0
        return y, pullback

    found = explained("softmax", softmax, "output", "bound")
    assert (found.name, "index 128 on is 0" in found.sentence) == ("index-overflows", True)


def test_a_remainder_with_any_other_value_is_not_named() -> None:
    def relu(x: Any) -> Any:
        y, pullback = ops.relu(x)
        return from_on(y, y.size // 8 * 8, x * 3 + 5), pullback

    assert explained("relu", relu, "output", "exact") is None
