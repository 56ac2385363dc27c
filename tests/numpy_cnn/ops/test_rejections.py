"""Calls that torch rejects raise a ValueError whose message contains the offending values."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from numpy_cnn import ops

x = np.ones((2, 4, 5, 5), np.float32)
w = np.ones((6, 2, 3, 3), np.float32)
one = np.ones((1, 1, 1, 1), np.float32)
zeros, ones = np.zeros(4, np.float32), np.ones(4, np.float32)
scores, labels = np.zeros((3, 4), np.float32), np.array([0, 1, 3])

# op, arrays, options, part of the message
REJECTED: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("conv2d", (x, w), {}, "2·1 channels, the input has 4"),
    ("conv2d", (x, w), {"groups": 4}, "2·4 channels"),
    ("conv2d", (x, w[:5]), {"groups": 2}, "5 kernels"),
    ("conv2d", (x, w), {"groups": 0}, "got 0"),
    ("conv2d", (x, w, np.ones(5, np.float32)), {"groups": 2}, "(5,)"),
    ("conv2d", (x, w), {"groups": 2, "stride": 0}, "stride must be at least 1, got 0"),
    ("conv2d", (x, w), {"groups": 2, "stride": (1, -1)}, "(1, -1)"),
    ("conv2d", (x, w), {"groups": 2, "stride": 1.5}, "1.5"),
    ("conv2d", (x, w), {"groups": 2, "stride": True}, "True"),
    ("conv2d", (x, w), {"groups": 2, "stride": (1, 1, 1)}, "(1, 1, 1)"),
    ("conv2d", (x, w), {"groups": 2, "padding": -1}, "padding must be at least 0, got -1"),
    ("conv2d", (x, w), {"groups": 2, "padding": "full"}, "'full'"),
    ("conv2d", (x, w), {"groups": 2, "padding": "same", "stride": 2}, "stride 2"),
    ("conv2d", (x, w), {"groups": 2, "dilation": 0}, "dilation must be at least 1, got 0"),
    ("conv2d", (x, w), {"groups": 2, "dilation": 3}, "spans 7 pixels along the height, the padded input only 5"),
    ("conv2d", (x[..., :2], w), {"groups": 2}, "along the width"),
    ("conv2d", (x[:0, :, :2], w), {"groups": 2}, "spans 3 pixels"),
    ("conv2d", (x, w.astype(np.float64)), {"groups": 2}, "float64"),
    ("conv2d", (x[0, 0], w), {}, "(5, 5)"),
    ("conv2d", (x, w[:0]), {"groups": 2}, "(0, 2, 3, 3)"),
    ("max_pool2d", (x, 0), {}, "at least 1, got 0"),
    ("max_pool2d", (x, 2), {"stride": -1}, "-1"),
    ("max_pool2d", (x, 2), {"stride": 0}, "0"),
    ("max_pool2d", (x, 2), {"padding": 2}, "padding 2 is more than half"),
    ("max_pool2d", (x, 3), {"padding": (0, 2)}, "width 3"),
    ("max_pool2d", (x, 2), {"padding": -1}, "-1"),
    ("max_pool2d", (x, 6), {}, "spans 6 pixels"),
    ("max_pool2d", (x, 2), {"dilation": 0}, "0"),
    ("max_pool2d", (x[:, :0], 2), {}, "(2, 0, 5, 5)"),
    ("max_pool2d", (x[:, :, :0], 2), {}, "(2, 4, 0, 5)"),
    ("max_pool2d", (x[0, 0], 2), {}, "(5, 5)"),
    ("linear", (x, np.ones((3, 4), np.float32)), {}, "(3, 4)"),
    ("linear", (x, np.ones((3, 5), np.float32), np.ones(2, np.float32)), {}, "(2,)"),
    ("batch_norm", (x[:1, :, :1, :1], None, None), {"training": True}, "(1, 4, 1, 1)"),
    ("batch_norm", (x[:1, :, 0, 0], zeros, ones), {"training": True}, "more than 1 number per channel"),
    ("batch_norm", (x[0, 0, 0], zeros[:1], ones[:1]), {}, "(5,)"),
    ("batch_norm", (x, None, None), {}, "training=False needs running_mean and running_var"),
    ("batch_norm", (x, None, ones), {"training": True}, "running_mean is None"),
    ("batch_norm", (x, zeros, None), {"training": True}, "running_var is None"),
    ("batch_norm", (x, zeros[:3], ones), {}, "running_mean must have the shape (4,)"),
    ("batch_norm", (x, zeros, ones[None]), {}, "(1, 4)"),
    ("batch_norm", (x, zeros, ones, ones[:2]), {}, "weight must have the shape (4,)"),
    ("batch_norm", (x, zeros, ones, ones, ones[:2]), {}, "bias must have the shape (4,)"),
    ("batch_norm", (x, zeros, ones, ones.astype(np.float64)), {}, "weight float64"),
    ("batch_norm", (x, zeros, ones), {"training": True, "eps": 0.0}, "eps must be above 0, got 0.0"),
    ("batch_norm", (x, zeros, ones), {"eps": -1e-5}, "eps must be at least 0, got -1e-05"),
    ("batch_norm", (x, zeros, ones), {"eps": None}, "eps must be a number, got None"),
    ("batch_norm", (x, zeros, ones), {"momentum": None}, "momentum must be a number, got None"),
    ("batch_norm", (x, zeros, ones), {"training": 1}, "training must be True or False, got 1"),
    ("flatten", (x,), {"start_dim": 4}, "got 4"),
    ("flatten", (x,), {"start_dim": 2, "end_dim": 1}, "start_dim 2 comes after end_dim 1"),
    ("softmax", (x,), {"dim": 4}, "got 4"),
    ("log_softmax", (x,), {"dim": -5}, "got -5"),
    ("nll_loss", (scores, labels.astype(np.int32)), {}, "int32"),
    ("nll_loss", (scores, np.array([0, 1, 4])), {}, "target 4"),
    ("nll_loss", (scores, np.array([0, -1, 3])), {}, "target -1"),
    ("nll_loss", (scores, labels[:2]), {}, "(2,)"),
    ("nll_loss", (scores, labels), {"reduction": "average"}, "'average'"),
    ("cross_entropy", (scores, np.array([0, 1, 4])), {}, "target 4"),
    ("cross_entropy", (scores, labels), {"weight": np.ones(3, np.float32)}, "(3,)"),
    ("mse_loss", (x, x), {"reduction": "average"}, "'average'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arrays", "options", "message"), REJECTED)
def test_rejected_as_torch_rejects(name: str, arrays: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"\w+: ") as error:
        getattr(ops, name)(*arrays, **options)
    assert message in str(error.value)
    like = torch.flatten if name == "flatten" else getattr(F, name)
    tensors, keywords = (
        (torch.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in arrays),
        {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in options.items()},
    )
    with pytest.raises((RuntimeError, ValueError, TypeError, IndexError)):
        like(*tensors, **keywords)


# Stricter than torch, each for the given reason.
STRICTER = [
    ("max_pool2d", (one, 2), {"padding": 1, "dilation": 2}, "covers no pixel"),  # torch writes outside the image
    ("relu", (x.astype(int),), {}, "floating"),  # integers have no gradient
    ("relu", ([1.0],), {}, "list"),
    ("linear", (x, w[0, 0].astype(np.float64)), {}, "float64"),
    (
        "batch_norm",
        (x, zeros, ones, ones[None]),
        {},
        r"weight must have the shape \(4,\)",
    ),  # one number per channel
]


@pytest.mark.parametrize(("name", "arrays", "options", "message"), STRICTER)
def test_rejected_for_a_reason(name: str, arrays: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(ops, name)(*arrays, **options)


def test_one_image_without_a_batch() -> None:
    for op, like, rest in (
        (ops.conv2d, F.conv2d, (w[:, :, :2, :2].repeat(2, 1),)),
        (ops.max_pool2d, F.max_pool2d, (2,)),
    ):
        image = np.arange(100, dtype=np.float32).reshape(4, 5, 5)
        y, pullback = op(image, *rest)
        tensor = torch.from_numpy(image).requires_grad_()
        expected = like(tensor, *(torch.from_numpy(r) if isinstance(r, np.ndarray) else r for r in rest))
        dy = np.ones(y.shape, np.float32)
        expected.backward(torch.from_numpy(dy))
        np.testing.assert_array_equal(y, expected.detach().numpy())
        np.testing.assert_array_equal(pullback(dy)[0], tensor.grad.numpy())
