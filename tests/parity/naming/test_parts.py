"""Remainders of blocks, narrow indices and cancelled digits are named."""

from typing import Any

import numpy as np
import pytest

import parity
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


def mse(x: Any, t: Any, reduction: str, more: float = 0.0) -> Any:
    y = x * x - 2 * x * t + t * t + x.dtype.type(more)
    found = y if reduction == "none" else np.asarray(y.sum() if reduction == "sum" else y.mean())
    return found, ops.mse_loss(x, t, reduction)[1]


def test_a_correct_formula_that_loses_digits() -> None:
    report = parity.check("mse_loss", lambda x, t, reduction="mean": mse(x, t, reduction), lanes=["bound"])
    (failure,) = report.failures
    assert (failure.verdict, failure.explanation) == ("wrong", "digits-lost")
    assert "in float64 the errors of all 60 random cases tried are far smaller" in failure.diagnosis


@pytest.mark.parametrize("more", [1e-12, 1e-7, 1e-3])
def test_a_wrong_constant_is_not_roundoff(more: float) -> None:
    report = parity.check("mse_loss", lambda x, t, reduction="mean": mse(x, t, reduction, more), lanes=["bound"])
    assert [failure.explanation for failure in report.failures] == [None]
