"""The windows of pooling, and the taps that are inside the image."""

from functools import lru_cache
from typing import Any, TypeAlias

from numpy_cnn.arguments import IntPair, pair
from numpy_cnn.ops.fast.windows import Axis

Index: TypeAlias = tuple[slice, slice, slice]


def pool_strides(op: str, stride: IntPair | None, kernel: tuple[int, int]) -> tuple[int, int]:
    """Read `stride`; None and, as in torch, an empty sequence stand for the kernel's size."""
    omitted = stride is None or (isinstance(stride, (tuple, list)) and not stride)
    return kernel if omitted else pair(op, "stride", stride, at_least=1)  # type: ignore[arg-type]  # not None


def adaptive_size(op: str, shape: tuple[int, ...], output_size: Any) -> tuple[int, int]:
    """Read `output_size` as (oh, ow), where None in a pair is the side of the input.

    Raises:
        ValueError: it is neither an int nor a pair, or the input `shape` has no pixels.
    """
    if len(shape) not in (3, 4) or min(shape[1:]) < 1:
        raise ValueError(f"{op}: expected (N, C, H, W) with C, H and W at least 1, got {shape}")
    sizes = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * 2
    if len(sizes) != 2 or not isinstance(output_size, (int, tuple, list)):
        raise ValueError(f"{op}: output_size must be an int or a pair, got {output_size!r}")
    height, width = (side if size is None else size for size, side in zip(sizes, shape[-2:], strict=True))
    return pair(op, "output_size", (height, width), at_least=1)


@lru_cache
def pool_windows(
    op: str,
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    paddings: tuple[int, int],
    dilations: tuple[int, int],
    ceil_mode: bool,
) -> tuple[int, int, tuple[tuple[Index, Index], ...], bool, bool, bool]:
    """Check the arguments, and return (oh, ow, taps, whole, overlap, tiled).

    A tap is (outputs, inputs). `whole`: each tap is inside the image in every window; `overlap`: a pixel may
    belong to several windows; `tiled`: each belongs to exactly one. Cached, because the arguments are the same in
    every training step.
    """
    if len(shape) != 4 or min(shape[1:]) < 1:
        raise ValueError(f"{op}: expected (N, C, H, W) with C, H and W at least 1, got {shape}")

    def along(i: int) -> Axis:
        size, k, s, p, d = shape[2 + i], kernel[i], strides[i], paddings[i], dilations[i]
        name = ("height", "width")[i]
        if 2 * p > k:  # half of the kernel without its dilation, though torch's message says "effective"
            raise ValueError(f"{op}: padding {p} is more than half of the kernel's {name} {k}")
        room = size + 2 * p - d * (k - 1) - 1
        windows = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (windows - 1) * s >= size + p:
            windows -= 1  # the last window would begin beyond the image
        if windows < 1:
            raise ValueError(
                f"{op}: the kernel spans {d * (k - 1) + 1} pixels along the {name}, the padded input only "
                f"{size + 2 * p} (size {size}, padding {p}, dilation {d}): input {shape}"
            )
        axis = Axis(size, windows, k, s, p, d)
        if not axis.taps():  # then it is the only window: another one would begin in the image
            raise ValueError(
                f"{op}: the window along the {name} covers no pixel: its taps start at {-p}, {d} apart, "
                f"the image has {size} (kernel {k}, stride {s}, padding {p})"
            )
        return axis

    rows, columns = along(0), along(1)
    taps = tuple(
        ((slice(None), out_rows, out_columns), (slice(None), in_rows, in_columns))
        for _, out_rows, in_rows in rows.taps()
        for _, out_columns, in_columns in columns.taps()
    )  # row-major
    oh, ow = rows.windows, columns.windows
    whole = all(out == (slice(None), slice(0, oh), slice(0, ow)) for out, _ in taps)
    overlap = rows.overlap or columns.overlap
    tiled = whole and not overlap and len(taps) * oh * ow == shape[2] * shape[3]
    return oh, ow, taps, whole, overlap, tiled


def shares(size: int, windows: int) -> list[slice]:
    """⌊p·size/windows⌋ : ⌈(p+1)·size/windows⌉ for every p."""
    return [slice(p * size // windows, -(-(p + 1) * size // windows)) for p in range(windows)]
