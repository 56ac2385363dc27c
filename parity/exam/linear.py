"""Dense layers and flattening with one mistake."""

import math
from typing import Any

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from parity.exam.bug import planted
from parity.exam.edits import Called, edited, forward_of, mixed


@planted("linear", explained=("bias-missing",), at="y")
def linear_bias_missing(x: Array, w: Array, b: Array | None = None) -> Called:
    """The bias is not added."""
    return forward_of(ops.linear(x, w), ops.linear(x, w, b))


@planted("linear", explained=("bias-doubled",), at="y")
def linear_bias_doubled(x: Array, w: Array, b: Array | None = None) -> Called:
    """The bias is added twice."""
    return edited(ops.linear(x, w, b), y=lambda y: y if b is None else y + b)


@planted("linear", explained=("rows-mean", "batch-mean"), at="db")
def linear_db_averaged(x: Array, w: Array, b: Array | None = None) -> Called:
    """db is the mean over the samples."""
    return edited(ops.linear(x, w, b), db=lambda g: g / g.dtype.type(max(1, math.prod(x.shape[:-1]))))


@planted("linear", explained=("doubled",), at="dw", source="bighuang624/Andrew-Ng-Deep-Learning-notes#10")
def linear_dw_doubled(x: Array, w: Array, b: Array | None = None) -> Called:
    """A factor 2 is left in dw."""
    return edited(ops.linear(x, w, b), dw=lambda g: 2 * g)


@planted("linear", explained=("channels-transposed",), at="dw")
def linear_dw_transposed(x: Array, w: Array, b: Array | None = None) -> Called:
    """dw is (in, out): its shape gives that away unless the layer is square."""
    return edited(ops.linear(x, w, b), dw=lambda g: g.T.copy())


@planted("linear", explained=("weight-transposed", "argument-transposed"), at="dx")
def linear_dx_weight_transposed(x: Array, w: Array, b: Array | None = None) -> Called:
    """In a square layer dx multiplies by the transposed weight."""
    back = w.T if w.shape[0] == w.shape[1] else w
    return (
        edited(ops.linear(x, w, b), dx=lambda g: g)
        if back is w
        else mixed(ops.linear(x, w, b), ops.linear(x, back, b), 0)
    )


@planted("linear", explained=("last-row-only", "last-sample-only"), at="dw")
def linear_dw_last_sample_only(x: Array, w: Array, b: Array | None = None) -> Called:
    """dw is assigned for each sample where it should be added."""
    right = ops.linear(x, w, b)
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        dx, dw, db = right[1](dy)
        return dx, np.outer(dy.reshape(len(rows), len(w))[-1], rows[-1]) if len(rows) else dw, db

    return right[0], pulled


@planted("linear", at="dw")
def linear_dw_first_leading_axis_only(x: Array, w: Array, b: Array | None = None) -> Called:
    """With several leading axes dw counts only the first entry of all but the last of them."""
    right = ops.linear(x, w, b)
    if x.ndim < 3 or not x.size:
        return right
    first = (0,) * (x.ndim - 2)
    wrong = ops.linear(x[first], w, b)
    return mixed(right, (wrong[0], lambda dy: wrong[1](dy[first])), 1)


@planted("linear", explained=("float16-inside",))
def linear_float16_inside(x: Array, w: Array, b: Array | None = None) -> Called:
    """Half precision inside, as mixed-precision training has it."""
    own, narrow = x.dtype, [a if a is None else a.astype(np.float16) for a in (x, w, b)]

    def wide(a: Array) -> Array:
        return a.astype(own)

    return edited(ops.linear(*narrow), y=wide, dx=wide, dw=wide, db=wide)  # type: ignore[arg-type]  # b alone may be None


@planted("linear", explained=("mutates-upstream",))
def linear_upstream_changed(x: Array, w: Array, b: Array | None = None) -> Called:
    """The pullback divides the caller's dy by the batch in place."""
    y, pullback = ops.linear(x, w, b)

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        gradients = pullback(dy.copy())
        dy /= 2
        return gradients

    return y, pulled


@planted("linear", at="y")
def linear_single_feature_squeezed(x: Array, w: Array, b: Array | None = None) -> Called:
    """One output feature is squeezed away."""
    y, pullback = ops.linear(x, w, b)
    return (y[..., 0], lambda dy: pullback(dy[..., None])) if len(w) == 1 else (y, pullback)


