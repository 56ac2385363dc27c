"""Calls on which numpy_cnn deliberately differs from torch, each with the reason.

A call is an expression of the ops, `ones(*shape)` and `labels(*classes)`; a test evaluates it on both sides.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Difference:
    """One call that only one of the two accepts.

    Args:
        call: the expression.
        accepted_by: the library that accepts it.
        reason: the reason for the difference.
    """

    call: str
    accepted_by: Literal["torch", "numpy_cnn"]
    reason: str


DIFFERENCES = (
    Difference("relu(labels(1, 2))", "torch", "integers, bools and complex numbers have no gradient here"),
    Difference(
        "mse_loss(ones(2), ones(2).astype('float64'))",
        "torch",
        "all arrays share one dtype, and so does the result",
    ),
    Difference("conv2d(ones(1, 0, 3, 3), ones(2, 0, 1, 1))", "torch", "a convolution without input channels"),
    Difference(
        "conv_transpose2d(ones(0, 1, 3, 3), ones(1, 1, 2, 2), output_padding=2)",
        "torch",
        "an empty batch is checked like any other; torch checks it only in part",
    ),
    Difference(
        "max_pool2d(ones(1, 1, 1, 1), 2, padding=1, dilation=2)",
        "torch",
        "a window that covers no pixel: torch's backward writes outside the image (pytorch#114216)",
    ),
    Difference("adaptive_avg_pool2d(ones(1, 1, 2, 2), (0, 1))", "torch", "an output without pixels"),
    Difference("adaptive_avg_pool2d(ones(1, 1, 2, 0), 1)", "torch", "an image without pixels"),
    Difference(
        "pad(ones(1, 1, 1), (1, -2), mode='circular')",
        "torch",
        "cropping more pixels than the axis has: torch reads uninitialized memory",
    ),
    Difference("dropout(ones(2))", "torch", "a mask that torch draws is an argument here"),
    Difference("dropout2d(ones(2, 3, 4, 4))", "torch", "a mask that torch draws is an argument here"),
    Difference(
        "linear(ones(2, 3), ones(4, 3), ones(1, 4))", "torch", "a bias is one number per output, or one for all"
    ),
    Difference(
        "nll_loss(ones(1, 2, 1), labels(1).reshape(1, 1), ones(2, 1))",
        "torch",
        "the weights are one number per class; torch compares only their number, and only for images",
    ),
    Difference(
        "max_unpool2d(ones(1, 1, 1), labels(0).reshape(1, 1, 1), 2, padding=-1)",
        "torch",
        "a negative padding, which no max pooling has",
    ),
    Difference(
        "cross_entropy(ones(1, 2), labels(1), label_smoothing=-0.1)",
        "torch",
        "torch silently ignores a negative label_smoothing",
    ),
    Difference(
        "instance_norm(ones(2, 3), ones(3), ones(3), use_input_stats=False, eps=-1.0)",
        "torch",
        "eps below 0 is rejected as in batch_norm",
    ),
    Difference("instance_norm(ones(0, 4, 3), weight=ones(4))", "numpy_cnn", "torch raises an internal IndexError"),
    Difference(
        "batch_norm(ones(2, 0, 3), None, None, ones(0), training=True)",
        "numpy_cnn",
        "torch raises an internal IndexError",
    ),
    Difference(
        "max_pool2d(ones(1, 1, 2, 2), 1, ceil_mode=ones(1).__array__()[0] > 0)",
        "numpy_cnn",
        "a NumPy bool is a bool",
    ),
)
