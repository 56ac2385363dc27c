"""Transposed convolution: the input gradient of a convolution, as a layer."""

from numpy_cnn.arguments import Array, IntPair, Pullback, check_floats, cotangent, integer, pair
from numpy_cnn.ops.fast.correlation import correlate, correlate_weight, framed_outputs, spread
from numpy_cnn.ops.fast.windows import Axis, batch_first, frame

__all__ = ["conv_transpose2d"]


def conv_transpose2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: IntPair = 1,
    padding: IntPair = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    dilation: IntPair = 1,
) -> tuple[Array, Pullback]:
    """Add up one kernel per pixel, scaled by the pixel, as `torch.nn.functional.conv_transpose2d`.

        y[n,c,h,v]  = b[c] + Σ_{o,i,j} w[o,c,i,j] · x[n,o,p,q]
                      over the (p,q) with (h,v) = (p·s − pad + i·d, q·s − pad + j·d)
        dx[n,o,p,q] = Σ_{c,i,j} w[o,c,i,j] · u[n, c, p·s − pad + i·d, q·s − pad + j·d]        with u = dy
        dw[o,c,i,j] = Σ_{n,p,q} x[n,o,p,q] · u[n, c, p·s − pad + i·d, q·s − pad + j·d]
        db[c]       = Σ_{n,h,v} u[n,c,h,v]

    y is the input gradient of the `conv2d` with the same weight, and dx is that `conv2d`; o runs over the input
    channels of c's group.

    Args:
        input: x, images (N, O, H, W), or one image (O, H, W).
        weight: kernels (O, C/groups, kh, kw).
        bias: (C,), or None.
        stride: spacing of the kernels in the output, one int or (height, width).
        padding: rows and columns cut off on each side of the output.
        output_padding: rows and columns added at the bottom and right, less than the stride or the dilation.
        groups: number of groups that channels and kernels are divided into.
        dilation: spacing of the taps.

    Returns:
        y (N, C, oh, ow) with oh = (H − 1)·s − 2·pad + d·(kh−1) + output_padding + 1, and the pullback
        dy → (dx, dw, db). `pullback(dy, needs_input_grad=(False, True, True))` skips dx and returns None instead.

    Raises:
        ValueError: shapes, dtypes or options are invalid, or the output has no pixels.

    Source: M. Zeiler, D. Krishnan, G. Taylor and R. Fergus, Deconvolutional networks (2010).
    """
    name = "conv_transpose2d"
    check_floats(name, input=input, weight=weight, bias=bias)
    x = input
    if x.ndim == 3:
        options = stride, padding, output_padding, groups, dilation
        y, batch_pullback = conv_transpose2d(x[None], weight, bias, *options)

        def of_one_image(dy: Array, **needs: tuple[bool, bool, bool]) -> tuple[Array | None, ...]:
            dx, dw, db = batch_pullback(cotangent(name, dy, y[0])[None], **needs)
            return None if dx is None else dx[0], dw, db

        return y[0], of_one_image
    rows, columns = _transposed_axes(x, weight, bias, stride, padding, output_padding, groups, dilation)
    framed = framed_outputs(x, rows, columns, spread_follows=True)
    y = spread(framed, rows, columns, weight, groups)
    if bias is not None:
        y += bias.reshape(-1, 1, 1, 1)

    def pullback(
        dy: Array, needs_input_grad: tuple[bool, bool, bool] = (True, True, True)
    ) -> tuple[Array | None, Array | None, Array | None]:
        needs_dx, needs_dw, needs_db = needs_input_grad
        u = frame(cotangent(name, dy, batch_first(y)), (rows, columns))
        dx = batch_first(correlate(u, rows, columns, weight, None, groups)) if needs_dx else None
        dw = correlate_weight(u, rows, columns, framed.inside, groups) if needs_dw else None
        db = u.inside.sum(axis=1).sum(axis=(1, 2)) if needs_db and bias is not None else None
        return dx, dw, db

    return batch_first(y), pullback


def _transposed_axes(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: IntPair,
    padding: IntPair,
    output_padding: IntPair,
    groups: int,
    dilation: IntPair,
) -> tuple[Axis, Axis]:
    """Check all arguments, and return the windows of the convolution of which this is the input gradient."""
    name = "conv_transpose2d"
    given = f"input {x.shape}, weight {weight.shape}, groups {groups}"
    groups = integer(name, "groups", groups)
    if groups < 1:
        raise ValueError(f"{name}: groups must be a positive int, got {groups!r}")
    if x.ndim != 4 or weight.ndim != 4 or min(weight.shape) < 1 or min(x.shape[1:]) < 1:
        raise ValueError(f"{name}: expected input (N, O, H, W) and weight (O, C/groups, kh, kw), got {given}")
    if x.shape[1] != len(weight) or len(weight) % groups:
        raise ValueError(f"{name}: the weight expects {len(weight)} channels in {groups} groups, got {given}")
    if bias is not None and bias.shape != (weight.shape[1] * groups,):
        raise ValueError(f"{name}: bias must have the shape ({weight.shape[1] * groups},), got {bias.shape}")
    strides = pair(name, "stride", stride, at_least=1)
    paddings = pair(name, "padding", padding, at_least=0)
    extra = pair(name, "output_padding", output_padding, at_least=0)
    dilations = pair(name, "dilation", dilation, at_least=1)

    def along(i: int) -> Axis:
        s, p, d, kernel, windows = strides[i], paddings[i], dilations[i], weight.shape[2 + i], x.shape[2 + i]
        if extra[i] >= max(s, d):
            raise ValueError(
                f"{name}: output_padding must be less than the stride or the dilation, got {extra[i]} with "
                f"stride {s} and dilation {d}"
            )
        size = (windows - 1) * s - 2 * p + d * (kernel - 1) + extra[i] + 1
        if size < 1:
            raise ValueError(f"{name}: padding {p} leaves {size} pixels of the {('height', 'width')[i]}: {given}")
        return Axis(size, windows, kernel, s, p, d)

    return along(0), along(1)
