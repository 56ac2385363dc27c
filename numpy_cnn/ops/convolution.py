"""2-D convolution, as the field calls what is mathematically a cross-correlation."""

import math
from collections.abc import Iterator
from itertools import product

import numpy as np

from numpy_cnn.ops.arguments import Array, IntPair, Pullback, check_floats, cotangent, pair
from numpy_cnn.ops.layout import batch_first, batch_last
from numpy_cnn.ops.room import Room
from numpy_cnn.ops.windows import Axis, sliding

# Patches are kh·kw times as large as the image they come from. So they are made block after block, of a size that
# stays in the second-level cache between being written and being multiplied.
PATCH_BYTES = 1 << 20

# Images of a block at most: runs that long are copied at full speed, and a block then holds a row of them.
IMAGES = 64

# Multiplications of one matrix product at most, where there are many positions for few kernels: OpenBLAS takes so
# small a one straight from memory. A larger one it would rearrange first, which pays only with many kernels.
PRODUCT = 1_000_000


def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: IntPair = 1,
    padding: IntPair | str = 0,
    dilation: IntPair = 1,
    groups: int = 1,
) -> tuple[Array, Pullback]:
    """Slide O kernels over the images, as `torch.nn.functional.conv2d`.

        y[n,o,p,q] = b[o] + Σ_{c,i,j} w[o,c,i,j] · x[n, c, p·s − pad + i·d, q·s − pad + j·d]

    x is zero outside the image, and c runs over the channels of o's group. With u = dy:

        dx[n,c,h,v] = Σ_{o,i,j} w[o,c,i,j] · u[n,o,p,q]   over the (p,q) whose tap (i,j) lies on (h,v)
        dw[o,c,i,j] = Σ_{n,p,q} u[n,o,p,q] · x[n, c, p·s − pad + i·d, q·s − pad + j·d]
        db[o]       = Σ_{n,p,q} u[n,o,p,q]

    Args:
        input: x, images (N, C, H, W), or one image (C, H, W).
        weight: kernels (O, C/groups, kh, kw).
        bias: (O,), or None.
        stride: step of the window in pixels, one int or (height, width).
        padding: zeros on each side in pixels, one int or (height, width); "valid" for none, "same" for an output
            of the input's size (stride 1; an odd zero goes to the bottom and right).
        dilation: distance of neighbouring taps in pixels.
        groups: the channels and the kernels fall into so many groups, and each group sees its own.

    Returns:
        y (N, O, oh, ow) with oh = ⌊(H + 2·pad − d·(kh−1) − 1) / s⌋ + 1, and the pullback dy → (dx, dw, db).
        `pullback(dy, needs_input_grad=(False, True, True))` leaves dx out and gives None in its place.

    Raises:
        ValueError: shapes, dtypes or options do not fit, or the kernel is larger than the padded image.

    Source: V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning (2016); as a matrix
    product of patches: K. Chellapilla, S. Puri and P. Simard (2006).
    """
    check_floats("conv2d", input=input, weight=weight, bias=bias)
    x = input
    if x.ndim == 3:
        return _conv2d_of_one_image(x, weight, bias, stride, padding, dilation, groups)
    rows, columns = _axes(x, weight, bias, stride, padding, dilation, groups)
    windows = sliding(x, rows, columns)
    y = np.empty((len(weight), rows.windows, columns.windows, len(x)), dtype=x.dtype)
    _correlate(windows, weight, bias, groups, out=y)

    def pullback(
        dy: Array, needs_input_grad: tuple[bool, bool, bool] = (True, True, True)
    ) -> tuple[Array | None, Array | None, Array | None]:
        u = batch_last(cotangent("conv2d", dy, batch_first(y)))
        needs_dx, needs_dw, needs_db = needs_input_grad
        dx = dw = db = None
        if needs_dw:
            dw = _correlate_weight(windows, u, groups).reshape(weight.shape)
        if needs_db and bias is not None:
            db = u.sum(axis=(1, 2, 3))
        if needs_dx:
            # Channels and kernels swap places, and each phase of the inputs is a convolution of u with the taps
            # that meet it: nothing is scattered, and every input is written once.
            back = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
            back = back.reshape(x.shape[1], -1, *weight.shape[2:])
            dx = np.empty((*x.shape[1:], len(x)), dtype=x.dtype)
            for (in_rows, row_taps, r), (in_columns, column_taps, c) in product(rows.phases(), columns.phases()):
                taps = back[:, :, row_taps, column_taps]
                _correlate(sliding(batch_first(u), r, c), taps, None, groups, out=dx[:, in_rows, in_columns])
            dx = batch_first(dx)
        return dx, dw, db

    return batch_first(y), pullback


