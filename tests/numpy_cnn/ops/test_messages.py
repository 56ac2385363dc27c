"""An op's error messages contain its name, the argument at fault, and the values."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from numpy_cnn import ops
from parity.cases.inputs import Inputs, inputs_of
from parity.cases.primitives import draw_plainly
from parity.rows.registry import ROWS

# These ops delegate to another one, whose name is then in the message.
ALSO = {"cross_entropy": "nll_loss: ", "instance_norm": "batch_norm: ", "conv1d": "conv2d: "}


def calls(name: str, count: int = 60) -> Iterator[Inputs]:
    """Valid arguments of the op in many shapes."""
    row, generator = ROWS[name], random.Random(name)
    for _ in range(count):
        case, _ = draw_plainly(row.strategy(lane="structure"), generator)
        inputs = inputs_of(case, "structure", integer=True)
        yield inputs
        image, *rest = inputs.arrays
        if name in ("conv2d", "max_pool2d") and image is not None and len(image):
            yield inputs._replace(arrays=(image[0], *rest))
        if name == "conv2d":  # 1×1 kernels use another path
            weight, bias = rest
            assert weight is not None
            pixels = image, weight[:, :, :1, :1], bias
            yield inputs._replace(arrays=pixels, options={"groups": inputs.options["groups"]})


@pytest.mark.parametrize("name", ops.__all__)
def test_array_arguments_must_share_one_floating_dtype(name: str) -> None:
    for inputs in calls(name):
        arguments = dict(zip(inputs.names, inputs.arrays, strict=True)) | inputs.options
        arrays = {n: a for n, a in arguments.items() if isinstance(a, np.ndarray) and a.dtype.kind == "f"}

        def rejected(argument: str, wrong: Any, message: str, arguments: dict[str, Any] = arguments) -> None:
            with pytest.raises(ValueError, match=message) as error:
                ROWS[name].op(**arguments | {argument: wrong})
            assert str(error.value).startswith((f"{name}: ", ALSO.get(name, f"{name}: ")))

        for argument, array in arrays.items():
            if (name, argument) == ("cross_entropy", "target"):
                continue  # any target that is not floating is checked as class indices
            rejected(argument, array.tolist(), f"{argument} must be a NumPy array, got ")
            rejected(argument, array.astype(np.int64), f"{argument} int64")
            rejected(argument, array.astype(np.longdouble), f"at most 64 bits, got .*{argument} ")
            if len(arrays) > 1:
                other = np.float32 if array.dtype == np.float64 else np.float64
                rejected(argument, array.astype(other), f"{argument} {np.dtype(other)}")


@pytest.mark.parametrize("name", ops.__all__)
def test_the_pullback_requires_the_shape_of_the_output(name: str) -> None:
    for inputs in calls(name):
        with np.errstate(divide="ignore"):  # log_softmax over an empty axis
            y, pullback = ROWS[name].op(*inputs.arrays, **inputs.options)
        for wrong in ((*y.shape, 1), (2, *y.shape)):
            with pytest.raises(ValueError, match="dy") as error:
                pullback(np.zeros(wrong))
            message = f"dy must have the shape of the output {y.shape}, got {wrong}"
            assert str(error.value) in (f"{name}: {message}", ALSO.get(name, "") + message)


x, square = np.zeros((2, 4, 5, 6), np.float32), np.zeros((3, 4, 2, 2), np.float32)
dense = np.zeros((3, 6), np.float32)
channels = x[0, :, 0, 0]
scores, labels = np.zeros((2, 3), np.float32), np.array([0, 2])
MISTAKES: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("conv2d", (x, square), {"stride": 0}, "stride must be at least 1, got 0"),
    ("conv2d", (x, square), {"stride": 1.5}, "stride must be an int or a pair of ints (height, width), got 1.5"),
    ("conv2d", (x, square), {"padding": -1}, "padding must be at least 0, got -1"),
    (
        "conv2d",
        (x, square),
        {"padding": (1, 1, 1)},
        "padding must be an int or a pair of ints (height, width), got (1, 1, 1)",
    ),
    ("conv2d", (x, square), {"dilation": 0}, "dilation must be at least 1, got 0"),
    (
        "conv2d",
        (x, square),
        {"dilation": True},
        "dilation must be an int or a pair of ints (height, width), got True",
    ),
    ("max_pool2d", (x, 0), {}, "kernel_size must be at least 1, got 0"),
    ("max_pool2d", (x, "2"), {}, "kernel_size must be an int or a pair of ints (height, width), got '2'"),
    ("max_pool2d", (x, 2), {"stride": 0}, "stride must be at least 1, got 0"),
    ("max_pool2d", (x, 2), {"stride": 1.5}, "stride must be an int or a pair of ints (height, width), got 1.5"),
    ("max_pool2d", (x, 2), {"padding": -1}, "padding must be at least 0, got -1"),
    (
        "max_pool2d",
        (x, 2),
        {"padding": (1, 1, 1)},
        "padding must be an int or a pair of ints (height, width), got (1, 1, 1)",
    ),
    ("max_pool2d", (x, 2), {"dilation": 0}, "dilation must be at least 1, got 0"),
    (
        "max_pool2d",
        (x, 2),
        {"dilation": True},
        "dilation must be an int or a pair of ints (height, width), got True",
    ),
    (
        "conv2d",
        (x[0, 0], square),
        {},
        "expected input (N, C, H, W) and weight (O, C/groups, kh, kw), got input (5, 6), weight (3, 4, "
        "2, 2), groups 1",
    ),
    (
        "conv2d",
        (x, square[0]),
        {},
        "expected input (N, C, H, W) and weight (O, C/groups, kh, kw), got input (2, 4, 5, 6), weight "
        "(4, 2, 2), groups 1",
    ),
    (
        "conv2d",
        (x, square[:0]),
        {},
        "every axis of the weight must be at least 1, got input (2, 4, 5, 6), weight (0, 4, 2, 2), groups 1",
    ),
    ("conv2d", (x, square), {"groups": 0}, "groups must be a positive int, got 0"),
    ("conv2d", (x, square), {"groups": 2.0}, "groups must be an int, got 2.0"),
    (
        "conv2d",
        (x, square[:, :3]),
        {},
        "the weight expects 3·1 channels, the input has 4: input (2, 4, 5, 6), weight (3, 3, 2, 2), groups 1",
    ),
    (
        "conv2d",
        (x, square[:, :2]),
        {"groups": 2},
        "3 kernels cannot be divided into 2 groups: input (2, 4, 5, 6), weight (3, 2, 2, 2), groups 2",
    ),
    ("conv2d", (x, square, dense[0]), {}, "bias must have the shape (3,), got (6,)"),
    ("conv2d", (x, square), {"padding": "full"}, "padding must be ints, 'same' or 'valid', got 'full'"),
    (
        "conv2d",
        (x, square),
        {"padding": "same", "stride": (1, 2)},
        "padding='same' needs stride 1, got stride (1, 2)",
    ),
    (
        "conv2d",
        (x[:, :, :2], square),
        {"dilation": 4, "padding": 1},
        "the kernel spans 5 pixels along the height, the padded input only 4 (size 2, padding (1, 1), "
        "dilation (4, 4)): input (2, 4, 2, 6), weight (3, 4, 2, 2), groups 1",
    ),
    (
        "conv2d",
        (x[..., :1], square),
        {},
        "the kernel spans 2 pixels along the width, the padded input only 1 (size 1, padding (0, 0), "
        "dilation (1, 1)): input (2, 4, 5, 1), weight (3, 4, 2, 2), groups 1",
    ),
    ("max_pool2d", (x[0, 0], 2), {}, "expected (N, C, H, W) with C, H and W at least 1, got (5, 6)"),
    ("max_pool2d", (x[:, :0], 2), {}, "expected (N, C, H, W) with C, H and W at least 1, got (2, 0, 5, 6)"),
    ("max_pool2d", (x, 2), {"padding": (2, 1)}, "padding 2 is more than half of the kernel's height 2"),
    ("max_pool2d", (x, (2, 3)), {"padding": 2}, "padding 2 is more than half of the kernel's height 2"),
    (
        "max_pool2d",
        (x, 8),
        {"padding": 1},
        "the kernel spans 8 pixels along the height, the padded input only 7 (size 5, padding 1, "
        "dilation 1): input (2, 4, 5, 6)",
    ),
    (
        "max_pool2d",
        (x, (2, 4)),
        {"dilation": 3, "padding": 1},
        "the kernel spans 10 pixels along the width, the padded input only 8 (size 6, padding 1, "
        "dilation 3): input (2, 4, 5, 6)",
    ),
    (
        "max_pool2d",
        (x[:, :, :1], 2),
        {"dilation": 2, "padding": 1},
        "the window along the height covers no pixel: its taps start at -1, 2 apart, the image has 1 "
        "(kernel 2, stride 2, padding 1)",
    ),
    (
        "max_pool2d",
        (x[..., :2], (1, 2)),
        {"dilation": 4, "padding": (0, 1), "stride": 2, "ceil_mode": True},
        "the window along the width covers no pixel: its taps start at -1, 4 apart, the image has 2 "
        "(kernel 2, stride 2, padding 1)",
    ),
    (
        "conv2d",
        (x[:, :, :0], square),
        {"padding": 4},
        f"the image has no pixels: input (2, 4, 0, 6), weight {square.shape}, groups 1",
    ),
    (
        "conv2d",
        (x[..., :0], square),
        {"padding": 4},
        f"the image has no pixels: input (2, 4, 5, 0), weight {square.shape}, groups 1",
    ),
    (
        "linear",
        (x, dense.astype(np.float64)),
        {},
        "all arrays must share one floating dtype of at most 64 bits, got input float32, weight float64",
    ),
    (
        "linear",
        (x[..., :5], dense[0]),
        {},
        "expected x (…, in) and weight (out, in) or (in,), got (2, 4, 5, 5) and (6,)",
    ),
    (
        "linear",
        (x[..., :5], dense),
        {},
        "expected x (…, in) and weight (out, in) or (in,), got (2, 4, 5, 5) and (3, 6)",
    ),
    ("linear", (x[0, 0, 0, 0], dense), {}, "expected x (…, in) and weight (out, in) or (in,), got () and (3, 6)"),
    ("linear", (x, dense, dense[0]), {}, "bias must have the shape (3,), (1,) or (), got (6,)"),
    ("flatten", (x,), {"start_dim": 4}, "start_dim must be in [-4, 3] for 4 axes, got 4"),
    ("flatten", (x,), {"end_dim": -5}, "end_dim must be in [-4, 3] for 4 axes, got -5"),
    (
        "flatten",
        (x,),
        {"start_dim": 3, "end_dim": -2},
        "start_dim 3 comes after end_dim -2 in the shape (2, 4, 5, 6)",
    ),
    ("softmax", (x,), {"dim": 4}, "dim must be in [-4, 3] for 4 axes, got 4"),
    ("softmax", (x[0, 0, 0, 0],), {"dim": 1}, "dim must be in [-1, 0] for 0 axes, got 1"),
    ("log_softmax", (x,), {"dim": -5}, "dim must be in [-4, 3] for 4 axes, got -5"),
    ("log_softmax", (x[0, 0, 0, 0],), {"dim": -2}, "dim must be in [-1, 0] for 0 axes, got -2"),
    (
        "nll_loss",
        (scores, labels),
        {"reduction": "average"},
        "reduction must be 'none', 'mean' or 'sum', got 'average'",
    ),
    ("nll_loss", (scores[0, 0], labels), {}, "expected (N, C), (C,) or (N, C, d1, …), got a single number"),
    ("nll_loss", (scores, [0, 2]), {}, "targets must be class indices of dtype int64, got list"),
    ("nll_loss", (scores, labels.astype(np.int32)), {}, "targets must be class indices of dtype int64, got int32"),
    ("nll_loss", (scores, labels[:1]), {}, "targets must have the shape (2,) for the input (2, 3), got (1,)"),
    (
        "nll_loss",
        (scores[:, :, None], labels),
        {},
        "targets must have the shape (2, 1) for the input (2, 3, 1), got (2,)",
    ),
    ("nll_loss", (scores, labels, dense[0]), {}, "weight must have the shape (3,), got (6,)"),
    ("nll_loss", (scores[:, :2], labels), {}, "target 2 is neither a class in [0, 2) nor ignore_index -100"),
    (
        "nll_loss",
        (scores, -labels),
        {"ignore_index": -1},
        "target -2 is neither a class in [0, 3) nor ignore_index -1",
    ),
    (
        "cross_entropy",
        (scores[0, 0], labels),
        {},
        "expected scores (N, C), (C,) or (N, C, d1, …), got a single number",
    ),
    ("mse_loss", (scores, scores), {"reduction": ""}, "reduction must be 'none', 'mean' or 'sum', got ''"),
    ("mse_loss", (scores, scores[:, :2]), {}, "input and target must have the same shape, got (2, 3) and (2, 2)"),
    ("batch_norm", (dense[0], None, None), {"training": True}, "expected (N, C) or (N, C, …), got (6,)"),
    ("batch_norm", (x, None, None), {}, "training=False needs running_mean and running_var, got None"),
    ("batch_norm", (x, channels, None), {}, "running_var is None but the other is not: pass both or neither"),
    ("batch_norm", (x, None, channels), {}, "running_mean is None but the other is not: pass both or neither"),
    (
        "batch_norm",
        (x, dense[0], dense[0]),
        {},
        "running_mean must have the shape (4,) for the input (2, 4, 5, 6), got (6,)",
    ),
    (
        "batch_norm",
        (x, None, None, dense[0]),
        {"training": True},
        "weight must have the shape (4,) for the input (2, 4, 5, 6), got (6,)",
    ),
    (
        "batch_norm",
        (x, None, None, None, dense[0]),
        {"training": True},
        "bias must have the shape (4,) for the input (2, 4, 5, 6), got (6,)",
    ),
    ("batch_norm", (x, None, None), {"training": 1}, "training must be True or False, got 1"),
    ("batch_norm", (x, None, None), {"training": True, "momentum": None}, "momentum must be a number, got None"),
    ("batch_norm", (x, None, None), {"training": True, "eps": "0"}, "eps must be a number, got '0'"),
    ("batch_norm", (x, None, None), {"training": True, "eps": 0.0}, "eps must be above 0, got 0.0"),
    ("batch_norm", (x, channels, channels), {"eps": -0.5}, "eps must be at least 0, got -0.5"),
    (
        "batch_norm",
        (x[:1, :, 0, 0], None, None),
        {"training": True},
        "training needs more than 1 number per channel, the input (1, 4) has 1: its variance is 0, and y "
        "would be the bias for every x",
    ),
    (
        "batch_norm",
        (x[:1, :, 0, 0], x[0, :3, 0, 0], None),
        {"training": True},
        "running_mean must have the shape (4,) for the input (1, 4), got (3,)",
    ),
]


@pytest.mark.parametrize(("name", "arrays", "options", "message"), MISTAKES)
def test_the_message_contains_the_offending_values(
    name: str, arrays: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{name}: ") as error:
        getattr(ops, name)(*arrays, **options)
    assert str(error.value) == f"{name}: {message}"
