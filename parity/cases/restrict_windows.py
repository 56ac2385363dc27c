"""Adapts windows to `supports`: one number for both axes, kernels and images that fit each other."""

import math
from collections.abc import Mapping
from typing import Any

from parity.cases.case import ArraySpec, Case
from parity.cases.sizes import MOST_NUMBERS

WINDOW = ("kernel_size", "stride", "padding", "dilation")


def odd(kernel: Any) -> Any:
    return tuple(k | 1 for k in kernel) if isinstance(kernel, tuple) else kernel | 1


def tiled(shape: tuple[int, ...], options: Mapping[str, Any], weight: ArraySpec | None) -> tuple[int, ...]:
    """The image without the remainder that no window covers."""
    if len(shape) != 4 or isinstance(options.get("padding"), str):
        return shape
    over = remainders(shape, options, kernel_of(options, weight))
    return (*shape[:2], *(size - more for size, more in zip(shape[2:], over, strict=True)))


def remainders(shape: tuple[int, ...], options: Mapping[str, Any], kernel: Any) -> tuple[int, int]:
    """The rows and columns that no window covers."""
    stride = options.get("stride", 1)
    stride = kernel if stride is None else stride
    spans = [at(options.get("dilation", 1), i) * (at(kernel, i) - 1) + 1 for i in (0, 1)]
    padded = [shape[2 + i] + 2 * at(options.get("padding", 0), i) for i in (0, 1)]
    height, width = (max(0, padded[i] - spans[i]) % at(stride, i) for i in (0, 1))
    return height, width


def kernel_of(options: Mapping[str, Any], weight: ArraySpec | None) -> Any:
    of_weight = weight is not None and weight.shape is not None and len(weight.shape) == 4
    return weight.shape[2:] if of_weight and weight is not None and weight.shape else options.get("kernel_size", 1)


def weight_of(case: Case) -> ArraySpec | None:
    return next((spec for spec in case.arrays if spec.name == "weight"), None)


def tiles(case: Case, shape: tuple[int, ...]) -> bool:
    if len(shape) != 4 or isinstance(case.options.get("padding"), str):
        return True
    return remainders(shape, case.options, kernel_of(case.options, weight_of(case))) == (0, 0)


def has_pairs(case: Case) -> bool | None:
    """Whether an option is a pair or the kernel is not square; None for ops without a window."""
    if not any(name in case.options for name in ("kernel_size", "stride")):
        return None
    kernel = kernel_of(case.options, weight_of(case))
    options = [case.options[name] for name in WINDOW if name in case.options]
    return any(isinstance(value, tuple) for value in options) or len({*pair(kernel)}) > 1


def is_square(case: Case, shape: tuple[int, ...]) -> bool:
    return len(shape) != 4 or (
        shape[2] == shape[3] and len({*pair(kernel_of(case.options, weight_of(case)))}) == 1
    )


