"""Messages of ops with their own checks; test_messages.py tests those of shared checks."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_cnn import ops

sys.path.insert(0, str(Path(__file__).parent))
from test_messages import calls

ARRAYS = {"weight", "bias", "target", "indices", "mask", "running_mean", "running_var", "pos_weight"}
TRUTHY = {
    "return_indices",
    "recompute_scale_factor",
    "antialias",
    "needs_input_grad",
}  # any value counts, as in torch
DELEGATED = {
    ("conv1d", "groups"): "conv2d: groups must be an int, got 'wrong'",
    ("conv1d", "padding"): "conv2d: padding must be ints, 'same' or 'valid', got 'wrong'",
    ("cross_entropy", "ignore_index"): "nll_loss: ignore_index must be an int, got 'wrong'",
    ("instance_norm", "eps"): "batch_norm: eps must be a number, got 'wrong'",
    ("interpolate", "align_corners"): "interpolate: align_corners does not apply to mode 'nearest', got wrong",
    ("max_unpool2d", "output_size"): "max_unpool2d: output_size must have 2 or 4 entries, got 'wrong'",
    ("pad", "pad"): "pad: pad must be pairs of ints, got 'wrong'",
}
OTHERWISE = {("interpolate", "size"), ("interpolate", "mode"), ("pad", "value")}  # in the table
OPTIONS = [
    (name, option)
    for name in ops.__all__
    for option in [*inspect.signature(getattr(ops, name)).parameters][1:]
    if option not in ARRAYS | TRUTHY and (name, option) not in OTHERWISE
]


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_the_message_contains_an_option_of_the_wrong_type(name: str, option: str) -> None:
    inputs = next(call for call in calls(name) if all(array is None or array.size for array in call.arrays))
    arrays = dict(zip(inputs.names, inputs.arrays, strict=True))
    with pytest.raises(ValueError, match="wrong") as error:
        getattr(ops, name)(**arrays | inputs.options | {option: "wrong"})
    message = str(error.value)
    if (name, option) in DELEGATED:
        assert message == DELEGATED[name, option]
    else:
        assert message.startswith(f"{name}: {option} must be ")
        assert message.endswith(", got 'wrong'")


image, line = np.zeros((2, 4, 5, 6), np.float32), np.zeros((2, 4, 6), np.float32)
kernels, dense = np.zeros((3, 4, 2, 2), np.float32), np.zeros((3, 6), np.float32)
transposed, channels = kernels.swapaxes(0, 1), image[0, :, 0, 0]
scores, labels, one = np.zeros((2, 3), np.float32), np.array([0, 2]), np.ones((), np.float32)
indices = np.zeros(image.shape, np.int64)
# fmt: off
MISTAKES: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("conv1d", (image, kernels[..., 0]), {}, "expected input (N, C, L) or (C, L) and weight (O, C/groups, k), got input (2, 4, 5, 6), weight (3, 4, 2)"),
    ("conv1d", (line, kernels), {}, "expected input (N, C, L) or (C, L) and weight (O, C/groups, k), got input (2, 4, 6), weight (3, 4, 2, 2)"),
    ("conv1d", (line, kernels[..., 0]), {"stride": (1, 1)}, "stride must be one int, got (1, 1)"),
    ("conv1d", (line, kernels[..., 0]), {"dilation": 0}, "dilation must be at least 1, got 0"),
    ("conv1d", (line, kernels[..., 0]), {"stride": 0}, "stride must be at least 1, got 0"),
    ("conv1d", (line, kernels[..., 0]), {"padding": -1}, "padding must be at least 0, got -1"),
    ("conv1d", (line, kernels[..., 0], labels), {}, "all arrays must share one floating dtype of at most 64 bits, got input float32, weight float32, bias int64"),
    ("conv_transpose2d", (image, transposed), {"groups": 0}, "groups must be a positive int, got 0"),
    ("conv_transpose2d", (image[0, 0], kernels), {}, "expected input (N, O, H, W) and weight (O, C/groups, kh, kw), got input (5, 6), weight (3, 4, 2, 2), groups 1"),
    ("conv_transpose2d", (image, kernels[0]), {}, "expected input (N, O, H, W) and weight (O, C/groups, kh, kw), got input (2, 4, 5, 6), weight (4, 2, 2), groups 1"),
    ("conv_transpose2d", (image, kernels), {}, "the weight expects 3 channels in 1 groups, got input (2, 4, 5, 6), weight (3, 4, 2, 2), groups 1"),
    ("conv_transpose2d", (image, transposed), {"groups": 3}, "the weight expects 4 channels in 3 groups, got input (2, 4, 5, 6), weight (4, 3, 2, 2), groups 3"),
    ("conv_transpose2d", (image, transposed, channels), {}, "bias must have the shape (3,), got (4,)"),
    ("conv_transpose2d", (image, transposed), {"output_padding": 1}, "output_padding must be less than the stride or the dilation, got 1 with stride 1 and dilation 1"),
    ("conv_transpose2d", (image[:, :, :1], transposed), {"padding": 1}, "padding 1 leaves 0 pixels of the height: input (2, 4, 1, 6), weight (4, 3, 2, 2), groups 1"),
    ("avg_pool2d", (image, 2), {"divisor_override": 0}, "divisor_override must be an int other than 0, got 0"),
    ("avg_pool2d", (image[0, 0], 2), {}, "expected (N, C, H, W) with C, H and W at least 1, got (5, 6)"),
    ("avg_pool2d", (image, 2), {"padding": 2}, "padding 2 is more than half of the kernel's height 2"),
    ("avg_pool2d", (image, 7), {}, "the kernel spans 7 pixels along the height, the padded input only 5 (size 5, padding 0, dilation 1): input (2, 4, 5, 6)"),
    ("adaptive_avg_pool2d", (image[0, 0], 2), {}, "expected (N, C, H, W) with C, H and W at least 1, got (5, 6)"),
    ("adaptive_avg_pool2d", (image, (1, 2, 3)), {}, "output_size must be an int or a pair, got (1, 2, 3)"),
    ("adaptive_avg_pool2d", (image, 0), {}, "output_size must be at least 1, got (0, 0)"),
    ("adaptive_max_pool2d", (image[0, 0], 2), {}, "expected (N, C, H, W) with C, H and W at least 1, got (5, 6)"),
    ("adaptive_max_pool2d", (image, (2,)), {}, "output_size must be an int or a pair, got (2,)"),
    ("adaptive_max_pool2d", (image, (2, 0)), {}, "output_size must be at least 1, got (2, 0)"),
    ("max_unpool2d", (image[0, 0], indices[0, 0], 2), {}, "expected (N, C, H, W) with C, H and W at least 1, got (5, 6)"),
    ("max_unpool2d", (image, indices.astype(np.int32), 2), {}, "indices must be int64 of shape (2, 4, 5, 6), got int32 of (2, 4, 5, 6)"),
    ("max_unpool2d", (image, indices[..., 1:], 2), {}, "indices must be int64 of shape (2, 4, 5, 6), got int64 of (2, 4, 5, 5)"),
    ("max_unpool2d", (image, [0], 2), {}, "indices must be int64 of shape (2, 4, 5, 6), got list of (1,)"),
    ("max_unpool2d", (image, indices, (2,)), {}, "kernel_size must be an int or a pair of ints (height, width), got (2,)"),
    ("max_unpool2d", (image, indices, 2), {"stride": 0}, "stride must be at least 1, got 0"),
    ("max_unpool2d", (image, indices, 2), {"padding": -1}, "padding must be at least 0, got -1"),
    ("max_unpool2d", (image, indices, 2), {"output_size": (1, 2, 3)}, "output_size must have 2 or 4 entries, got (1, 2, 3)"),
    ("max_unpool2d", (image, indices, 2), {"output_size": (12, 12)}, "output_size must be within a stride of (10, 12), got (12, 12)"),
    ("max_unpool2d", (image, indices, 2), {"output_size": (10, 14)}, "output_size must be within a stride of (10, 12), got (10, 14)"),
    ("max_unpool2d", (image, indices + 120, 2), {}, "index 120 is outside the output (10, 12) of the input (2, 4, 5, 6)"),
    ("max_unpool2d", (image, indices - 1, 2), {}, "index -1 is outside the output (10, 12) of the input (2, 4, 5, 6)"),
    ("max_unpool2d", (image[:, :, :1], indices[:, :, :1], 2), {"padding": 1}, "index 0 is outside the output (0, 10) of the input (2, 4, 1, 6)"),
    ("unfold", (image[0, 0], 2), {}, "expected (N, C, H, W) with C, H and W at least 1, got (5, 6)"),
    ("unfold", (image[:, :0], 2), {}, "expected (N, C, H, W) with C, H and W at least 1, got (2, 0, 5, 6)"),
    ("unfold", (image, (2,)), {}, "kernel_size must be an int or a pair of ints (height, width), got (2,)"),
    ("unfold", (image, 2), {"stride": (1,)}, "stride must be an int or a pair of ints (height, width), got (1,)"),
    ("unfold", (image, (1, 3)), {"dilation": 3}, "a window spans 7 pixels, d·(k − 1) + 1, but the padded image has 6 along axis -1: size (5, 6), kernel_size (1, 3), dilation (3, 3), padding (0, 0)"),
    ("fold", (image, (5, 6), 2), {}, "expected (N, C·kh·kw, oh·ow) with all but N at least 1, got (2, 4, 5, 6)"),
    ("fold", (image[:, :, 0, :0], (5, 6), 2), {}, "expected (N, C·kh·kw, oh·ow) with all but N at least 1, got (2, 4, 0)"),
    ("fold", (image[0], (1, 1), 1), {}, "output_size (1, 1) has 1·1 windows of 1·1 taps, so the input must be (N, 1·C, 1), got (4, 5, 6)"),
    ("fold", (image[0, 0], (2, 4), 2), {}, "output_size (2, 4) has 1·3 windows of 2·2 taps, so the input must be (N, 4·C, 3), got (5, 6)"),
    ("fold", (image[0], (5,), 2), {}, "output_size must be an int or a pair of ints (height, width), got (5,)"),
    ("fold", (image[0], 0, 2), {}, "output_size must be at least 1, got 0"),
    ("interpolate", (image,), {}, "give size or scale_factor, got None and None"),
    ("interpolate", (image, 2, 2), {}, "give size or scale_factor, got 2 and 2"),
    ("interpolate", (image, (1, 2, 3)), {}, "expected 1 number or 2, one per axis, got (1, 2, 3)"),
    ("interpolate", (image, 0), {}, "the output (0, 0) of (5, 6) would have no pixels"),
    ("interpolate", (image,), {"scale_factor": (1, 2, 3)}, "expected 1 number or 2, one per axis, got (1, 2, 3)"),
    ("interpolate", (image,), {"scale_factor": 0.1}, "the output (0, 0) of (5, 6) would have no pixels"),
    ("interpolate", (image, 2), {"mode": "linear"}, "the modes and their numbers of axes are {'nearest': (3, 4, 5), 'nearest-exact': (3, 4, 5), 'area': (3, 4, 5), 'linear': (3,), 'bilinear': (4,), 'trilinear': (5,), 'bicubic': (4,)}, got 'linear' for (2, 4, 5, 6)"),
    ("interpolate", (image, 2), {"align_corners": True}, "align_corners does not apply to mode 'nearest', got True"),
    ("interpolate", (image[:, :0], 2), {}, "the input has no pixels: (2, 0, 5, 6)"),
    ("interpolate", (image, 2), {"antialias": True}, "antialias applies to 'bilinear' and 'bicubic', got True for 'nearest'"),
    ("interpolate", (image,), {"scale_factor": float("inf")}, "scale_factor must be finite, got inf"),
    ("softmax", (image, 1, int), {}, "dtype must be floating of at most 64 bits, got int64"),
    ("log_softmax", (image, 1, "wrong"), {}, "dtype must be a dtype of NumPy or torch, got 'wrong'"),
    ("interpolate", (image, 2), {"recompute_scale_factor": True}, "recompute_scale_factor needs scale_factor, got size 2"),
    ("pad", (image, (1,)), {}, "pad must be pairs of ints, got (1,)"),
    ("pad", (image, (1.5, 1)), {}, "pad must be pairs of ints, got (1.5, 1)"),
    ("pad", (image, 1), {}, "pad must be pairs of ints, got 1"),
    ("pad", (line, (1,) * 8), {}, "got 4 pairs of widths for the 3 axes of (2, 4, 6)"),
    ("pad", (image, (1, 1)), {"mode": "mirror"}, "mode must be 'constant', 'reflect', 'replicate' or 'circular', got 'mirror'"),
    ("pad", (image, (1, 1)), {"mode": "reflect"}, "mode 'reflect' pads the last 1 to 3 axes and needs 1 or 2 more, got 1 for (2, 4, 5, 6)"),
    ("pad", (image, (1, 1, 1, 1)), {"mode": "reflect", "value": 1.0}, "mode 'reflect' takes no value, got 1.0"),
    ("pad", (image[:, :0], (1, 1, 1, 1)), {"mode": "reflect"}, "mode 'reflect' needs channels and pixels, got (2, 0, 5, 6)"),
    ("pad", (image, (-4, -3)), {}, "(-4, -3) leaves -1 of the 6 along axis 3 of (2, 4, 5, 6)"),
    ("pad", (image, (6, 0, 0, 0)), {"mode": "reflect"}, "mode 'reflect' adds at most 5 to axis 3 of (2, 4, 5, 6), got (6, 0)"),
    ("pad", (image, (7, 0, 0, 0)), {"mode": "circular"}, "mode 'circular' adds at most 6 to axis 3 of (2, 4, 5, 6), got (7, 0)"),
    ("layer_norm", (image, []), {}, "normalized_shape () must equal the last axes of the input (2, 4, 5, 6)"),
    ("layer_norm", (image, 6), {}, "normalized_shape must be a tuple of ints, got 6"),
    ("layer_norm", (image, (5,)), {}, "normalized_shape (5,) must equal the last axes of the input (2, 4, 5, 6)"),
    ("layer_norm", (image, (1.5,)), {}, "normalized_shape must be an int, got 1.5"),
    ("layer_norm", (image, (6,), channels), {}, "weight must have the shape (6,), got (4,)"),
    ("layer_norm", (image, (6,), None, channels), {}, "bias must have the shape (6,), got (4,)"),
    ("group_norm", (channels, 2), {}, "expected (N, C) or (N, C, …), got (4,)"),
    ("group_norm", (image, 3), {}, "4 channels cannot be divided into num_groups 3: input (2, 4, 5, 6)"),
    ("group_norm", (image, 0), {}, "4 channels cannot be divided into num_groups 0: input (2, 4, 5, 6)"),
    ("group_norm", (image, 2, dense[0]), {}, "weight must have the shape (4,), got (6,)"),
    ("group_norm", (image, 2, None, dense[0]), {}, "bias must have the shape (4,), got (6,)"),
    ("group_norm", (image[:1, :, 0, 0], 4), {}, "needs more than 1 number per group, the input (1, 4) has 1: its variance is 0"),
    ("instance_norm", (channels,), {}, "expected (N, C, …) with positions, got (4,)"),
    ("instance_norm", (image[:, :, :1, :1],), {}, "needs more than 1 position per channel, the input (2, 4, 1, 1) has 1"),
    ("instance_norm", (image, channels, None), {}, "running_var is None but the other is not: pass both or neither"),
    ("instance_norm", (image, dense[0], dense[0]), {}, "running_mean must have the shape (4,), got (6,)"),
    ("instance_norm", (image,), {"weight": dense[0]}, "weight must have the shape (4,), got (6,)"),
    ("instance_norm", (image,), {"momentum": "0"}, "momentum must be a number, got '0'"),
    ("instance_norm", (image, labels, channels), {}, "all arrays must share one floating dtype of at most 64 bits, got input float32, running_mean int64, running_var float32"),
    ("instance_norm", (image, channels, labels), {}, "all arrays must share one floating dtype of at most 64 bits, got input float32, running_mean float32, running_var int64"),
    ("instance_norm", (image,), {"weight": labels}, "all arrays must share one floating dtype of at most 64 bits, got input float32, weight int64"),
    ("instance_norm", (image,), {"bias": labels}, "all arrays must share one floating dtype of at most 64 bits, got input float32, bias int64"),
    ("dropout", (image,), {"p": 1.5}, "p must be in [0, 1], got 1.5"),
    ("dropout", (image,), {"p": -0.1}, "p must be in [0, 1], got -0.1"),
    ("dropout", (image,), {}, "training needs a mask of shape (2, 4, 5, 6), got None"),
    ("dropout", (image,), {"mask": image[0, 0]}, "training needs a mask of shape (2, 4, 5, 6), got (5, 6)"),
    ("dropout2d", (channels,), {}, "expected (N, C, H, W), got (4,)"),
    ("dropout2d", (image,), {"mask": image[0, 0]}, "training needs a mask of shape (2, 4), got (5, 6)"),
    ("dropout2d", (image,), {}, "training needs a mask of shape (2, 4), got None"),
    ("smooth_l1_loss", (scores, scores), {"beta": -1}, "beta must not be negative, got -1"),
    ("huber_loss", (scores, scores), {"delta": 0}, "delta must be above 0, got 0"),
    ("huber_loss", (scores, scores[:, :2]), {}, "input and target must have the same shape, got (2, 3) and (2, 2)"),
    ("l1_loss", (scores, scores[:, :2]), {}, "input and target must have the same shape, got (2, 3) and (2, 2)"),
    ("kl_div", (scores, scores), {"reduction": "average"}, "reduction must be 'none', 'mean', 'batchmean' or 'sum', got 'average'"),
    ("kl_div", (scores, dense), {}, "input and target must have the same shape, got (2, 3) and (3, 6)"),
    ("binary_cross_entropy_with_logits", (scores, scores[:1]), {}, "input and target must have the same shape, got (2, 3) and (1, 3)"),
    ("binary_cross_entropy_with_logits", (scores, scores), {"weight": scores[:, 0]}, "weight (2,) does not broadcast to the input (2, 3)"),
    ("binary_cross_entropy_with_logits", (scores, scores), {"pos_weight": scores[:, 0]}, "pos_weight (2,) does not broadcast to the input (2, 3)"),
    ("gelu", (image,), {"approximate": "erf"}, "approximate must be 'none' or 'tanh', got 'erf'"),
    ("cross_entropy", (scores, scores[:1]), {}, "probabilities must have the shape (2, 3) of the input, got (1, 3)"),
    ("cross_entropy", (scores, scores), {"weight": dense[0]}, "weight must have the shape (3,), got (6,)"),
    ("cross_entropy", (scores, scores), {"ignore_index": 1}, "ignore_index applies only to class indices, got 1 with probabilities"),
    ("cross_entropy", (scores, labels), {"label_smoothing": 1.5}, "label_smoothing must be in [0, 1], got 1.5"),
    ("cross_entropy", (scores, labels), {"label_smoothing": -0.5}, "label_smoothing must be in [0, 1], got -0.5"),
    ("linear", (image, dense[0], one), {}, "a weight (in,) takes no bias, got one of shape ()"),
    ("instance_norm", (image,), {"use_input_stats": False}, "use_input_stats=False needs running_mean and running_var, got None"),
    ("conv_transpose2d", (image[..., :1], transposed), {"padding": 1}, "padding 1 leaves 0 pixels of the width: input (2, 4, 5, 1), weight (4, 3, 2, 2), groups 1"),
    ("max_unpool2d", (image, indices, 2), {"padding": (1,)}, "padding must be an int or a pair of ints (height, width), got (1,)"),
    ("max_unpool2d", (image, indices, 2), {"stride": [2]}, "stride must be an int or a pair of ints (height, width), got [2]"),
    ("interpolate", (image, (1.5, 2)), {}, "size must be an int, got 1.5"),
    ("interpolate", (line, 1.5), {"mode": "area"}, "size must be an int, got 1.5"),
    ("instance_norm", (image, channels, channels), {"weight": labels, "use_input_stats": False}, "all arrays must share one floating dtype of at most 64 bits, got input float32, weight int64"),
    ("instance_norm", (image, channels, channels), {"bias": labels, "use_input_stats": False}, "all arrays must share one floating dtype of at most 64 bits, got input float32, bias int64"),
]
# fmt: on


@pytest.mark.parametrize(("name", "arrays", "options", "message"), MISTAKES)
def test_the_message_contains_the_values(name: str, arrays: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: ") as error:
        getattr(ops, name)(*arrays, **options)
    assert str(error.value) == f"{name}: {message}"


@pytest.mark.parametrize("name", ["mse_loss", "smooth_l1_loss"])
def test_the_warning_about_a_broadcast_target_has_both_shapes(name: str) -> None:
    message = r"^\w+: the target's shape \(1, 3\) differs from the input's \(2, 3\) and is broadcast$"
    with pytest.warns(UserWarning, match=message):
        getattr(ops, name)(scores, scores[:1])