def _correlate(windows: Array, weight: Array, bias: Array | None, groups: int, out: Array) -> None:
    """out[o] = b[o] + Σ_k w[o,k] · patch[k]: the kernels of a group times its patches, block after block."""
    w = weight.reshape(groups, 1, len(weight) // groups, math.prod(weight.shape[1:]))
    room = Room(windows.dtype)
    for (row, image), patches in _blocks(windows, groups, w.shape[2]):
        _, pieces, _, positions = patches.shape
        y = room(groups, w.shape[2], pieces, positions)
        np.matmul(w, patches, out=y.swapaxes(1, 2))
        block = out[:, row, :, image]
        np.add(y.reshape(block.shape), 0 if bias is None else bias[:, None, None, None], out=block)


def _correlate_weight(windows: Array, u: Array, groups: int) -> Array:
    """dw[o,k] = Σ_p u[o,p] · patch[k,p], as patches · uᵀ: BLAS is faster with the long side, the taps, first."""
    channels, kh, kw, *_ = windows.shape
    dw = np.zeros((groups, channels // groups * kh * kw, len(u) // groups), dtype=u.dtype)
    for (row, image), patches in _blocks(windows, groups, dw.shape[2]):
        _, pieces, _, positions = patches.shape
        block = u[:, row, :, image].reshape(groups, dw.shape[2], pieces, positions)
        dw += (patches @ block.transpose(0, 2, 3, 1)).sum(axis=1)
    return dw.swapaxes(1, 2)


def _blocks(windows: Array, groups: int, kernels: int) -> Iterator[tuple[tuple[slice, slice], Array]]:
    """(output rows, images), and their patches (groups, pieces, channels of a group · taps, positions of a piece).

    `windows` are those of `sliding`. The patches hold until the next are asked for.
    """
    channels, kh, kw, oh, ow, images = windows.shape
    step = max(1, min(images, IMAGES))
    taps = channels // groups * kh * kw
    height = max(1, PATCH_BYTES // max(1, groups * taps * ow * step * windows.itemsize))
    room = Room(windows.dtype)
    for image in range(0, images, step):
        for row in range(0, oh, height):
            block = slice(row, min(row + height, oh)), slice(image, min(image + step, images))
            view = windows[:, :, :, block[0], :, block[1]]
            copy = room(*view.shape)
            np.copyto(copy, view)
            positions = math.prod(view.shape[3:])
            pieces = _pieces(positions, kernels * taps)
            yield block, copy.reshape(groups, taps, pieces, positions // pieces).swapaxes(1, 2)


def _pieces(positions: int, each: int) -> int:
    """How many equal pieces of the positions take up to PRODUCT multiplications, with `each` for a position."""
    least = max(1, min(-(-positions * each // PRODUCT), positions // 64))
    return next(m for m in range(least, positions + 1) if positions % m == 0)


def _conv2d_of_one_image(
    x: Array, weight: Array, bias: Array | None, *options: IntPair | str
) -> tuple[Array, Pullback]:
    y, batch_pullback = conv2d(x[None], weight, bias, *options)  # type: ignore[arg-type]  # passed through as given

    def pullback(dy: Array, **needs: tuple[bool, bool, bool]) -> tuple[Array | None, ...]:
        dx, dw, db = batch_pullback(cotangent("conv2d", dy, y[0])[None], **needs)
        return None if dx is None else dx[0], dw, db

    return y[0], pullback


def _axes(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: IntPair,
    padding: IntPair | str,
    dilation: IntPair,
    groups: int,
) -> tuple[Axis, Axis]:
    """The windows along height and width, once everything is known to fit."""
    told = f"input {x.shape}, weight {weight.shape}, groups {groups}"
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(f"conv2d: expected input (N, C, H, W) and weight (O, C/groups, kh, kw), got {told}")
    if not isinstance(groups, (int, np.integer)) or groups < 1:
        raise ValueError(f"conv2d: groups must be a positive int, got {groups!r}")
    kernels, channels = weight.shape[:2]
    if min(weight.shape) < 1:
        raise ValueError(f"conv2d: every axis of the weight must be at least 1, got {told}")
    if x.shape[1] != channels * groups:
        raise ValueError(
            f"conv2d: the weight takes {channels}·{groups} channels, the input has {x.shape[1]}: {told}"
        )
    if kernels % groups:
        raise ValueError(f"conv2d: {kernels} kernels do not fall into {groups} groups: {told}")
    if bias is not None and bias.shape != (kernels,):
        raise ValueError(f"conv2d: bias must have the shape ({kernels},), got {bias.shape}")
    strides = pair("conv2d", "stride", stride, at_least=1)
    dilations = pair("conv2d", "dilation", dilation, at_least=1)
    spans = [d * (k - 1) for d, k in zip(dilations, weight.shape[2:], strict=True)]
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"conv2d: padding must be ints, 'same' or 'valid', got {padding!r}")
        if padding == "same" and max(strides) > 1:
            raise ValueError(f"conv2d: padding='same' needs stride 1, got stride {stride!r}")
        total = spans if padding == "same" else [0, 0]
        before = (total[0] // 2, total[1] // 2)
    else:
        before = pair("conv2d", "padding", padding, at_least=0)
        total = [2 * before[0], 2 * before[1]]

    def along(i: int) -> Axis:
        size, span = x.shape[2 + i], spans[i]
        if size < 1 or size + total[i] <= span:
            raise ValueError(
                f"conv2d: the kernel spans {span + 1} pixels along the {('height', 'width')[i]}, the padded input "
                f"only {size + total[i]} (size {size}, padding {padding!r}, dilation {dilation!r}): {told}"
            )
        windows = (size + total[i] - span - 1) // strides[i] + 1
        return Axis(size, windows, weight.shape[2 + i], strides[i], before[i], dilations[i])

    return along(0), along(1)