def squared(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A square: of the longer side, or of the shorter one if that would be too many pixels."""
    side = max(shape[2:])
    side = side if side**2 <= MOST_NUMBERS else min(shape[2:])
    return (*shape[:2], side, side)


def windows_fit(case: Case, shape: tuple[int, ...]) -> bool:
    """Whether the channels match, a window fits into the padded image, and a pool allows the padding."""
    specs = {spec.name: spec.shape for spec in case.arrays}
    weight = specs.get("weight")
    kernel: Any = case.options.get("kernel_size")
    if weight is not None and len(weight) == 4 and len(shape) == 4:
        groups = case.options.get("groups", 1)
        if shape[1] != channels(weight, case.options)[0] or weight[0] % groups:
            return False
        kernel = weight[2:]
    elif weight is not None and len(weight) == 2 and case.row == "linear":
        return bool(shape) and shape[-1] == weight[1]
    if kernel is None or len(shape) != 4 or "indices" in specs:  # unpooling has no windows over its input
        return True
    if case.options.get("padding") == "same":
        return bool(pair(case.options.get("stride", 1)) == (1, 1))
    if any(shape[2 + axis] < least(case.options, kernel, axis) for axis in (0, 1)):
        return False
    if pools(case.options):
        padding = pair(case.options["padding"])
        return bool(pair(allowed_padding(case.options, shape)) == padding)
    return True


def pools(options: Mapping[str, Any]) -> bool:
    """Whether the padding is limited by the kernel, as for poolings and unpooling, but not for unfold and fold."""
    own = "ceil_mode" in options or "dilation" not in options
    return "kernel_size" in options and "padding" in options and own


def unpooled(options: Mapping[str, Any], shape: tuple[int, ...]) -> int:
    """The number of pixels of the smallest output of an unpooling, in which all indices are valid."""
    kernel, padding = options["kernel_size"], options["padding"]
    stride = kernel if options["stride"] is None else options["stride"]
    sizes = [(shape[2 + i] - 1) * at(stride, i) - 2 * at(padding, i) + at(kernel, i) for i in (0, 1)]
    given = options.get("output_size")
    return min(math.prod(sizes), math.prod(sizes if given is None else given[-2:]))


def folds(options: Mapping[str, Any]) -> bool:
    """Whether the windows are over the output, whose size is an option, and the input has a line per tap."""
    return {"kernel_size", "dilation", "output_size"} <= options.keys()


def folded(shape: tuple[int, ...], before: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape (…, channels and taps, windows) after the options have changed."""
    size = tuple(pair(options["output_size"]))
    taps, others = (math.prod(pair(o["kernel_size"])) for o in (before, options))
    count = math.prod(sides((1, 1, *size), options, options["kernel_size"]))
    return (*shape[:-2], shape[-2] // taps * others, count)


def allowed_padding(options: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    """A pool's padding: at most half of the kernel, and 0 if a window could skip the whole image."""
    if len(shape) != 4:
        return options["padding"]
    dilation, kernel, padding = options.get("dilation", 1), options["kernel_size"], options["padding"]
    most = [min(at(padding, i), at(kernel, i) // 2) if at(dilation, i) <= shape[2 + i] else 0 for i in (0, 1)]
    return most[0] if isinstance(padding, int) and most[0] == most[1] else tuple(most)


def little_padding(padding: Any, kernel: Any) -> Any:
    """A convolution's padding, of which few windows lie outside the image."""
    if isinstance(padding, str):
        return padding
    most = [min(at(padding, i), at(kernel, i) // 2 + 1) for i in (0, 1)]
    return most[0] if isinstance(padding, int) and most[0] == most[1] else tuple(most)


def channels(weight: tuple[int, ...], options: Mapping[str, Any]) -> tuple[int, int]:
    """The channels of a convolution's input and output, in reverse order in the weight of a transposed one."""
    if len(weight) == 1:  # of a normalization: one number per channel
        return weight[0], weight[0]
    groups = options.get("groups", 1)
    if "output_padding" in options:
        return weight[0], weight[1] * groups
    return weight[1] * groups, weight[0]


def output_padding(value: Any, options: Mapping[str, Any]) -> Any:
    """No more than torch allows: less than the stride or the dilation."""
    most = [max(at(options["stride"], i), at(options["dilation"], i)) - 1 for i in (0, 1)]
    if isinstance(value, int):
        return min(value, *most)
    return tuple(map(min, value, most))


def least(options: Mapping[str, Any], kernel: Any, axis: int) -> int:
    """The smallest image that contains a window; for a transposed convolution, one with an output pixel."""
    if options.get("padding") == "same":
        return 1
    padding = 0 if isinstance(options.get("padding"), str) else at(options.get("padding", 0), axis)
    span = at(options.get("dilation", 1), axis) * (at(kernel, axis) - 1) + 1
    if "output_padding" in options:
        lacking = 2 * padding - (span - 1) - at(options["output_padding"], axis)
        return max(1, 1 - (-lacking // at(options["stride"], axis)))
    return max(1, span - 2 * padding)


def outputs(shape: tuple[int, ...], options: Mapping[str, Any], weight: ArraySpec | None) -> int:
    """The number of entries of the output of windows, for one sample; 1 where there are no windows."""
    of_weight = None if weight is None else weight.shape
    kernel = options.get("kernel_size") if of_weight is None else of_weight[2:]
    if len(shape) != 4 or kernel is None or (of_weight is not None and len(of_weight) != 4):
        return 1
    height, width = (max(1, side) for side in sides(shape, options, kernel))
    return (shape[1] if of_weight is None else of_weight[0]) * height * width


def sides(shape: tuple[int, ...], options: Mapping[str, Any], kernel: Any) -> tuple[int, int]:
    """The numbers of windows along both axes of an image; below 1 if none fits."""
    stride = options.get("stride", 1) or kernel
    padding = 0 if isinstance(options.get("padding"), str) else options.get("padding", 0)
    height, width = (
        (shape[2 + i] + 2 * at(padding, i) - at(options.get("dilation", 1), i) * (at(kernel, i) - 1) - 1)
        // at(stride, i)
        + 1
        for i in (0, 1)
    )
    return height, width


def pair(value: Any) -> Any:
    return value if isinstance(value, tuple) else (value, value)


def at(value: Any, axis: int) -> int:
    return int(pair(value)[axis])


def to_numbers(options: dict[str, Any]) -> None:
    """Use one number per option except the kernel, also for a stride derived from a non-square kernel."""
    kernel = options.get("kernel_size")
    if options.get("stride", 1) is None and isinstance(kernel, tuple):
        options["stride"] = kernel
    options |= {name: first_number(options[name]) for name in (*WINDOW[1:], "output_padding") if name in options}


def unchanged(value: Any) -> Any:
    return value


def first_number(value: Any) -> Any:
    """One number for both axes: the larger kernel, the first of anything else."""
    return value[0] if isinstance(value, tuple) else value
