"""`assert_close`: a user's result is checked against the error bound of a torch function."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import parity
from numpy_cnn import ops


def arrays(dtype: Any) -> tuple[Any, Any, Any]:
    generator = np.random.default_rng(0)
    shapes = ((2, 3, 6, 7), (4, 3, 3, 2), (4,))
    x, w, b = (generator.standard_normal(shape).astype(dtype) for shape in shapes)
    return x, w, b


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_right_result_passes_and_a_wrong_entry_is_reported(dtype: Any) -> None:
    x, w, b = arrays(dtype)
    y, pullback = ops.conv2d(x, w, b, stride=2)
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
    how: Any = {"like": F.conv2d, "args": (x, w, b), "kwargs": {"stride": 2}}
    parity.assert_close(y, **how)
    parity.assert_close(y, **how, dy=dy, gradients=pullback(dy))
    y[1, 2, 0, 1] *= 1.001
    with pytest.raises(AssertionError, match=r"conv2d: output: 1 of \d+ .*\n  worst at \[1, 2, 0, 1\]: yours"):
        parity.assert_close(y, **how)
    dx, dw, _ = pullback(dy)
    with pytest.raises(AssertionError, match=r"^conv2d: grad_weight: \d+ of \d+ entries"):
        parity.assert_close(ops.conv2d(x, w, b, stride=2)[0], **how, dy=dy, gradients=(dx, -dw, None))


def test_a_result_that_passes_allclose_may_exceed_the_bound() -> None:
    x, w, b = arrays(np.float64)
    y = ops.conv2d(x, w, b)[0] * (1 + 1e-9)
    theirs = F.conv2d(*(torch.from_numpy(a) for a in (x, w, b)))
    assert np.allclose(y, theirs)
    with pytest.raises(AssertionError, match="times its bound"):
        parity.assert_close(y, theirs, like=F.conv2d, args=(x, w, b))


def test_any_torch_function_and_numbers_among_the_arrays() -> None:
    x, _, _ = arrays(np.float32)
    wide = x.astype(np.float64)
    parity.assert_close(
        (0.5 * wide * (1 + np.tanh(0.5 * wide))).astype(np.float32), like=lambda x: x * x.sigmoid(), args=(x,)
    )
    parity.assert_close(ops.max_pool2d(x, 2)[0], like=F.max_pool2d, args=(torch.from_numpy(x), 2))
    parity.assert_close(float(np.mean(x, dtype=np.float64)), like=torch.mean, args=(x,))


@pytest.mark.parametrize(
    ("mine", "how", "message"),
    [
        (np.zeros((2, 3), np.float16), {}, "yours is float16, less precise than float32"),
        (np.zeros((3, 2), np.float32), {}, r"yours has the shape \(3, 2\)"),
    ],
)
def test_another_shape_or_precision_fails(mine: Any, how: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        parity.assert_close(mine, like=torch.relu, args=(np.zeros((2, 3), np.float32),), **how)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"args": (np.zeros(3, np.float16),)}, "got float16"),
        ({"args": (np.zeros(3),), "dy": np.zeros(3)}, "go together"),
        (
            {"args": (np.zeros(3),), "dy": np.zeros(2), "gradients": (None,)},
            r"the shape \(2,\), the output \(3,\)",
        ),
        ({"args": (np.zeros(3),), "dy": np.zeros(3), "gradients": ()}, "0 gradients for 1 arrays"),
    ],
)
def test_mistakes_in_a_call(how: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parity.assert_close(np.zeros(3), like=torch.relu, **how)
