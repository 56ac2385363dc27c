"""Two- and one-dimensional convolution (in mathematical terms, cross-correlation)."""

from functools import lru_cache

from numpy_cnn.arguments import Array, IntPair, Pullback, check_floats, cotangent, integer, pair
from numpy_cnn.ops.fast.conv_1x1 import conv_1x1
from numpy_cnn.ops.fast.correlation import correlate, correlate_weight, framed_outputs, spread
from numpy_cnn.ops.fast.windows import Axis, batch_first, frame

__all__ = ["conv1d", "conv2d"]


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

        dx[n,c,h,v] = Σ_{o,i,j} w[o,c,i,j] · u[n,o,p,q]   over the (p,q) whose tap (i,j) falls on (h,v)
        dw[o,c,i,j] = Σ_{n,p,q} u[n,o,p,q] · x[n, c, p·s − pad + i·d, q·s − pad + j·d]
        db[o]       = Σ_{n,p,q} u[n,o,p,q]

    NaN and ±∞ reach exactly the results whose formula contains them. The zeros outside the image are terms of the
    formula, and 0 · ∞ is NaN. So an infinite weight gives NaN in every output whose window has that tap on the
    padding, and an infinite u[n,o,p,q] gives NaN in every dw[o,c,i,j] whose tap (i,j) falls on the padding there.
    Outputs that do not exist are not terms: an infinite weight gives no NaN in dx. Torch's own CPU kernels do the
    same; those of oneDNN and NNPACK differ from each other.

    Args:
        input: x, images (N, C, H, W), or one image (C, H, W).
        weight: kernels (O, C/groups, kh, kw).
        bias: (O,), or None.
        stride: step of the window in pixels, one int or (height, width).
        padding: zeros on each side in pixels, one int or (height, width); "valid" for none, "same" for an output
            of the input's size (stride 1; of an odd number of zeros, the extra one goes to the bottom and right).
        dilation: spacing of the taps in pixels.
        groups: number of groups that channels and kernels are divided into; a kernel reads only its own group.

    Returns:
        y (N, O, oh, ow) with oh = ⌊(H + 2·pad − d·(kh−1) − 1) / s⌋ + 1, and the pullback dy → (dx, dw, db).
        `pullback(dy, needs_input_grad=(False, True, True))` skips dx and returns None in its place.

    Raises:
        ValueError: shapes, dtypes or options are invalid, or the kernel is larger than the padded image.

    Source: V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning (2016); as a matrix
    product of patches: K. Chellapilla, S. Puri and P. Simard (2006).
    """
    check_floats("conv2d", ("input", "weight"), input=input, weight=weight, bias=bias)
    x = input
    if x.ndim == 3:
        return _conv2d_of_one_image(x, weight, bias, stride, padding, dilation, groups)
    rows, columns = _axes(x, weight, bias, stride, padding, dilation, groups)
    if rows.pointwise and columns.pointwise:
        return conv_1x1(x, weight, bias, groups)
    framed = frame(x, (rows, columns))
    y = correlate(framed, rows, columns, weight, bias, groups)

    def pullback(
        dy: Array, needs_input_grad: tuple[bool, bool, bool] = (True, True, True)
    ) -> tuple[Array | None, Array | None, Array | None]:
        needs_dx, needs_dw, needs_db = needs_input_grad
        u = framed_outputs(cotangent("conv2d", dy, batch_first(y)), rows, columns, spread_follows=needs_dx)
        dx = dw = db = None
        if needs_dw:
            dw = correlate_weight(framed, rows, columns, u.inside, groups)
        if needs_db and bias is not None:
            db = u.inside.sum(axis=1).sum(axis=(1, 2))  # whole rows first: faster than one sum over all axes
        if needs_dx:
            dx = batch_first(spread(u, rows, columns, weight, groups))
        return dx, dw, db

    return batch_first(y), pullback


def conv1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int | tuple[int] = 1,
    padding: int | tuple[int] | str = 0,
    dilation: int | tuple[int] = 1,
    groups: int = 1,
) -> tuple[Array, Pullback]:
    """Slide O kernels over sequences, as `torch.nn.functional.conv1d`: `conv2d` over images of one row.

        y[n,o,p] = b[o] + Σ_{c,i} w[o,c,i] · x[n, c, p·s − pad + i·d]
        dx[n,c,h] = Σ_{o,i} w[o,c,i] · u[n,o,p]   over the p whose tap i falls on h
        dw[o,c,i] = Σ_{n,p} u[n,o,p] · x[n, c, p·s − pad + i·d]        db[o] = Σ_{n,p} u[n,o,p]

    Args:
        input: x, sequences (N, C, L), or one sequence (C, L).
        weight: kernels (O, C/groups, k).
        bias: (O,), or None.
        stride: step of the window.
        padding: zeros on each side, or "valid", or "same".
        dilation: spacing of the taps.
        groups: number of groups that channels and kernels are divided into.

    Returns:
        y (N, O, ol) with ol = ⌊(L + 2·pad − d·(k−1) − 1) / s⌋ + 1, and the pullback dy → (dx, dw, db).

    Raises:
        ValueError: shapes, dtypes or options are invalid. The checks that `conv2d` makes report as `conv2d`.

    Source: A. Waibel et al., Phoneme recognition using time-delay neural networks (1989).
    """
    check_floats("conv1d", ("input", "weight"), input=input, weight=weight, bias=bias)
    if input.ndim not in (2, 3) or weight.ndim != 3:
        given = f"input {input.shape}, weight {weight.shape}"
        raise ValueError(f"conv1d: expected input (N, C, L) or (C, L) and weight (O, C/groups, k), got {given}")
    if isinstance(padding, str):
        of_image: IntPair | str = padding
    else:
        of_image = (0, _one("padding", padding, 0))
    options = (1, _one("stride", stride, 1)), of_image, (1, _one("dilation", dilation, 1)), groups
    y, image_pullback = conv2d(input[..., None, :], weight[:, :, None], bias, *options)
    y = y[..., 0, :]

    def pullback(
        dy: Array, needs_input_grad: tuple[bool, bool, bool] = (True, True, True)
    ) -> tuple[Array | None, Array | None, Array | None]:
        dx, dw, db = image_pullback(cotangent("conv1d", dy, y)[..., None, :], needs_input_grad)
        return None if dx is None else dx[..., 0, :], None if dw is None else dw[:, :, 0], db

    return y, pullback


def _one(name: str, value: int | tuple[int], least: int) -> int:
    single = value[0] if isinstance(value, (tuple, list)) and len(value) == 1 else value
    if isinstance(single, (tuple, list)):
        raise ValueError(f"conv1d: {name} must be one int, got {value!r}")
    return pair("conv1d", name, single, at_least=least)[1]


def _conv2d_of_one_image(
    x: Array, weight: Array, bias: Array | None, *options: IntPair | str
) -> tuple[Array, Pullback]:
    y, batch_pullback = conv2d(x[None], weight, bias, *options)  # type: ignore[arg-type]  # checked there

    def pullback(
        dy: Array, needs_input_grad: tuple[bool, bool, bool] = (True, True, True)
    ) -> tuple[Array | None, ...]:
        dx, dw, db = batch_pullback(cotangent("conv2d", dy, y[0])[None], needs_input_grad)
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
    """Check all arguments, and return the windows along height and width."""
    groups = integer("conv2d", "groups", groups)
    if groups < 1:
        raise ValueError(f"conv2d: groups must be a positive int, got {groups!r}")
    strides = pair("conv2d", "stride", stride, at_least=1)
    dilations = pair("conv2d", "dilation", dilation, at_least=1)
    if not isinstance(padding, str):
        padding = pair("conv2d", "padding", padding, at_least=0)
    elif padding not in ("same", "valid"):
        raise ValueError(f"conv2d: padding must be ints, 'same' or 'valid', got {padding!r}")
    elif padding == "same" and max(strides) > 1:
        raise ValueError(f"conv2d: padding='same' needs stride 1, got stride {stride!r}")
    of_bias = None if bias is None else bias.shape
    return _axes_of(x.shape, weight.shape, of_bias, strides, padding, dilations, groups)


@lru_cache(maxsize=1024)  # the arguments are the same in every training step
def _axes_of(
    images: tuple[int, ...],
    weight: tuple[int, ...],
    bias: tuple[int, ...] | None,
    stride: tuple[int, int],
    padding: tuple[int, int] | str,
    dilation: tuple[int, int],
    groups: int,
) -> tuple[Axis, Axis]:
    given = f"input {images}, weight {weight}, groups {groups}"
    if len(images) != 4 or len(weight) != 4:
        raise ValueError(f"conv2d: expected input (N, C, H, W) and weight (O, C/groups, kh, kw), got {given}")
    kernels, channels = weight[:2]
    if min(images[2:]) < 1:
        raise ValueError(f"conv2d: the image has no pixels: {given}")
    if min(weight) < 1:
        raise ValueError(f"conv2d: every axis of the weight must be at least 1, got {given}")
    if images[1] != channels * groups:
        raise ValueError(
            f"conv2d: the weight expects {channels}·{groups} channels, the input has {images[1]}: {given}"
        )
    if kernels % groups:
        raise ValueError(f"conv2d: {kernels} kernels cannot be divided into {groups} groups: {given}")
    if bias is not None and bias != (kernels,):
        raise ValueError(f"conv2d: bias must have the shape ({kernels},), got {bias}")
    spans = [d * (k - 1) for d, k in zip(dilation, weight[2:], strict=True)]
    if isinstance(padding, str):
        total = spans if padding == "same" else [0, 0]
        before = (total[0] // 2, total[1] // 2)
    else:
        total, before = [2 * padding[0], 2 * padding[1]], padding

    def along(i: int) -> Axis:
        size, span = images[2 + i], spans[i]
        if size + total[i] <= span:
            raise ValueError(
                f"conv2d: the kernel spans {span + 1} pixels along the {('height', 'width')[i]}, the padded input "
                f"only {size + total[i]} (size {size}, padding {padding!r}, dilation {dilation!r}): {given}"
            )
        windows = (size + total[i] - span - 1) // stride[i] + 1
        return Axis(size, windows, weight[2 + i], stride[i], before[i], dilation[i])

    return along(0), along(1)
