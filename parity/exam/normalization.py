"""Batch normalization with one mistake."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array
from parity.cases.op import Op
from parity.cases.state import collected, keep
from parity.exam import stateful
from parity.exam.bug import CORRECT, Correct, plant
from parity.exam.call import Call, Called, Change
from parity.exam.changes import instead, only, options, output, result
from parity.rows.registry import ROWS

norm = partial(plant, "batch_norm")


def _axes(x: Array) -> tuple[int, ...]:
    """All axes except that of the channels."""
    return (0, *range(2, x.ndim))


def _along(channels: Array | None, x: Array, absent: float) -> Array:
    """Reshape (C,) to broadcast against x."""
    if channels is None:
        return np.asarray(absent, np.float64)
    return channels.astype(np.float64).reshape(-1, *[1] * (x.ndim - 2))


def textbook(
    x: Array,
    mean: Array | None,
    var: Array | None,
    w: Array | None = None,
    b: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,  # noqa: ARG001  # part of the signature; only the running statistics use it
    eps: float = 1e-5,
    *,
    axes: Callable[[Array], tuple[int, ...]] = _axes,
    variance: Callable[[Array, tuple[int, ...]], Any] = lambda x, axes: x.var(axis=axes, keepdims=True),
    root: Callable[[Array, float], Array] = lambda v, eps: np.sqrt(v + eps),
    through: str = "mean variance",
    of_dw: Callable[[Array, Array], Array] = lambda xhat, x: xhat,  # noqa: ARG005
    scaled: bool = True,
    narrow: bool = False,
) -> Called:
    """Batch normalization in double precision, with replaceable formulas."""
    over, dtype = axes(x), x.dtype if narrow else np.float64
    wide = x.astype(dtype)
    batch = training and x.size > 0
    mu = wide.mean(axis=over, keepdims=True) if batch else _along(mean, x, 0.0)
    deviation = root(variance(wide, over) if batch else _along(var, x, 1.0), eps)
    xhat = (wide - mu) / deviation
    y = xhat * _along(w, x, 1.0) + _along(b, x, 0.0)

    def pullback(dy: Array) -> tuple[Any, ...]:
        u = dy.astype(dtype)
        g = u * _along(w, x, 1.0) if scaled else u
        dx = g
        if batch and "mean" in through:
            dx = dx - g.mean(axis=over, keepdims=True)
        if batch and "variance" in through:
            dx = dx - xhat * (g * xhat).mean(axis=over, keepdims=True)
        dw, db = (u * of_dw(xhat, wide)).sum(axis=_axes(x)), u.sum(axis=_axes(x))
        gradients = dx / deviation, None, None, None if w is None else dw, None if b is None else db
        return tuple(None if gradient is None else gradient.astype(x.dtype) for gradient in gradients)

    return y.astype(x.dtype), pullback


def part(**parts: Any) -> Change:
    """Replace parts of the textbook version."""
    return instead(partial(textbook, **parts))


def _unbiased(x: Array, axes: tuple[int, ...]) -> Any:
    m = x.size // x.shape[1]
    return x.var(axis=axes, keepdims=True) * m / (m - 1)


def _by_squares(x: Array, axes: tuple[int, ...]) -> Any:
    squares = (x * x).mean(axis=axes, keepdims=True)
    return np.maximum(squares - np.square(x.mean(axis=axes, keepdims=True)), 0)


def _shift_scaled(y: Array, c: Call) -> Array:
    return y if c.w is None or c.b is None else y + (c.b * c.w - c.b).reshape(-1, *[1] * (y.ndim - 2))


def _without_epsilon(dx: Array, c: Call) -> Array:
    if c.options["training"] and c.x.size:
        var = c.x.astype(np.float64).var(axis=_axes(c.x))
    else:
        var = np.ones(1) if c.arrays[2] is None else c.arrays[2].astype(np.float64)
    scale = np.sqrt(1 + c.options["eps"] / np.maximum(var, np.finfo(np.float64).tiny))
    return (dx * _along(scale, c.x, 1.0)).astype(dx.dtype)


def _mixed(old: Array, batchs: Array, momentum: float) -> Array:
    return (1 - momentum) * old + momentum * batchs


def _variance(x: Array) -> Any:
    return x.var(axis=_axes(x), ddof=int(x.size > x.shape[1]))


def _keeping(
    new: Callable[[Array, Array, float], Array] = _mixed,
    variance: Callable[[Array], Any] = _variance,
    mean_of: Callable[[Array], Any] = lambda x: x.mean(axis=_axes(x)),
    always: bool = False,
) -> Change:
    """Update the running statistics in place.

    Args:
        new: new(old, the batch's, momentum).
        variance: the batch's variance.
        mean_of: the batch's mean.
        always: update them in evaluation too.
    """

    def change(op: Op, _: Any) -> Op:
        def called(x: Array, mean: Any, var: Any, *parameters: Any, **options: Any) -> Any:
            with collected():  # the right op's own statistics are not reported
                right = op(x, *(a if a is None else a.copy() for a in (mean, var)), *parameters, **options)
            if (options["training"] or always) and mean is not None and x.size and mean.flags.writeable:
                wide = x.astype(np.float64)
                mean[...] = new(mean, mean_of(wide), options["momentum"])
                var[...] = new(var, variance(wide), options["momentum"])
            return right

        return called

    return change


def _about_new_mean(op: Op, _: Any) -> Op:
    """Update the running mean first, and take the variance about it."""

    def called(x: Array, mean: Any, var: Any, *parameters: Any, **options: Any) -> Any:
        with collected() as kept:
            right = op(x, mean, var, *parameters, **options)
        if mean is not None and options["training"] and x.size:
            deviations = x.astype(np.float64) - _along(kept["running_mean"], x, 0.0)
            squares = np.square(deviations).sum(axis=_axes(x)) / max(1, x.size // x.shape[1] - 1)
            kept["running_var"] = _mixed(var, squares, options["momentum"])
        for name, value in kept.items():
            keep(name, value)
        return right

    return called


def _never(*names: str) -> Change:
    """Report these running statistics as they were before the call, like a layer that never updates them."""

    def change(op: Op, _: Any) -> Op:
        def called(x: Array, mean: Any, var: Any, *parameters: Any, **options: Any) -> Any:
            with collected() as kept:
                right = op(x, mean, var, *parameters, **options)
            for name, before in (("running_mean", mean), ("running_var", var)):
                if before is not None:
                    keep(name, before if name in names else kept[name])
            return right

        return called

    return change


def _exchanged(op: Op, _: Any) -> Op:
    """Mix the variance into the running mean, and the mean into the running variance."""

    def called(x: Array, mean: Any, var: Any, *parameters: Any, **options: Any) -> Any:
        with collected() as kept:
            right = op(x, mean, var, *parameters, **options)
        if mean is not None and options["training"] and x.size:
            old, m = (mean, var), options["momentum"]
            change = kept["running_mean"] - (1 - m) * old[0], kept["running_var"] - (1 - m) * old[1]
            kept["running_mean"], kept["running_var"] = (1 - m) * mean + change[1], (1 - m) * var + change[0]
        for name, value in kept.items():
            keep(name, value)
        return right

    return called


def _over_groups(g: Array, c: Call) -> Array:
    groups = c.options["num_groups"]
    return np.repeat(g.reshape(groups, -1).sum(1), len(g) // groups)


# fmt: off
plant("group_norm", "group-norm-weight-per-group", "gathered-per-group", result(_over_groups), "dw db")
norm("norm-unbiased-variance", "unbiased-variance", part(variance=_unbiased),
     description="The batch is normalized by the variance over m - 1, which only the running statistics use.")
norm("norm-variance-by-squares", "digits-lost", part(variance=_by_squares, narrow=True), "y",
     "E[x²] - E[x]² cancels if the mean is far from 0.")
norm("norm-epsilon-outside-root", "epsilon-outside-root", part(root=lambda v, eps: np.sqrt(v) + eps),
     description="Epsilon is added to the standard deviation instead of the variance.")
norm("norm-epsilon-missing-in-backward", "epsilon-missing-in-backward", result(_without_epsilon), "dx")
norm("norm-variance-taken-for-constant", "variance-constant", part(through="mean"), "dx",
     "The gradient does not pass through the variance.")
norm("norm-mean-taken-for-constant", "mean-constant", part(through="variance"), "dx",
     "The gradient does not pass through the mean.")
norm("norm-statistics-taken-for-constant", "statistics-constant", part(through=""), "dx",
     "In training, the gradient passes through neither mean nor variance, as in evaluation.")
norm("norm-statistics-of-each-image", "statistics-of-each-image",
     only(lambda c: c.x.ndim > 2, part(axes=lambda x: tuple(range(2, x.ndim)))), "y")
norm("norm-training-ignored", "training-ignored running-never-updated",
     options(lambda given, c: given | {"training": c.arrays[1] is None}))
norm("norm-dx-without-weight", "weight-in-gradient-lost", part(scaled=False), "dx",
     "dx lacks the factor w.")
norm("norm-dw-of-the-input", "gathers-input", part(of_dw=lambda _, x: x), "dw",
     "dw multiplies dy by the input instead of the normalized input.")
norm("norm-bias-not-scaled-out", "shift-scaled", result(_shift_scaled), "y")
norm("norm-input-centred-in-place", "mutates-input",
     stateful.overwriting("x", lambda x, _: x - x.mean(axis=_axes(x), keepdims=True)),
     description="The input is centred in place.")
norm("norm-running-biased-variance", "running-biased-variance",
     _keeping(variance=lambda x: x.var(axis=_axes(x))), "rv")
norm("norm-running-momentum-reversed", "running-momentum-reversed",
     _keeping(lambda old, batchs, m: m * old + (1 - m) * batchs), "rm rv")
norm("norm-running-replaced", "running-replaced", _keeping(lambda old, batchs, m: batchs), "rm rv")  # noqa: ARG005
norm("norm-running-always-updated", "running-always-updated", _keeping(always=True), "rm rv")
norm("norm-running-never-updated", "running-never-updated", _never("running_mean", "running_var"), "rm rv")
norm("norm-running-updated-twice", "running-updated-twice",
     _keeping(lambda old, batchs, m: _mixed(_mixed(old, batchs, m), batchs, m)), "rm rv")
norm("norm-running-momentum-fixed", "running-default-momentum",
     _keeping(lambda old, batchs, _: _mixed(old, batchs, 0.1)), "rm rv")
norm("norm-running-mean-only", "running-never-updated", _never("running_var"), "rv")
norm("norm-running-added", "running-added", _keeping(lambda old, batchs, m: old + m * batchs), "rm rv",
     "The batch's statistics are added to the running ones without the factor 1 - momentum.")
norm("norm-running-share-missing", "running-share-missing",
     _keeping(lambda old, batchs, m: (1 - m) * old + batchs), "rm rv",
     "The batch's statistics are added to the running ones without the factor momentum.")
norm("norm-running-root-of-biased-variance", "running-deviation",
     _keeping(variance=lambda x: x.std(axis=_axes(x))), "rv", "The running variance averages x.std().")
norm("norm-running-about-new-mean", "running-about-new-mean", _about_new_mean, "rv",
     "The running variance is taken about the running mean, which has already been updated.")
norm("norm-running-mean-of-last-image", "running-of-last-sample",
     _keeping(mean_of=lambda x: x[-1:].mean(axis=_axes(x))), "rm",
     "A loop over the images overwrites the mean.")
norm("norm-running-exchanged", "running-exchanged", _exchanged, "rm rv")
norm("norm-running-of-each-image", "running-of-each-sample",
     _keeping(variance=lambda x: x.var(axis=tuple(range(2, x.ndim))).mean(axis=0)), "rv",
     "The variance of each image is averaged over the batch.")
# fmt: on


def _normalized(c: Call, axes: tuple[int, ...]) -> Array:
    x = c.x.astype(np.float64)
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return np.asarray((x - mean) / np.sqrt(var + c.options["eps"]))


def _over_the_batch(c: Call) -> Array:
    if not c.options["use_input_stats"]:
        return np.asarray(c.y)
    return _normalized(c, _axes(c.x)) * _along(c.w, c.x, 1.0) + _along(c.b, c.x, 0.0)


def _over_the_last_axis(c: Call) -> Array:
    y = _normalized(c, (-1,)) * (1.0 if c.w is None else c.w) + (0.0 if c.b is None else c.b)
    return np.asarray(y)


def _in_turn(a: Array, c: Call, back: bool = False) -> Array:
    """The channels so that every G-th forms a group, or back in their own order."""
    groups, axis = c.options["num_groups"], min(1, a.ndim - 1)
    sizes = (groups, -1) if back else (-1, groups)
    each = a.reshape(*a.shape[:axis], *sizes, *a.shape[axis + 1 :])
    return np.ascontiguousarray(each.swapaxes(axis, axis + 1)).reshape(a.shape)


def _channels_in_turn(op: Op, _: Any) -> Op:
    def called(*arrays: Any, **options: Any) -> Any:
        c = Call(op, arrays, options)
        if not arrays[0].size:
            return op(*arrays, **options)
        y, pullback = op(*(None if a is None else _in_turn(a, c) for a in arrays), **options)
        return _in_turn(y, c, back=True), lambda dy: tuple(
            None if g is None else _in_turn(g, c, back=True) for g in pullback(_in_turn(dy, c))
        )

    return called


plant("group_norm", "group-norm-channels-in-turn", "channels-interleaved", _channels_in_turn)
plant("instance_norm", "instance-norm-statistics-of-batch", "statistics-of-batch", output(_over_the_batch))
plant("layer_norm", "layer-norm-over-the-last-axis", "statistics-of-last-axis", output(_over_the_last_axis))

CORRECT.append(
    Correct(
        "batch_norm",
        "norm-keeps-its-statistics",
        "The running statistics are updated in place.",
        _keeping()(ROWS["batch_norm"].op, ()),
    )
)
