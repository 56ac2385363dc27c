"""The arguments of every op except conv2d, about a million numbers each, for both sides."""

from typing import Any

import numpy as np
from cases import Array, Case

SHAPE = (16, 64, 32, 32)  # 1,048,576 numbers
QUICK = (2, 4, 8, 8)

# Activations and others that need no options.
PLAIN = ("relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "softplus", "hardswish")
LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits", "kl_div")
OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {} for name in (*PLAIN, *LOSSES)},
    "gelu, tanh": {"approximate": "tanh"},
    "max_pool2d": {"kernel_size": 2},
    "max_pool2d, 3×3 stride 2": {"kernel_size": 3, "stride": 2, "padding": 1},
    "avg_pool2d": {"kernel_size": 2},
    "adaptive_avg_pool2d": {"output_size": 4},
    "adaptive_max_pool2d": {"output_size": 4},
    "max_unpool2d": {"kernel_size": 2},
    "batch_norm": {"training": True},
    "layer_norm": {},
    "group_norm": {"num_groups": 4},
    "instance_norm": {},
    "dropout": {"p": 0.5},
    "dropout2d": {"p": 0.5},
    "interpolate, nearest": {"scale_factor": 2, "mode": "nearest"},
    "interpolate, bilinear": {"scale_factor": 2, "mode": "bilinear"},
    "unfold": {"kernel_size": 3, "padding": 1},
    "fold": {"output_size": 0, "kernel_size": 3, "padding": 1},  # of the image
    "pad": {"pad": (1, 1, 1, 1)},
    "pad, reflect": {"pad": (1, 1, 1, 1), "mode": "reflect"},
    "softmax": {"dim": 1},
    "log_softmax": {"dim": 1},
    "cross_entropy": {},
    "nll_loss": {},
    "conv1d": {"padding": 1},
    "conv_transpose2d": {"stride": 2},
    "linear": {},
}


def cases(quick: bool) -> dict[str, Case]:
    """One case per op and form."""
    return {name: {"layer": name, "quick": quick} for name in OPTIONS}


def arguments(case: Case) -> tuple[str, list[Array | None], dict[str, Any]]:
    """The op's name, its arrays and its options."""
    name = case["layer"].split(",")[0]
    shape = QUICK if case["quick"] else SHAPE
    generator = np.random.default_rng(0)

    def numbers(*sizes: int) -> Array:
        return generator.standard_normal(sizes, dtype=np.float32)

    channels, options = shape[1], dict(OPTIONS[case["layer"]])
    if name in LOSSES:
        return name, [numbers(*shape), abs(numbers(*shape))], options
    if name in ("cross_entropy", "nll_loss"):
        return name, [numbers(*shape), generator.integers(0, channels, (shape[0], *shape[2:]))], options
    if name in ("batch_norm", "instance_norm"):
        return name, [numbers(*shape), numbers(channels), abs(numbers(channels)), *numbers(2, channels)], options
    if name == "group_norm":
        return name, [numbers(*shape)], options | dict(zip(("weight", "bias"), numbers(2, channels), strict=True))
    if name == "layer_norm":
        weights = dict(zip(("weight", "bias"), numbers(2, *shape[2:]), strict=True))
        return name, [numbers(*shape)], options | {"normalized_shape": shape[2:]} | weights
    if name == "max_unpool2d":
        height, width = shape[2] // 2, shape[3] // 2  # the upper left pixel of each 2×2 window
        corners = 2 * shape[3] * np.arange(height)[:, None] + 2 * np.arange(width)
        indices = np.broadcast_to(corners, (*shape[:2], height, width))
        return name, [numbers(*indices.shape), np.array(indices)], options
    if name == "fold":
        columns = numbers(shape[0], channels * 9, shape[2] * shape[3])
        return name, [columns], options | {"output_size": shape[2:]}
    if name == "conv1d":
        return name, [numbers(shape[0], channels, shape[2] * shape[3]), numbers(channels, channels, 3)], options
    if name == "conv_transpose2d":
        return name, [numbers(*shape), numbers(channels, channels // 4, 2, 2)], options
    if name == "linear":
        return name, [numbers(shape[0] * 64, shape[2] * shape[3]), numbers(64, shape[2] * shape[3])], options
    return name, [numbers(*shape)], options
