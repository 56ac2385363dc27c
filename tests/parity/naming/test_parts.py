"""Remainders of blocks and narrow indices are named."""

from typing import Any

import numpy as np
import pytest

from numpy_cnn import ops
from parity.cases.case import ArraySpec, Case
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


def of_image(conv2d: Any, height: int, width: int) -> Any:
    """The explanation of the output for images of this size and 1×1 kernels."""
    arrays = ArraySpec("input", (2, 1, height, width)), ArraySpec("weight", (1, 1, 1, 1)), ArraySpec("bias", None)
    case = Case("conv2d", arrays, {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}, seed=1)
    with sandboxed():
        return explain(Observation(ROWS["conv2d"], adapt(conv2d), "exact"), "output", case, "exact")


def test_an_index_within_each_plane_that_overflows() -> None:
    def conv2d(*arrays: Any, **options: Any) -> Any:
        y, pullback = ops.conv2d(*arrays, **options)
        planes = y.reshape(*y.shape[:-2], -1).copy()
        planes[..., 128:] = 0
        return planes.reshape(y.shape), pullback

    found = of_image(conv2d, 12, 13)
    assert (found.name, "of each plane" in found.sentence) == ("index-overflows", True)


def test_an_index_that_starts_again_from_the_beginning() -> None:
    def relu(x: Any) -> Any:
        y, pullback = ops.relu(x)
        return (y[..., np.arange(y.shape[-1]) % 256] if y.ndim else y), pullback

    found = explained("relu", relu, "output", "exact")
    assert (found.name, "repeats the beginning" in found.sentence) == ("index-overflows", True)


def test_a_loop_that_ends_at_a_fixed_index_is_not_named_as_a_remainder() -> None:
    """With 66 images, what is lost beyond 64 may be a remainder of blocks of 32 or 64; 131 images decide."""

    def conv2d(*arrays: Any, **options: Any) -> Any:
        y, pullback = ops.conv2d(*arrays, **options)
        return np.where(np.arange(len(y))[:, None, None, None] < 64, y, 0).astype(y.dtype), pullback

    arrays = ArraySpec("input", (66, 1, 1, 1)), ArraySpec("weight", (1, 1, 1, 1)), ArraySpec("bias", (1,))
    case = Case("conv2d", arrays, {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}, magnitude=1)
    with sandboxed():
        found = explain(Observation(ROWS["conv2d"], adapt(conv2d), "exact"), "output", case, "exact")
    assert found is not None
    assert found.sentence == "everything of the first axis from index 64 on is 0"


@pytest.mark.parametrize("block", [4, 16, 32])
def test_the_size_of_a_block_is_confirmed_by_other_sizes(block: int) -> None:
    def conv2d(*arrays: Any, **options: Any) -> Any:
        y, pullback = ops.conv2d(*arrays, **options)
        width = y.shape[-1]
        return np.where(np.arange(width) >= (width // block * block or width), 0, y).astype(y.dtype), pullback

    found = of_image(conv2d, 1, 33)
    assert f"beyond blocks of {block} " in found.sentence
