"""Implementations that are right and look different: none of these may be told to be wrong."""

import math
from typing import Any

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from numpy_cnn.chain import Layer
from numpy_cnn.common.spec.architecture import Architecture
from parity.exam.bug import correct
from parity.exam.convolution import textbook as im2col
from parity.exam.edits import Called, edited
from parity.exam.loss import from_log
from parity.exam.network import network
from parity.exam.optimizers import Trajectory
from parity.exam.windows import Windows, conv_windows, cropped, gather, padded, pool_windows, scatter


def _groups(a: Array, groups: int) -> Array:
    """The channels of an image, or the kernels, as (…, groups, channels of one, …): axis 1 is split."""
    return a.reshape(a.shape[0], groups, a.shape[1] // groups, *a.shape[2:])


# Convolution


@correct("conv2d")
def conv_by_patches(*arrays: Any, **options: Any) -> Called:
    """im2col, one product of matrices a group, col2im."""
    return im2col(*arrays, **options)


@correct("conv2d")
def conv_by_loops_over_positions(
    x: Array, w: Array, b: Array | None = None, groups: int = 1, **options: Any
) -> Called:
    """A loop over output pixels, as it is taught: a window of the padded image times each kernel, summed."""
    at = conv_windows(x, w, **options)
    wide = _groups(padded(x, at), groups)
    kernels = w.reshape(groups, -1, *w.shape[1:])
    y = np.zeros((len(x), len(w), *at.outputs), x.dtype)

    def window(p: int, q: int) -> tuple[Any, ...]:
        rows, columns = (
            slice(o * s, o * s + (k - 1) * d + 1, d)
            for o, s, k, d in zip((p, q), at.stride, at.kernel, at.dilation, strict=True)
        )
        return (..., rows, columns)

    positions = [(p, q) for p in range(at.outputs[0]) for q in range(at.outputs[1])]
    for p, q in positions:
        product = wide[window(p, q)][:, :, None] * kernels
        y[:, :, p, q] = product.sum(axis=(3, 4, 5)).reshape(len(x), len(w))
    if b is not None:
        y += b.reshape(1, -1, 1, 1)

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        dwide, dw = np.zeros_like(wide), np.zeros_like(kernels)
        for p, q in positions:
            u = dy[:, :, p, q].reshape(len(x), groups, len(w) // groups, 1, 1, 1)
            dwide[window(p, q)] += (u * kernels).sum(axis=2)
            dw += (u * wide[window(p, q)][:, :, None]).sum(axis=0)
        dx = cropped(dwide.reshape(len(x), x.shape[1], *wide.shape[3:]), at)
        return dx, dw.reshape(w.shape), None if b is None else dy.sum(axis=(0, 2, 3))

    return y, pullback


@correct("conv2d")
def conv_tap_by_tap_from_behind(
    x: Array, w: Array, b: Array | None = None, groups: int = 1, **options: Any
) -> Called:
    """One einsum a tap, the last tap first: the sums run in another order."""
    at = conv_windows(x, w, **options)
    wide = _groups(padded(x, at), groups)
    kernels = w.reshape(groups, -1, *w.shape[1:])
    taps = [*at.taps()][::-1]
    y = sum(np.einsum("goc,ngchw->ngohw", kernels[..., i, j], wide[at.under(i, j)]) for i, j in taps)
    y = np.asarray(y).reshape(len(x), len(w), *at.outputs)
    if b is not None:
        y = b[:, None, None] + y

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        u = _groups(dy, groups)
        dwide, dw = np.zeros_like(wide), np.zeros_like(kernels)
        for i, j in taps:
            dwide[at.under(i, j)] += np.einsum("goc,ngohw->ngchw", kernels[..., i, j], u)
            dw[..., i, j] = np.einsum("ngohw,ngchw->goc", u, wide[at.under(i, j)])
        dx = cropped(dwide.reshape(len(x), x.shape[1], *wide.shape[3:]), at)
        return dx, dw.reshape(w.shape), None if b is None else dy.sum((3, 2, 0))

    return y, pullback


@correct("conv2d")
def conv_dx_as_a_gather(x: Array, w: Array, b: Array | None = None, groups: int = 1, **options: Any) -> Called:
    """dx is a convolution of dy, stuffed with zeros by the stride, with the flipped kernel."""
    right = im2col(x, w, b, groups=groups, **options)
    at = conv_windows(x, w, **options)

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        _, dw, db = right[1](dy)
        spans = [at.dilation[i] * (at.kernel[i] - 1) for i in (0, 1)]
        sizes = [2 * spans[i] + max(at.reach[i] - spans[i], at.size[i] + at.padding[i]) for i in (0, 1)]
        stuffed = np.zeros((len(x), len(w), *sizes), x.dtype)
        rows, columns = (
            slice(spans[i], spans[i] + (at.outputs[i] - 1) * at.stride[i] + 1, at.stride[i]) for i in (0, 1)
        )
        stuffed[:, :, rows, columns] = dy
        back = w.reshape(groups, len(w) // groups, *w.shape[1:]).swapaxes(1, 2)[..., ::-1, ::-1]
        back = back.reshape(x.shape[1], len(w) // groups, *at.kernel)
        whole, _ = ops.conv2d(stuffed, back, dilation=at.dilation, groups=groups)
        top, left = at.padding
        return whole[:, :, top : top + at.size[0], left : left + at.size[1]], dw, db

    return right[0], pullback


@correct("conv2d")
def conv_image_by_image(x: Array, w: Array, b: Array | None = None, **options: Any) -> Called:
    """A loop over the images of the batch; dw is added up from the last to the first."""
    if not len(x):
        return im2col(x, w, b, **options)
    calls = [im2col(image[None], w, b, **options) for image in x]

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        each = [call[1](u[None]) for call, u in zip(calls, dy, strict=True)]
        dx, dw, db = zip(*each[::-1], strict=True)
        return np.concatenate(dx[::-1]), sum(dw), None if b is None else sum(db)

    return np.concatenate([y for y, _ in calls]), pullback


@correct("conv2d")
def conv_in_double_rounded_once(*arrays: Any, **options: Any) -> Called:
    """Computed in float64 whatever comes in, and rounded at the end."""
    own = arrays[0].dtype

    def narrow(a: Array) -> Array:
        return a.astype(own)

    wide: Any = [None if a is None else a.astype(np.float64) for a in arrays]
    return edited(im2col(*wide, **options), y=narrow, dx=narrow, dw=narrow, db=narrow)


@correct("conv2d")
def conv_fortran_ordered_results(*arrays: Any, **options: Any) -> Called:
    """The results lie in memory column by column."""
    f = np.asfortranarray
    return edited(im2col(*arrays, **options), y=f, dx=f, dw=f, db=f)


# Pooling


@correct("max_pool2d")
def pool_by_comparison(x: Array, **options: Any) -> Called:
    """The maximum of the patches, and the first tap that equals it taken for the winner."""
    at = pool_windows(x, **options)
    patches = gather(x, at, -np.inf)
    winner = _winner(patches, patches.max(axis=2), at, x)[:, :, None]

    def pullback(dy: Array) -> tuple[Array]:
        routed = np.zeros_like(patches)
        np.put_along_axis(routed, winner, dy[:, :, None], axis=2)
        return (scatter(routed, at),)

    return np.take_along_axis(patches, winner, axis=2)[:, :, 0], pullback


@correct("max_pool2d")
def pool_by_pairwise_maxima(x: Array, **options: Any) -> Called:
    """The larger of two taps, then of that and the next: a tap wins if it is greater than all before it."""
    at = pool_windows(x, **options)
    patches = gather(x, at, -np.inf)
    inside = gather(np.ones_like(x), at) > 0
    y, taken = patches[:, :, 0].copy(), inside[:, :, 0].copy()
    winner = np.zeros(y.shape, np.int64)
    for tap in range(1, patches.shape[2]):
        new = inside[:, :, tap] & (~taken | (patches[:, :, tap] > y) | np.isnan(patches[:, :, tap]))
        y, winner, taken = np.where(new, patches[:, :, tap], y), np.where(new, tap, winner), taken | new

    def pullback(dy: Array) -> tuple[Array]:
        taps = np.arange(patches.shape[2]).reshape(-1, 1, 1)
        return (scatter(np.where(taps == winner[:, :, None], dy[:, :, None], dy.dtype.type(0)), at),)

    return y, pullback


def _winner(patches: Array, y: Array, at: Windows, x: Array) -> Array:
    """The first tap inside the image that is the maximum; the last NaN, where there is one."""
    inside = gather(np.ones_like(x), at) > 0
    nan = np.isnan(patches)
    first = ((patches == y[:, :, None]) & inside).argmax(axis=2)
    last = patches.shape[2] - 1 - nan[:, :, ::-1].argmax(axis=2)
    return np.asarray(np.where(nan.any(axis=2), last, first))


@correct("max_pool2d")
def pool_window_by_window(x: Array, **options: Any) -> Called:
    """A loop over windows, each cut to the image, with argmax in each channel."""
    at = pool_windows(x, **options)
    y = np.empty((*x.shape[:2], *at.outputs), x.dtype)
    winners: dict[tuple[int, int], tuple[Array, Array]] = {}
    for p in range(at.outputs[0]):
        for q in range(at.outputs[1]):
            rows, columns = (
                [t for t in (o * s - pad + k * d for k in range(n)) if 0 <= t < size]
                for o, s, pad, d, n, size in zip(
                    (p, q), at.stride, at.padding, at.dilation, at.kernel, at.size, strict=True
                )
            )
            window = x[:, :, rows][:, :, :, columns].reshape(*x.shape[:2], len(rows) * len(columns))
            nan = np.isnan(window)
            last = window.shape[2] - 1 - nan[..., ::-1].argmax(axis=2)
            best = np.where(nan.any(axis=2), last, np.where(nan, -np.inf, window).argmax(axis=2))
            y[:, :, p, q] = np.take_along_axis(window, best[..., None], axis=2)[..., 0]
            winners[p, q] = np.array(rows)[best // len(columns)], np.array(columns)[best % len(columns)]

    def pullback(dy: Array) -> tuple[Array]:
        dx = np.zeros(x.shape, x.dtype)
        image, channel = np.ogrid[: x.shape[0], : x.shape[1]]
        for (p, q), (row, column) in winners.items():
            dx[image, channel, row, column] += dy[:, :, p, q]
        return (dx,)

    return y, pullback


@correct("max_pool2d")
def pool_scattered_at_once(x: Array, **options: Any) -> Called:
    """np.add.at over the winners' flat indices: what overlaps adds up, from the last window to the first."""
    at = pool_windows(x, **options)
    y, _ = ops.max_pool2d(x, **options)
    winner = _winner(gather(x, at, -np.inf), y, at, x)
    p, q = np.ogrid[: at.outputs[0], : at.outputs[1]]
    rows = p * at.stride[0] + winner // at.kernel[1] * at.dilation[0] - at.padding[0]
    columns = q * at.stride[1] + winner % at.kernel[1] * at.dilation[1] - at.padding[1]
    planes = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], 1, 1) * (at.size[0] * at.size[1])
    places = planes + rows * at.size[1] + columns

    def pullback(dy: Array) -> tuple[Array]:
        dx = np.zeros(x.size, x.dtype)
        np.add.at(dx, places.ravel()[::-1], dy.ravel()[::-1])
        return (dx.reshape(x.shape),)

    return y, pullback


# Activation


@correct("relu")
def relu_by_where(x: Array) -> Called:
    """A choice between x and 0."""
    y = np.where(x < 0, x.dtype.type(0), x)
    return y, lambda dy: (np.where(x <= 0, x.dtype.type(0), dy),)


@correct("relu")
def relu_by_clip(x: Array) -> Called:
    """np.maximum with 0 where that keeps the sign of zero; the gradient only where the clipped x is not 0."""
    y = np.asarray(np.where(x == 0, x, np.maximum(x, x.dtype.type(0))))
    return y, lambda dy: (np.where(np.maximum(x, 0) != 0, dy, x.dtype.type(0)),)


@correct("relu")
def relu_in_a_copy(x: Array) -> Called:
    """A copy of x, and a copy of dy, with zeros written to both."""
    y = np.array(x)
    y[x < 0] = 0

    def pullback(dy: Array) -> tuple[Array]:
        dx = np.array(dy)
        dx[x <= 0] = 0
        return (dx,)

    return y, pullback


# Dense


@correct("linear")
def linear_by_einsum(x: Array, w: Array, b: Array | None = None) -> Called:
    """einsum in the output and in dx, tensordot over the leading axes in dw."""
    y = np.einsum("oi,...i->...o", w, x) + (0 if b is None else b)
    lead = tuple(range(x.ndim - 1))
    return y.astype(x.dtype), lambda dy: (
        np.einsum("...o,oi->...i", dy, w),
        np.tensordot(dy, x, axes=(lead, lead)),
        None if b is None else dy.sum(axis=lead),
    )


@correct("linear")
def linear_with_ones(x: Array, w: Array, b: Array | None = None) -> Called:
    """The bias is one more column of the weight, and the input has a 1 for it."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    wide = rows if b is None else np.hstack([rows, np.ones((len(rows), 1), x.dtype)])
    matrix = w if b is None else np.hstack([w, b[:, None]])

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        u = dy.reshape(len(rows), len(w))
        dmatrix = (wide.T @ u).T
        dx = (u @ matrix)[:, : w.shape[1]].reshape(x.shape)
        return dx, dmatrix[:, : w.shape[1]], None if b is None else dmatrix[:, -1]

    return (wide @ matrix.T).reshape(*x.shape[:-1], len(w)), pullback


@correct("flatten")
def flatten_in_a_copy(x: Array, start_dim: int = 0, end_dim: int = -1) -> Called:
    """Always a copy, and copies for the gradient."""
    y, pullback = ops.flatten(x, start_dim, end_dim)
    return y.copy(), lambda dy: (pullback(dy)[0].copy(),)


# Softmax and losses


@correct("softmax")
def softmax_by_logarithm(x: Array, dim: int) -> Called:
    """exp(log_softmax(x)), and the gradient multiplied out."""
    y = np.exp(ops.log_softmax(x, dim)[0])

    def pullback(dy: Array) -> tuple[Array]:
        total = y * dy if x.ndim == 0 else (y * dy).sum(axis=dim, keepdims=True)
        return (np.asarray(y * dy - y * total),)

    return np.asarray(y), pullback


@correct("softmax")
def softmax_by_jacobian(x: Array, dim: int) -> Called:
    """The whole Jacobian diag(y) - y yᵀ of every row times dy."""
    y, _ = ops.softmax(x, dim)

    def pullback(dy: Array) -> tuple[Array]:
        if x.ndim == 0:
            return (np.asarray(y * dy - y * (y * dy)),)
        rows, u = np.moveaxis(y, dim, -1), np.moveaxis(dy, dim, -1)
        jacobian = rows[..., None] * (np.eye(rows.shape[-1], dtype=x.dtype) - rows[..., None, :])
        return (np.moveaxis((jacobian @ u[..., None])[..., 0], -1, dim),)

    return y, pullback


@correct("log_softmax")
def log_softmax_by_sum_in_double(x: Array, dim: int) -> Called:
    """The sum of the exponentials in double precision, rounded once."""
    own, wide = x.dtype, ops.log_softmax(x.astype(np.float64), dim)
    return edited(wide, dy=lambda dy: dy.astype(np.float64), y=lambda y: y.astype(own), dx=lambda g: g.astype(own))


@correct("nll_loss")
def nll_by_one_hot(x: Array, target: Array, **options: Any) -> Called:
    """A one-hot array times the log-probabilities, where they are finite."""
    ignore, weight = options.get("ignore_index", -100), options.get("weight")
    axis = min(1, x.ndim - 1)
    classes = np.arange(x.shape[axis]).reshape(-1, *[1] * (x.ndim - 1 - axis))
    hot = (np.expand_dims(target, axis) == classes) & np.expand_dims(target != ignore, axis)
    v = hot.astype(x.dtype) if weight is None else hot * weight.reshape(classes.shape)
    each = np.where(hot, -v * np.where(hot, x, 0), 0).sum(axis=axis, dtype=x.dtype)
    total = v.sum(dtype=x.dtype)
    mean, none = options["reduction"] == "mean", options["reduction"] == "none"
    y = each if none else each.sum(dtype=x.dtype) / total if mean else each.sum(dtype=x.dtype)

    def pullback(dy: Array) -> tuple[Array, None]:
        u = np.expand_dims(dy, axis) if none else dy / total if mean else dy
        return np.where(hot, -v * u, 0).astype(x.dtype), None

    return np.asarray(y), pullback


@correct("cross_entropy")
def ce_fused(x: Array, target: Array, **options: Any) -> Called:
    """(softmax - onehot) · v · dy in one formula."""
    axis = min(1, x.ndim - 1)
    right = ops.cross_entropy(x, target, **options)
    p = np.exp(ops.log_softmax(x, axis)[0])
    _, of_target = from_log(x, target, options)

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        onehot = of_target(dy)[0]
        return onehot - p * onehot.sum(axis=axis, keepdims=True), right[1](dy)[1]

    return right[0], pullback


@correct("mse_loss")
def mse_by_numpy_mean(x: Array, t: Array, reduction: str) -> Called:
    """np.square and np.mean, the factor 2 / size folded into one."""
    e = x - t
    reduced = {
        "none": lambda: np.square(e),
        "sum": lambda: np.square(e).sum(dtype=e.dtype),
        "mean": lambda: np.mean(np.square(e), dtype=e.dtype),
    }
    scale = 2 / e.size if reduction == "mean" and e.size else 2
    return np.asarray(reduced[reduction]()), lambda dy: (
        np.asarray(scale * e * dy, e.dtype),
        np.asarray(-scale * e * dy, e.dtype),
    )


@correct("mse_loss")
def mse_by_inner_product(x: Array, t: Array, reduction: str) -> Called:
    """The dot product of the differences with themselves."""
    e = np.asarray(x - t)
    right = ops.mse_loss(x, t, reduction=reduction)  # type: ignore[arg-type]  # a word of the case's
    if reduction == "none":
        return right
    flat = e.reshape(e.size)
    total = np.asarray(flat @ flat, x.dtype)
    return edited(right, y=lambda _: np.asarray(total / x.dtype.type(e.size) if reduction == "mean" else total))


# Normalization


@correct("batch_norm")
def norm_in_double(*arrays: Any, **options: Any) -> Called:
    """Computed in float64, with the gradient as the sum of three terms, and rounded once."""
    own = arrays[0].dtype
    wide: Any = [None if a is None else a.astype(np.float64) for a in arrays]
    y, pullback = ops.batch_norm(*wide, **options)
    return y.astype(own), lambda dy: tuple(
        None if g is None else g.astype(own) for g in pullback(dy.astype(np.float64))
    )


# A whole network


@correct("SimpleCNN")
def cnn_pools_before_the_relu(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """The ReLU behind the pooling: both only select, and the largest value rectified is the largest rectified."""

    def layers(before: list[Layer], a: Architecture) -> list[Layer]:
        conv, relu, pool, *others = before
        return [conv, pool, relu, *others] if a.activation == "relu" else before

    return network(x, parameters, architecture, target, layers)


# Optimizers


@correct("SGD")
def sgd_rate_in_the_velocity(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The learning rate is part of the velocity: equal while it stays the same."""
    lr, mu = settings["lr"], settings["momentum"]
    w, velocity, trajectory = parameter.copy(), None, []
    for gradient in gradients:
        if gradient is not None:
            g = lr * ((-gradient if settings["maximize"] else gradient) + settings["weight_decay"] * w)
            velocity = g if velocity is None else mu * velocity + (1 - settings["dampening"]) * g
            w = w - ((g + mu * velocity) if settings["nesterov"] else velocity if mu else g)
        trajectory.append(w)
    return np.stack(trajectory).astype(parameter.dtype), None


@correct("Adam")
def adam_folded_step_size(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """Both corrections in the step size, over one flat vector: lr √(1 − β₂ᵗ) / (1 − β₁ᵗ)."""
    return _folded(parameter, gradients, decoupled=False, **settings)


@correct("AdamW")
def adamw_folded_step_size(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The same, with the weights shrunk before the step."""
    return _folded(parameter, gradients, decoupled=True, **settings)


def _folded(
    parameter: Array,
    gradients: tuple[Array | None, ...],
    *,
    decoupled: bool,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool,
) -> Trajectory:
    w = parameter.reshape(-1).copy()
    m, v, most, t = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w), 0
    trajectory = []
    for gradient in gradients:
        if gradient is not None:
            t += 1
            g = (-gradient if maximize else gradient).reshape(-1)
            if decoupled:
                w = w - lr * weight_decay * w
            else:
                g = g + weight_decay * w
            m = m + (1 - betas[0]) * (g - m)
            v = betas[1] * v + (1 - betas[1]) * g * g
            most = np.maximum(most, v)
            root = math.sqrt(1 - betas[1] ** t)
            w = w - lr * root / (1 - betas[0] ** t) * m / (np.sqrt(most if amsgrad else v) + eps * root)
        trajectory.append(w.reshape(parameter.shape))
    return np.stack(trajectory).astype(parameter.dtype), None
