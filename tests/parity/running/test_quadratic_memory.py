"""An implementation whose memory grows with the square of an axis is checked on small arrays."""

from typing import Any

import numpy as np

import parity
from numpy_cnn import ops


def by_matrix(x: Any, scale_factor: Any = (2, 2)) -> Any:
    """Nearest interpolation of the columns and rows by matrices."""

    def matrix(size: int, factor: float) -> Any:
        rows = np.minimum((np.arange(int(size * factor)) / factor).astype(int), size - 1)
        return np.eye(size, dtype=x.dtype)[rows]

    a, b = (matrix(n, factor) for n, factor in zip(x.shape[2:], scale_factor, strict=True))
    return a @ x @ b.T, lambda dy: (a.T @ dy @ b,)


def test_long_axes_are_left_out() -> None:
    supports = {"mode": "nearest", "size": None, "whole": True, "rank": 4}
    report = parity.check("interpolate", by_matrix, examples=8, supports=supports)
    assert report.ok, report
    assert any("checked on arrays of at most 1000 numbers" in note for note in report.rows[0].notes)
    report = parity.check("interpolate", ops.interpolate, examples=8, supports=supports)
    assert not any("numbers in total" in note for note in report.rows[0].notes)
