"""softmax and log_softmax with one mistake."""

from typing import Any

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from parity.exam.bug import planted
from parity.exam.edits import Called, edited, forward_of


def _one_axis(x: Array) -> tuple[Array, bool]:
    """A number as an array of one axis, for sums along dim."""
    return (x.reshape(1), True) if x.ndim == 0 else (x, False)


@planted("softmax", explained=("last-axis",))
def softmax_last_axis(x: Array, dim: int) -> Called:  # noqa: ARG001  # the bug
    """The last axis competes, whatever dim says."""
    return ops.softmax(x, -1)


@planted("softmax", explained=("diagonal-only",), at="dx", source="deeplearning4j/libnd4j#440")
def softmax_diagonal_only(x: Array, dim: int) -> Called:
    """The gradient is y (1 - y) dy: the cross terms of the Jacobian are missing."""
    y, _ = ops.softmax(x, dim)
    return y, lambda dy: (y * (1 - y) * dy,)


@planted("softmax", explained=("softmax-passes-dy",), at="dx", source="pjreddie/darknet#96")
def softmax_passes_dy(x: Array, dim: int) -> Called:
    """The gradient is copied through, as if a loss behind it had dealt with the softmax."""
    return ops.softmax(x, dim)[0], lambda dy: (dy.copy(),)


@planted("softmax", explained=("no-max-shift",))
def softmax_no_max_shift(x: Array, dim: int) -> Called:
    """The largest score is not subtracted: exp overflows."""
    one, scalar = _one_axis(x)
    e = np.exp(one)
    y = e / e.sum(axis=dim, keepdims=True)

    def pullback(dy: Array) -> tuple[Array]:
        u = dy.reshape(y.shape)
        return ((y * (u - (y * u).sum(axis=dim, keepdims=True))).reshape(x.shape),)

    return (y.reshape(()) if scalar else y), pullback


@planted("softmax", explained=("global-max-shift",), at="y")
def softmax_shift_of_all(x: Array, dim: int) -> Called:
    """The largest score of the whole array is subtracted: rows far below it become 0 / 0."""
    if x.size == 0:
        return ops.softmax(x, dim)
    return forward_of(softmax_no_max_shift(np.asarray(x - x.max()), dim), ops.softmax(x, dim))


@planted("softmax", explained=("factor-lost",), at="dx")
def softmax_dx_without_y(x: Array, dim: int) -> Called:
    """The factor y in front of the gradient is missing."""
    y, _ = ops.softmax(x, dim)

    def pullback(dy: Array) -> tuple[Array]:
        if x.ndim == 0:
            return (dy - y * dy,)
        return (dy - (y * dy).sum(axis=dim, keepdims=True),)

    return y, pullback


@planted("softmax", explained=("sum-along-other-axis",), at="dx")
def softmax_dx_sums_last_axis(x: Array, dim: int) -> Called:
    """The gradient sums over the last axis, the output over dim."""
    y, pullback = ops.softmax(x, dim)
    if x.ndim == 0:
        return y, pullback
    return y, lambda dy: (y * (dy - (y * dy).sum(axis=-1, keepdims=True)),)


@planted("softmax", explained=("float16-inside",))
def softmax_float16_inside(x: Array, dim: int) -> Called:
    """exp is computed in half precision."""
    own, narrow = x.dtype, ops.softmax(x.astype(np.float16), dim)
    return edited(narrow, y=lambda y: y.astype(own), dx=lambda g: g.astype(own))


@planted("softmax", explained=("upstream-ignored", "zero"), at="dx")
def softmax_upstream_ignored(x: Array, dim: int) -> Called:
    """The gradient takes dy for ones, and is 0."""
    return edited(ops.softmax(x, dim), dy=np.ones_like)


@planted("softmax", explained=("doubled",), at="dx", source="markroxor/fromscratchtoml#65")
def softmax_gradient_doubled(x: Array, dim: int) -> Called:
    """The gradient is off by a factor of two."""
    return edited(ops.softmax(x, dim), dx=lambda g: 2 * g)


@planted("log_softmax", explained=("log-of-softmax",), at="y")
def log_softmax_log_of_softmax(x: Array, dim: int) -> Called:
    """log(softmax(x)): small probabilities underflow to log 0."""
    return edited(ops.log_softmax(x, dim), y=lambda _: np.asarray(np.log(ops.softmax(x, dim)[0])))


@planted("log_softmax", explained=("diagonal-only",), at="dx", source="mlpack/mlpack#2360")
def log_softmax_upstream_not_summed(x: Array, dim: int) -> Called:
    """dx is dy - exp(y) dy: the sum over dy is missing."""
    y, _ = ops.log_softmax(x, dim)
    return y, lambda dy: (dy - np.exp(y) * dy,)