LAST: dict[str, Any] = {}


@planted("linear", explained=("shared-state",))
def linear_input_shared(x: Array, w: Array, b: Array | None = None) -> Called:
    """The input is kept at module level: dw is that of the call that came last."""
    right = ops.linear(x, w, b)
    LAST["input"] = x

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        dx, dw, db = right[1](dy)
        last = LAST["input"]
        return dx, ops.linear(last, w, b)[1](dy)[1] if last.shape == x.shape else dw, db

    return right[0], pulled


@planted("flatten", explained=("reshaped-f", "order-f"))
def flatten_order_f(x: Array, start_dim: int = 0, end_dim: int = -1) -> Called:
    """The pixels come out column by column."""
    y, _ = ops.flatten(x, start_dim, end_dim)
    return x.reshape(y.shape, order="F"), lambda dy: (dy.reshape(x.shape, order="F"),)


@planted("flatten", explained=("reshaped-f", "order-f"), at="dx")
def flatten_dx_order_f(x: Array, start_dim: int = 0, end_dim: int = -1) -> Called:
    """The way back is column by column, the way there row by row."""
    return ops.flatten(x, start_dim, end_dim)[0], lambda dy: (dy.reshape(x.shape, order="F"),)


@planted("flatten", explained=("flattens-all-but-first", "start-dim-one"))
def flatten_keeps_the_first_axis(x: Array, start_dim: int = 0, end_dim: int = -1) -> Called:  # noqa: ARG001  # the bug
    """start_dim is always 1, as in a layer of a network."""
    return ops.flatten(x, min(1, max(x.ndim - 1, 0)), -1)


@planted("flatten", explained=("end-dim-excluded",))
def flatten_end_excluded(x: Array, start_dim: int = 0, end_dim: int = -1) -> Called:
    """end_dim is left out of the axes that become one."""
    rank = max(x.ndim, 1)
    start, end = start_dim % rank, end_dim % rank
    return ops.flatten(x, start, max(start, end - 1))


@planted("flatten", explained=("reversed", "result-flipped"), at="dx")
def flatten_dx_reversed(x: Array, start_dim: int = 0, end_dim: int = -1) -> Called:
    """The gradient is laid out from behind."""
    y, pullback = ops.flatten(x, start_dim, end_dim)
    return y, lambda dy: (np.flip(pullback(dy)[0]),)


@planted("flatten", explained=("spatial-axes-swapped", "order-f", "reshaped-f"))
def flatten_width_first(x: Array, start_dim: int = 0, end_dim: int = -1) -> Called:
    """Square images are flattened with height and width swapped, and back alike."""
    y, pullback = ops.flatten(x, start_dim, end_dim)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        return y, pullback
    return x.swapaxes(-1, -2).reshape(y.shape), lambda dy: (pullback(dy)[0].swapaxes(-1, -2),)


@planted("linear", explained=("first-row-only",), at="db")
def linear_db_first_sample_only(x: Array, w: Array, b: Array | None = None) -> Called:
    """db is the first sample's dy."""
    y, pullback = ops.linear(x, w, b)

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        dx, dw, db = pullback(dy)
        rows = dy.reshape(math.prod(x.shape[:-1]), len(w))
        return dx, dw, None if db is None else rows[:1].sum(axis=0)

    return y, pulled


@planted("linear", explained=("last-feature-lost",), at="y")
def linear_last_feature_lost(x: Array, w: Array, b: Array | None = None) -> Called:
    """The loop over input features ends one early, in the output alone."""
    fewer = w.copy()
    fewer[:, -1] = 0
    return forward_of(ops.linear(x, fewer, b), ops.linear(x, w, b))


@planted("linear", explained=("shares-memory",), at="db")
def linear_db_of_one_row(x: Array, w: Array, b: Array | None = None) -> Called:
    """With one row there is nothing to add up, and db is a view of dy."""
    y, pullback = ops.linear(x, w, b)

    def pulled(dy: Array) -> tuple[Array | None, ...]:
        dx, dw, db = pullback(dy)
        return dx, dw, db if db is None or dy.shape[:-1] != (1,) else dy[0]

    return y, pulled
