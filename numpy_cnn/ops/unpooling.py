"""Max-unpooling: the maxima placed at their original positions."""

from collections.abc import Sequence

import numpy as np

from numpy_cnn.arguments import Array, IntPair, Pullback, check_floats, cotangent, integer, pair

__all__ = ["max_unpool2d"]


def max_unpool2d(
    input: Array,
    indices: Array,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    output_size: tuple[int, ...] | None = None,
) -> tuple[Array, Pullback]:
    """Place maxima at their original positions, with zeros elsewhere, as `torch.nn.functional.max_unpool2d`.

        y[n, c, i[n,c,p,q]] = x[n,c,p,q], and 0 elsewhere        dx[n,c,p,q] = dy[n, c, i[n,c,p,q]]

    Where several indices are equal, the last one in row-major order is kept.

    Args:
        input: x, (N, C, H, W) or (C, H, W).
        indices: i, int64 positions h · ow + v in the output, of x's shape, as `max_pool2d` returns them.
        kernel_size: the kernel size of the pooling.
        stride: the stride of the pooling; None for the kernel's size.
        padding: the padding of the pooling.
        output_size: (oh, ow) or (N, C, oh, ow), or None for oh = (H − 1)·s − 2·pad + kh.

    Returns:
        y (N, C, oh, ow), and the pullback dy → (dx, None).

    Raises:
        ValueError: shapes, dtypes or options are invalid, or an index is outside the output.

    Source: M. Zeiler and R. Fergus, Visualizing and understanding convolutional networks (2014).
    """
    name = "max_unpool2d"
    check_floats(name, input=input)
    x = input
    if x.ndim not in (3, 4) or min(x.shape[-3:]) < 1:
        raise ValueError(f"{name}: expected (N, C, H, W) with C, H and W at least 1, got {x.shape}")
    if not isinstance(indices, np.ndarray) or indices.dtype != np.int64 or indices.shape != x.shape:
        got = f"{getattr(indices, 'dtype', type(indices).__name__)} of {np.shape(indices)}"
        raise ValueError(f"{name}: indices must be int64 of shape {x.shape}, got {got}")
    kernel = pair(name, "kernel_size", kernel_size, at_least=1, single=False)
    strides = pair(name, "stride", kernel if stride is None else stride, at_least=1, single=False)
    paddings = pair(name, "padding", padding, at_least=0, single=False)
    sizes = [(x.shape[i - 2] - 1) * strides[i] - 2 * paddings[i] + kernel[i] for i in (0, 1)]
    if output_size is not None:
        wanted = tuple(output_size) if isinstance(output_size, Sequence) else ()
        if len(wanted) not in (2, 4):
            raise ValueError(f"{name}: output_size must have 2 or 4 entries, got {output_size!r}")
        wanted = tuple(integer(name, "output_size", size) for size in wanted[-2:])
        if any(abs(w - s) >= step for w, s, step in zip(wanted, sizes, strides, strict=True)):
            raise ValueError(f"{name}: output_size must be within a stride of {tuple(sizes)}, got {output_size}")
        sizes = list(wanted)
    oh, ow = sizes
    outside = (indices < 0) | (indices >= oh * ow)
    if min(sizes) < 1 or outside.any():
        what = f"index {indices[outside][0]} is outside" if outside.any() else "there are no pixels in"
        raise ValueError(f"{name}: {what} the output ({oh}, {ow}) of the input {x.shape}")
    planes = int(np.prod(x.shape[:-2]))
    flat = planes, x.shape[-2] * x.shape[-1]
    # Contiguous, because NumPy assigns in memory order, and the last of equal indices must win.
    where = np.arange(planes)[:, None], np.ascontiguousarray(indices.reshape(flat))
    y = np.zeros((planes, oh * ow), dtype=x.dtype)
    y[where] = np.ascontiguousarray(x.reshape(flat))
    y = y.reshape(*x.shape[:-2], oh, ow)

    def pullback(dy: Array) -> tuple[Array, None]:
        return cotangent(name, dy, y).reshape(planes, oh * ow)[where].reshape(x.shape), None

    return y, pullback