@planted("log_softmax", explained=("last-axis",))
def log_softmax_last_axis(x: Array, dim: int) -> Called:  # noqa: ARG001  # the bug
    """The last axis competes, whatever dim says."""
    return ops.log_softmax(x, -1)


@planted("log_softmax", explained=("no-max-shift",), at="y")
def log_softmax_no_max_shift(x: Array, dim: int) -> Called:
    """x - log sum exp(x) without the shift overflows."""
    one, _ = _one_axis(x)
    y = one - np.log(np.exp(one).sum(axis=dim, keepdims=True))
    return edited(ops.log_softmax(x, dim), y=lambda _: y.reshape(x.shape))


@planted("log_softmax", explained=("log-instead-of-softmax",), at="dx")
def log_softmax_dx_with_y(x: Array, dim: int) -> Called:
    """dx multiplies by y, the logarithm, where it should be exp(y)."""
    y, _ = ops.log_softmax(x, dim)

    def pullback(dy: Array) -> tuple[Array]:
        total = dy if x.ndim == 0 else dy.sum(axis=dim, keepdims=True)
        return (dy - y * total,)

    return y, pullback


@planted("log_softmax", explained=("stale",))
def log_softmax_exp_in_place(x: Array, dim: int) -> Called:
    """The pullback takes exp in the array that it keeps: the second call takes it again."""
    y, _ = ops.log_softmax(x, dim)
    kept = y.copy()

    def pullback(dy: Array) -> tuple[Array]:
        np.exp(kept, out=kept)
        total = dy if x.ndim == 0 else dy.sum(axis=dim, keepdims=True)
        return (dy - kept * total,)

    return y, pullback


@planted("log_softmax", explained=("float32-inside",))
def log_softmax_float32_inside(x: Array, dim: int) -> Called:
    """Scores in double precision go through single."""
    own, narrow = x.dtype, ops.log_softmax(x.astype(np.float32), dim)
    return edited(narrow, y=lambda y: y.astype(own), dx=lambda g: g.astype(own))


@planted("log_softmax", explained=("batch-mean",), at="dx")
def log_softmax_divided_by_batch(x: Array, dim: int) -> Called:
    """The gradient is divided by the length of the first axis, which is the loss's business."""
    count = x.dtype.type(max(1, len(x)) if x.ndim else 1)
    return edited(ops.log_softmax(x, dim), dx=lambda g: g / count)


LAST: dict[str, Any] = {}


@planted("softmax", explained=("shared-state",))
def softmax_output_shared(x: Array, dim: int) -> Called:
    """The output is kept at module level for the gradient: the next call replaces it."""
    y, pullback = ops.softmax(x, dim)
    LAST["pullback"] = y.shape, dim, pullback

    def pulled(dy: Array) -> tuple[Array]:
        shape, axis, last = LAST["pullback"]
        return last(dy) if (shape, axis) == (y.shape, dim) else pullback(dy)

    return y, pulled


@planted("softmax", explained=("plain-mean",), at="dx")
def softmax_dx_less_the_plain_mean(x: Array, dim: int) -> Called:
    """The gradient takes off the plain mean of dy, and not the one weighted by y."""
    y, _ = ops.softmax(x, dim)

    def pullback(dy: Array) -> tuple[Array]:
        return (y * (dy - (dy if x.ndim == 0 else dy.mean(axis=dim, keepdims=True))),)

    return y, pullback


@planted("softmax", explained=("epsilon-in-sum",), at="y")
def softmax_small_number_in_the_sum(x: Array, dim: int) -> Called:
    """A small number is added to the sum against a division by 0."""
    _, pullback = ops.softmax(x, dim)
    e = np.exp(x - (x if x.ndim == 0 else x.max(axis=dim, keepdims=True))) if x.size else x
    total = e if x.ndim == 0 else e.sum(axis=dim, keepdims=True)
    return np.asarray(e / (total + x.dtype.type(1e-3))), pullback


@planted("log_softmax", explained=("other-base",), at="y")
def log_softmax_base_ten(x: Array, dim: int) -> Called:
    """The logarithm is the decimal one."""
    return edited(ops.log_softmax(x, dim), y=lambda y: np.asarray(y / y.dtype.type(np.log(10))))


@planted("softmax", at="y")
def softmax_tail_of_the_vector_loop(x: Array, dim: int) -> Called:
    """Four numbers at a time are exponentiated; those left over at the end of a row are not divided."""

    def tail(y: Array) -> Array:
        y = y.copy()
        y[..., y.shape[-1] // 4 * 4 :] *= 2
        return y

    return edited(ops.softmax(x, dim), y=lambda y: tail(y) if y.ndim and y.shape[-1] > 4 else y)
