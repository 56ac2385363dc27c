"""Windows as columns (im2col), and sums of such columns (col2im): each function is the pullback of the other."""

import numpy as np

from numpy_cnn.arguments import Array, IntPair, Pullback, check_floats, cotangent, pair
from numpy_cnn.ops.fast.windows import Axis

__all__ = ["fold", "unfold"]


def unfold(
    input: Array, kernel_size: IntPair, dilation: IntPair = 1, padding: IntPair = 0, stride: IntPair = 1
) -> tuple[Array, Pullback]:
    """Copy each window into a column, as `torch.nn.functional.unfold`; also known as im2col.

        y[n, (c·kh + i)·kw + j, p·ow + q] = x[n, c, p·s − pad + i·d, q·s − pad + j·d], with x = 0 outside the image
        dx = fold(dy)

    A convolution is the product of its weight, as a matrix (O, C·kh·kw), with these columns.

    Args:
        input: x, images (N, C, H, W), or one image (C, H, W).
        kernel_size: size of the window in pixels, one int or (height, width).
        dilation: distance between the taps of a window in pixels.
        padding: zeros on each side.
        stride: step of the window in pixels.

    Returns:
        y (N, C·kh·kw, oh·ow) with oh = ⌊(H + 2·pad − d·(kh − 1) − 1) / s⌋ + 1, and the pullback dy → (dx,).

    Raises:
        ValueError: shapes, dtype or options are invalid, or no window fits.

    Source: K. Chellapilla, S. Puri and P. Simard, High performance convolutional neural networks for document
    processing (2006).
    """
    check_floats("unfold", input=input)
    if input.ndim not in (3, 4) or min(input.shape[-3:]) < 1:
        raise ValueError(f"unfold: expected (N, C, H, W) with C, H and W at least 1, got {input.shape}")
    axes = _axes("unfold", input.shape[-2:], kernel_size, dilation, padding, stride)
    y = _columns(input, *axes)

    def pullback(dy: Array) -> tuple[Array]:
        return (_sums(cotangent("unfold", dy, y), *axes),)

    return y, pullback


def fold(
    input: Array,
    output_size: IntPair,
    kernel_size: IntPair,
    dilation: IntPair = 1,
    padding: IntPair = 0,
    stride: IntPair = 1,
) -> tuple[Array, Pullback]:
    """Add the columns of `unfold` to the pixels that they come from, as `torch.nn.functional.fold` (col2im).

        y[n,c,h,v] = Σ x[n, (c·kh + i)·kw + j, p·ow + q] over p·s − pad + i·d = h, q·s − pad + j·d = v
        dx = unfold(dy)

    Args:
        input: x, columns (N, C·kh·kw, oh·ow), or those of one image (C·kh·kw, oh·ow).
        output_size: (H, W), or one int for both.
        kernel_size: size of the window in pixels, one int or (height, width).
        dilation: distance between the taps of a window in pixels.
        padding: zeros on each side, whose sums are dropped.
        stride: step of the window in pixels.

    Returns:
        y (N, C, H, W), and the pullback dy → (dx,).

    Raises:
        ValueError: shapes, dtype or options are invalid, or the number of columns is not that of the windows.

    Source: as for `unfold`.
    """
    check_floats("fold", input=input)
    if input.ndim not in (2, 3) or min(input.shape[-2:]) < 1:
        raise ValueError(f"fold: expected (N, C·kh·kw, oh·ow) with all but N at least 1, got {input.shape}")
    size = pair("fold", "output_size", output_size, at_least=1, single=False)
    rows, columns = axes = _axes("fold", size, kernel_size, dilation, padding, stride)
    taps, windows = rows.kernel * columns.kernel, rows.windows * columns.windows
    if input.shape[-2] % taps or input.shape[-1] != windows:
        raise ValueError(
            f"fold: output_size {size} has {rows.windows}·{columns.windows} windows of {rows.kernel}·"
            f"{columns.kernel} taps, so the input must be (N, {taps}·C, {windows}), got {input.shape}"
        )
    y = _sums(input, *axes)

    def pullback(dy: Array) -> tuple[Array]:
        return (_columns(cotangent("fold", dy, y), *axes),)

    return y, pullback


def _axes(
    op: str, size: tuple[int, ...], kernel_size: IntPair, dilation: IntPair, padding: IntPair, stride: IntPair
) -> tuple[Axis, Axis]:
    """The windows along the rows and along the columns."""
    kernel = pair(op, "kernel_size", kernel_size, at_least=1, single=False)
    apart = pair(op, "dilation", dilation, at_least=1, single=False)
    paddings = pair(op, "padding", padding, at_least=0, single=False)
    strides = pair(op, "stride", stride, at_least=1, single=False)

    def along(axis: int) -> Axis:
        k, s, p, d = kernel[axis], strides[axis], paddings[axis], apart[axis]
        span, padded = d * (k - 1) + 1, size[axis] + 2 * p
        if span > padded:
            raise ValueError(
                f"{op}: a window spans {span} pixels, d·(k − 1) + 1, but the padded image has {padded} along axis "
                f"{axis - 2}: size {tuple(size)}, kernel_size {kernel}, dilation {apart}, padding {paddings}"
            )
        return Axis(size[axis], (padded - span) // s + 1, k, s, p, d)

    return along(0), along(1)


def _columns(x: Array, rows: Axis, columns: Axis) -> Array:
    """(…, C, H, W) → (…, C·kh·kw, oh·ow), tap by tap: the pixels that one tap meets are a slice."""
    *leading, channels, _, _ = x.shape
    y = np.zeros((*leading, channels, rows.kernel, columns.kernel, rows.windows, columns.windows), x.dtype)
    for i, p, h in rows.taps():
        for j, q, v in columns.taps():
            y[..., i, j, p, q] = x[..., h, v]
    return y.reshape(*leading, channels * rows.kernel * columns.kernel, rows.windows * columns.windows)


@np.errstate(invalid="ignore")  # ∞ − ∞ is NaN as in torch, so do not warn
def _sums(columns_of_windows: Array, rows: Axis, columns: Axis) -> Array:
    """(…, C·kh·kw, oh·ow) → (…, C, H, W), the same taps in the other direction."""
    *leading, lines, _ = columns_of_windows.shape
    channels = lines // (rows.kernel * columns.kernel)
    x = np.zeros((*leading, channels, rows.size, columns.size), columns_of_windows.dtype)
    u = columns_of_windows.reshape(*leading, channels, rows.kernel, columns.kernel, rows.windows, columns.windows)
    for i, p, h in rows.taps():
        for j, q, v in columns.taps():
            x[..., h, v] += u[..., i, j, p, q]
    return x
