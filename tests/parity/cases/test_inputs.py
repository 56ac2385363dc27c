"""Equal indices of an unpooling have equal numbers, since torch does not define which of them it keeps."""

from typing import Any

import numpy as np
import pytest

import parity
from parity.cases.case import ArraySpec, Case
from parity.cases.inputs import conflicts, inputs_of
from parity.lanes.reference import expect
from parity.rows.registry import ROWS


def unpooling(values: Any = None) -> Case:
    """Six numbers of a plane at indices below three."""
    arrays = ArraySpec("input", (2, 1, 2, 3)), ArraySpec("indices", (2, 1, 2, 3), "classes", 3)
    options = {"kernel_size": 2, "stride": 2, "padding": 0, "output_size": None}
    return Case("max_unpool2d", arrays, options, values=values, seed=3)


def test_equal_indices_have_equal_numbers() -> None:
    numbers, indices = (np.asarray(a).reshape(2, -1) for a in inputs_of(unpooling(), "exact", integer=True).arrays)
    for row, places in zip(numbers, indices, strict=True):
        assert all(len({*row[places == place]}) <= 1 for place in range(3))


def test_stored_numbers_that_conflict_are_rejected() -> None:
    same = {"input": np.ones((2, 1, 2, 3)).tolist(), "indices": np.zeros((2, 1, 2, 3)).tolist()}
    other = same | {"input": np.arange(12.0).reshape(2, 1, 2, 3).tolist()}
    assert [conflicts(unpooling(values)) for values in (None, same, other)] == [False, False, True]
    with pytest.raises(ValueError, match="result is not defined"):
        expect(ROWS["max_unpool2d"], unpooling(other), "exact")


def test_an_unpooling_that_keeps_the_first_of_equal_indices_agrees() -> None:
    def max_unpool2d(x: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: int = 0) -> Any:
        step = kernel_size if stride is None else stride
        size = [(n - 1) * step - 2 * padding + kernel_size for n in x.shape[-2:]]
        flat = indices.reshape(*indices.shape[:-2], -1)
        y = np.zeros((*x.shape[:-2], size[0] * size[1]), x.dtype)
        np.put_along_axis(y, flat[..., ::-1], np.ascontiguousarray(x).reshape(flat.shape)[..., ::-1], -1)
        return y.reshape(*x.shape[:-2], *size), lambda dy: (
            np.take_along_axis(dy.reshape(y.shape), flat, -1).reshape(x.shape),
            None,
        )

    assert parity.check("max_unpool2d", max_unpool2d, examples=60, seed=0).ok
