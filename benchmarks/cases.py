"""The cases of each workload, their random data, and the minimum of work that they require."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Case = dict[str, Any]

BATCHES = (1, 16, 64, 256, 1024)


def batches(quick: bool) -> dict[str, Case]:
    """The batches of a training step and of inference."""
    return {f"batch {n}": {"batch": n} for n in ((16,) if quick else BATCHES)}


def networks(quick: bool) -> dict[str, Case]:
    """A training step of the deeper networks."""
    sizes = (16,) if quick else (16, 64, 256)
    return {
        f"{arch}, batch {n}": {"batch": n, "arch": arch} for arch in ("lenet5", "vgg", "resnet") for n in sizes
    }


def op(batch: int, channels: int, size: int, kernels: int, kernel: int, **options: int) -> Case:
    """A conv2d over square images of `size` pixels."""
    shape = {"batch": batch, "channels": channels, "size": size, "kernels": kernels, "kernel": kernel}
    return shape | {"stride": 1, "padding": kernel // 2, "dilation": 1, "groups": 1} | options


def ops(quick: bool) -> dict[str, Case]:
    """conv2d from few channels to many, and its options."""
    if quick:
        return {"1→8 3×3": op(4, 1, 12, 8, 3), "8→8 depthwise": op(4, 8, 12, 8, 3, groups=8)}
    return {
        "1→8 3×3, batch 64": op(64, 1, 28, 8, 3, padding=0),
        "3→16 3×3": op(16, 3, 32, 16, 3),
        "8→16 3×3": op(16, 8, 26, 16, 3),
        "16→16 5×5": op(16, 16, 28, 16, 5),
        "16→16 1×1": op(16, 16, 28, 16, 1),
        "32→32 3×3": op(16, 32, 32, 32, 3),
        "64→64 3×3": op(16, 64, 28, 64, 3),
        "64→64 5×5": op(16, 64, 28, 64, 5),
        "64→64 1×1": op(16, 64, 28, 64, 1),
        "128→128 3×3": op(16, 128, 14, 128, 3),
        "64→128 3×3 stride 2": op(16, 64, 28, 128, 3, stride=2),
        "64→64 3×3 dilation 2": op(16, 64, 28, 64, 3, padding=2, dilation=2),
        "64→64 3×3 in 4 groups": op(16, 64, 28, 64, 3, groups=4),
        "64→64 3×3 in 16 groups": op(16, 64, 28, 64, 3, groups=16),
        "32→32 3×3 depthwise": op(16, 32, 32, 32, 3, groups=32),
        "128→128 5×5 depthwise": op(16, 128, 14, 128, 5, groups=128),
    }


def growth(quick: bool) -> dict[str, dict[int, Case]]:
    """conv2d with one growing size at a time: {name of the size: {its value: case}}."""
    if quick:
        return {"batch": {n: op(n, 2, 8, 2, 3) for n in (2, 4)}}
    return {
        "batch": {n: op(n, 8, 28, 8, 3) for n in (8, 16, 32, 64, 128)},
        "channels": {c: op(16, c, 16, c, 3) for c in (8, 16, 32, 64, 128)},
        "image size": {s: op(8, 8, s, 8, 3) for s in (16, 32, 64, 128)},
        "kernel": {k: op(8, 8, 32, 8, k) for k in (1, 3, 5, 7, 9)},
    }


def images(case: Case) -> tuple[Array, Array]:
    """A batch of images (N, 1, 28, 28) and their labels."""
    generator = np.random.default_rng(0)
    return generator.random((case["batch"], 1, 28, 28), dtype=np.float32), generator.integers(0, 10, case["batch"])


def options(case: Case) -> dict[str, int]:
    """The keywords of conv2d."""
    return {name: case[name] for name in ("stride", "padding", "dilation", "groups")}


def output_size(case: Case) -> int:
    """The height and width of conv2d's output."""
    span = case["dilation"] * (case["kernel"] - 1) + 1
    return int((case["size"] + 2 * case["padding"] - span) // case["stride"] + 1)


def arrays(case: Case) -> tuple[Array, Array, Array, Array]:
    """x, weight, bias and the cotangent of a conv2d."""
    draw = np.random.default_rng(0).standard_normal
    side = output_size(case)
    shapes: Mapping[str, tuple[int, ...]] = {
        "x": (case["batch"], case["channels"], case["size"], case["size"]),
        "weight": (case["kernels"], case["channels"] // case["groups"], case["kernel"], case["kernel"]),
        "bias": (case["kernels"],),
        "dy": (case["batch"], case["kernels"], side, side),
    }
    x, weight, bias, dy = (draw(shape, dtype=np.float32) for shape in shapes.values())
    return x, weight, bias, dy


def products(workload: str, case: Case) -> list[tuple[int, int, int, int]]:
    """The equivalent matrix products: (count, rows, summed, columns)."""
    n = case["batch"]
    if workload == "step":
        conv, fc1, fc2 = (1, 8, 9, 676 * n), (1, 128, 1352, n), (1, 10, 128, n)
        return [conv, conv, *[fc1] * 3, *[fc2] * 3]  # the image needs no gradient
    if workload == "inference":
        return [(1, 8, 9, 676 * n), (1, 128, 1352, n), (1, 10, 128, n)]
    groups, side = case["groups"], output_size(case)
    taps = case["channels"] // groups * case["kernel"] ** 2
    one = (groups, case["kernels"] // groups, taps, n * side * side)
    return [one] if workload == "forward" else [one] * 3


def floats_moved(workload: str, case: Case) -> int:
    """The count of numbers that any method must read or write at least once."""
    n = case["batch"]
    if workload in ("step", "inference"):
        parameters = 8 * 9 + 8 + 128 * 1352 + 128 + 10 * 128 + 10
        activations = n * (784 + 2 * 8 * 676 + 1352 + 2 * 128 + 10)
        return activations + parameters if workload == "inference" else 2 * activations + 7 * parameters
    side = output_size(case)
    x, y = n * case["channels"] * case["size"] ** 2, n * case["kernels"] * side * side
    return x + y if workload == "forward" else 2 * (x + y)
