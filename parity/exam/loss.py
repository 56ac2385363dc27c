"""Losses with one mistake."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from parity.exam import stateful
from parity.exam.bug import plant
from parity.exam.call import Call, Change
from parity.exam.changes import array, both, gradient, only, option, options, output, result, upstream

nll, ce, mse = partial(plant, "nll_loss"), partial(plant, "cross_entropy"), partial(plant, "mse_loss")


def _classes(c: Call) -> int:
    """The axis of the classes."""
    return int(min(1, c.x.ndim - 1))


def _counts(c: Call) -> Array:
    """A mask of the samples that are not ignored; with probabilities as targets, none is."""
    if c.w.dtype.kind == "f":
        return np.ones(np.delete(c.w.shape, _classes(c)), bool)
    return np.asarray(c.w != c.options.get("ignore_index", -100))


def _weights(c: Call) -> Any:
    """The weight of each sample in the mean."""
    weight, counts = c.options.get("weight"), _counts(c)
    if weight is None or c.w.dtype.kind == "f":
        return counts.astype(c.x.dtype)
    return np.where(counts, weight[np.where(counts, c.w, 0)], 0)


def _mean_over(divisor: Callable[[Call], Any]) -> Change:
    """Divide a mean by another number."""

    def scaled(a: Array, c: Call) -> Array:
        right, wrong = _weights(c).sum(dtype=c.x.dtype), c.x.dtype.type(divisor(c))
        return a if not right or not wrong else np.asarray(a * (right / wrong), a.dtype)

    return only(_is_mean, result(scaled))


def _is_mean(c: Call) -> bool:
    return bool(c.options["reduction"] == "mean")


def _ignored_counted(c: Call) -> Any:
    return _weights(c).sum() + (~_counts(c)).sum()


def smoothed_target(c: Call) -> Array:
    """w·q, where q is the smoothed target as probabilities, 0 where it is ignored."""
    axis, counts, weight = _classes(c), _counts(c), c.options.get("weight")
    q = c.w
    if q.dtype.kind != "f":
        q = np.zeros_like(c.x)
        np.put_along_axis(q, np.expand_dims(np.where(counts, c.w, 0), axis), 1, axis)
    smoothing = c.options.get("label_smoothing", 0.0)
    q = ((1 - smoothing) * q + smoothing / c.x.shape[axis]) * np.expand_dims(counts, axis)
    return np.asarray(q if weight is None else q * weight.reshape(-1, *[1] * (c.x.ndim - 1 - axis)), c.x.dtype)


def of_log(c: Call, log_p: Array) -> Array:
    """Cross entropy from log-probabilities: −Σ w·q·log p."""
    q = smoothed_target(c)
    losses = -np.where(q == 0, 0, q * log_p).sum(axis=_classes(c))
    if c.options["reduction"] == "none":
        return np.asarray(losses)
    return np.asarray(losses.sum() / (_weights(c).sum(dtype=c.x.dtype) if _is_mean(c) else 1))


def at_target(dy: Array, c: Call) -> Array:
    """The gradient of −Σ w·q·log p with respect to log p."""
    q, axis = smoothed_target(c), _classes(c)
    u = np.expand_dims(np.broadcast_to(dy, np.delete(c.x.shape, axis)), axis)
    return np.where(q == 0, 0, -q * u / (_weights(c).sum(dtype=c.x.dtype) if _is_mean(c) else 1))


def _unshifted(c: Call) -> Array:
    return np.asarray(c.x - np.log(np.exp(c.x).sum(axis=_classes(c), keepdims=True)))


def _of_unshifted(dy: Array, c: Call) -> Array:
    one_hot, e = at_target(dy, c), np.exp(c.x)
    softmax = e / e.sum(axis=_classes(c), keepdims=True)
    return np.asarray(one_hot - softmax * one_hot.sum(axis=_classes(c), keepdims=True))


def _softmax(c: Call) -> Array:
    return ops.softmax(c.x, _classes(c))[0]


def _reduced(each: Array, c: Call) -> Any:
    return each if c.options["reduction"] == "none" else each.mean() if _is_mean(c) else each.sum()


def _along_last(dy: Array, c: Call) -> Array:
    return np.asarray(ops.log_softmax(c.x, -1)[1](np.asarray(at_target(dy, c), c.x.dtype))[0])


def _ignored_as_zero(target: Array, c: Call) -> Array:
    return target if target.dtype.kind == "f" else np.where(_counts(c), target, 0)


def _weight_looked_up(c: Call) -> Any:
    return c.options["weight"][c.w].sum(dtype=c.x.dtype)


def _weight_again(g: Array, c: Call) -> Array:
    weight = c.options.get("weight")
    return g if weight is None else g * weight.reshape(-1, *[1] * max(0, c.x.ndim - 2))


def _without_ignore_index(given: Any, _: Call) -> Any:
    return {name: value for name, value in given.items() if name != "ignore_index"}


def _next_class(target: Array, c: Call) -> Array:
    return np.where(_counts(c), (target + 1) % c.x.shape[_classes(c)], target)


def _ignored_times_zero(y: Array, c: Call) -> Array:
    target, axis = np.where(_counts(c), c.w, 0), _classes(c)
    picked = np.take_along_axis(c.x, np.expand_dims(target, axis), axis=axis).reshape(target.shape)
    spoilt = ~_counts(c) & np.isinf(picked)
    return np.where(
        spoilt if y.ndim == spoilt.ndim and c.options["reduction"] == "none" else spoilt.any(), np.nan, y
    )


def _bce_of_the_sigmoid(c: Call) -> Any:
    p, weight, of_ones = 1 / (1 + np.exp(-c.x)), c.options.get("weight"), c.options.get("pos_weight")
    each = -(c.w * np.log(p) * (1 if of_ones is None else of_ones) + (1 - c.w) * np.log(1 - p))
    return _reduced(each if weight is None else weight * each, c)


def _over_others(c: Call) -> Array:
    """The loss of a smoothing that is shared by the other classes."""
    axis, s = _classes(c), c.options.get("label_smoothing", 0.0)
    if not s or c.w.dtype.kind == "f" or c.x.shape[axis] == 1:
        return np.asarray(c.y)
    at = np.expand_dims(np.where(_counts(c), c.w, 0), axis)
    share = np.full(c.x.shape, s / (c.x.shape[axis] - 1))
    np.put_along_axis(share, at, 1 - s, axis)
    weight = c.options.get("weight")
    share *= 1 if weight is None else weight.reshape(-1, *[1] * (c.x.ndim - 1 - axis))
    x = c.x.astype(np.float64)
    top = x.max(axis=axis, keepdims=True)
    losses = -(share * (x - top - np.log(np.exp(x - top).sum(axis=axis, keepdims=True)))).sum(axis=axis)
    losses = np.where(_counts(c), losses, 0)
    if c.options["reduction"] == "none":
        return losses
    return np.asarray(losses.sum() / (_weights(c).sum() if _is_mean(c) else 1))


def _huber_jump(c: Call) -> Any:
    distance, delta = np.abs(c.x - c.w), c.options["delta"]
    return _reduced(np.where(distance <= delta, distance * distance / 2, delta * distance), c)


def _bce_weighing(of_one: bool, of_zero: bool) -> Change:
    """pos_weight at the term of the positive class, of the negative class, or of both."""

    def loss(c: Call) -> Any:
        weight, p = c.options.get("weight"), c.options.get("pos_weight")
        p, x = 1.0 if p is None else p, c.x.astype(np.float64)
        positive, negative = np.logaddexp(0, -x) * c.w, np.logaddexp(0, x) * (1 - c.w)
        each = positive * (p if of_one else 1) + negative * (p if of_zero else 1)
        return _reduced(each if weight is None else weight * each, c)

    return output(loss)


def _per_weight(a: Array, c: Call) -> Array:
    weight = c.options.get("weight")
    if weight is None or not _is_mean(c) or not c.x.size:
        return a
    return np.asarray(a * a.dtype.type(c.x.size / weight.sum(dtype=np.float64)))


def _cross_term(c: Call) -> Any:
    """−t·x without t·log t."""
    each = -(np.exp(c.w) if c.options["log_target"] else c.w) * c.x.astype(np.float64)
    return np.asarray(each.sum() / len(c.x)) if c.options["reduction"] == "batchmean" else _reduced(each, c)


# fmt: off
nll("nll-sign", "negated", result(lambda a, _: -a), "y dx")
nll("nll-mean-without-weights", "weight-missing-in-mean", _mean_over(lambda c: _counts(c).sum()),
    description="A weighted mean is divided by the number of samples instead of the sum of their weights.")
nll("nll-ignored-counted", "ignored-counted", _mean_over(_ignored_counted))
nll("nll-mean-over-images", "batch-mean feature-sum",
    only(lambda c: c.w.ndim > 1, _mean_over(lambda c: len(c.x))),
    description="With pixels to classify, a mean is divided by the number of images instead of pixels.")
nll("nll-ignore-index-fixed", "ignore-index-ignored", options(_without_ignore_index),
    description="ignore_index is ignored: only -100 counts as such.")
nll("nll-weight-ignored", "class-weight-ignored", option("weight", lambda _: None))
nll("nll-dx-weight-squared", "weight-squared", result(_weight_again), "dx")
nll("nll-classes-last", "classes-last",
    only(lambda c: c.x.ndim == 3 and c.x.shape[1] == c.x.shape[2],
         array("x", lambda x, _: x.swapaxes(1, 2), lambda g, _: g.swapaxes(1, 2))))
nll("nll-classes-counted-from-one", "target-one-too-high", array("w", _next_class),
    description="Classes are counted from 1: each target is off by one, and the last class becomes the first.")
nll("nll-ignored-times-zero", "", result(_ignored_times_zero), "y",
    "The loss of an ignored sample is multiplied by 0, and minus infinity times 0 is NaN.")
nll("nll-target-written", "mutates-input", stateful.overwriting("w", lambda t, c: np.where(_counts(c), t, 0)),
    description="Ignored targets are set to 0 in the caller's array.")

ce("ce-log-of-softmax", "epsilon-in-log",
   output(lambda c: of_log(c, np.log(_softmax(c) + c.x.dtype.type(1e-7)))), "y", epsilon=1e-7)
ce("ce-log-clipped", "log-clipped",
   output(lambda c: of_log(c, np.log(np.maximum(_softmax(c), c.x.dtype.type(1e-7))))), "y", epsilon=1e-7)
ce("ce-no-max-shift", "no-max-shift", output(lambda c: of_log(c, _unshifted(c))), "y")
ce("ce-dx-no-max-shift", "no-max-shift", gradient(_of_unshifted), "dx",
   "The backward computes the softmax again, without the shift by the maximum.")
ce("ce-classes-last", "softmax-along-last",
   both(output(lambda c: of_log(c, ops.log_softmax(c.x, -1)[0])), gradient(_along_last)))
ce("ce-weight-ignored", "class-weight-ignored", option("weight", lambda _: None), "dx")
ce("ce-ignored-counted", "ignored-counted", _mean_over(_ignored_counted),
   description="A mean includes the ignored samples.")
ce("ce-mean-without-weights", "weight-missing-in-mean", _mean_over(lambda c: _counts(c).sum()))
ce("ce-weight-of-ignored-target", "",
   only(lambda c: c.options.get("weight") is not None and c.w.dtype.kind != "f", _mean_over(_weight_looked_up)),
   description="A weighted mean looks up the weight of an ignored target, which may not be a class.")
ce("ce-onehot-added", "target-added", gradient(lambda dy, c: c.pullback(dy)[0] - 2 * at_target(dy, c)), "dx")
ce("ce-onehot-forgotten", "target-not-subtracted",
   gradient(lambda dy, c: c.pullback(dy)[0] - at_target(dy, c)), "dx",
   "The gradient is the softmax alone: the target is not subtracted.")
ce("ce-dx-divided-by-everything", "divided-by-classes",
   only(_is_mean, result(lambda g, c: g / g.dtype.type(c.x.shape[_classes(c)]))), "dx")
ce("ce-ignored-pulled", "ignored-as-class-zero",
   both(options(_without_ignore_index), array("w", _ignored_as_zero)), "dx")
ce("ce-upstream-mean", "upstream-mean mean",
   upstream(lambda dy, _: np.full_like(dy, dy.mean()) if dy.ndim and dy.size else dy), "dx")
ce("ce-divided-twice", "half halved batch-mean",
   only(lambda c: c.w.shape == (2,), result(lambda g, _: g / g.dtype.type(2))), "dx",
   "The gradient of a batch of two is divided by two once more.")
ce("ce-smoothed", "smoothed",
   options(lambda given, _: given | {"label_smoothing": given.get("label_smoothing") or 0.1}), "y", epsilon=0.1)

mse("mse-factor-two-missing", "half halved", result(lambda g, _: g / 2), "dx dt")
mse("mse-with-a-half", "half halved", result(lambda a, _: a / 2))
mse("mse-mean-over-batch", "feature-sum batch-mean",
    only(lambda c: _is_mean(c) and c.x.ndim > 1 and c.x.size > 0,
         result(lambda a, c: a * a.dtype.type(c.x.size // len(c.x)))))
mse("mse-target-sign", "target-sign negated other-gradient", result(lambda g, _: -g), "dt")
mse("mse-target-without-gradient", "", result(lambda *_: None), "dt",
    "The target gets no gradient.")
mse("mse-expanded-square", "digits-lost",
    output(lambda c: _reduced(c.x * c.x - 2 * c.x * c.w + c.w * c.w, c)), "y",
    "x² - 2xt + t² cancels if x and t are close.")
mse("mse-absolute", "sign-of-error",
    result(lambda g, c: g / np.maximum(np.abs(2 * (c.x - c.w)), np.finfo(g.dtype).tiny)), "dx dt")

plant("binary_cross_entropy_with_logits", "bce-of-the-sigmoid", "log-of-sigmoid", output(_bce_of_the_sigmoid), "y",
      "The logarithm of a sigmoid rounded to 0 or 1 is −∞, and 0 times −∞ is NaN.")
bce = partial(plant, "binary_cross_entropy_with_logits")
bce("bce-pos-weight-on-both", "pos-weight-on-both", _bce_weighing(True, True), "y")
bce("bce-pos-weight-on-zeros", "pos-weight-on-zeros", _bce_weighing(False, True), "y")
bce("bce-dx-pos-weight-ignored", "pos-weight-ignored", option("pos_weight", lambda _: None), "dx")
bce("bce-dx-weight-ignored", "element-weight-ignored", option("weight", lambda _: None), "dx")
bce("bce-mean-over-weights", "weights-in-mean", result(_per_weight))
ce("ce-smoothing-over-others", "smoothing-over-others", output(_over_others), "y")
plant("huber_loss", "huber-dx-delta-lost", "delta-lost", result(lambda g, c: g / g.dtype.type(c.options["delta"])),
      "dx dt")
plant("huber_loss", "huber-offset-lost", "offset-lost", output(_huber_jump), "y", option="delta")
plant("huber_loss", "huber-delta-ignored", "option-ignored", option("delta", lambda _: 1.0),
      option="delta", value=1)
plant("smooth_l1_loss", "smooth-l1-is-huber", "huber",
      result(lambda y, c: y * y.dtype.type(c.options["beta"])), "y")
plant("l1_loss", "l1-dx-of-zero", "sign-of-zero",
      gradient(lambda dy, c: np.where(c.x >= c.w, 1, -1) * dy / (max(c.x.size, 1) if _is_mean(c) else 1)), "dx")
plant("kl_div", "kl-exponential-lost", "exponential-lost",
      result(lambda g, c: g / np.exp(c.w) if c.options["log_target"] else g), "dx dt")
plant("kl_div", "kl-entropy-missing", "entropy-missing", output(_cross_term), "y")
# fmt: on

# In every loss: the reduction is ignored, in the whole loss or only in the gradient; dy is ignored.
for _row, _prefix, _gradients in (
    ("nll_loss", "nll", "dx"),
    ("cross_entropy", "ce", "dx"),
    ("mse_loss", "mse", "dx dt"),
    ("l1_loss", "l1", "dx dt"),
    ("smooth_l1_loss", "smooth-l1", "dx dt"),
    ("huber_loss", "huber", "dx dt"),
    ("binary_cross_entropy_with_logits", "bce", "dx"),
    ("kl_div", "kl", "dx"),
):
    _one = partial(plant, _row)
    _one(f"{_prefix}-always-mean", "reduction-mean gradient-of-mean option-ignored",
         option("reduction", lambda _: "mean"))  # fmt: skip

    _one(f"{_prefix}-dx-mean-missing", "mean-missing gradient-of-sum option-ignored",
         option("reduction", lambda r: "sum" if r == "mean" else r), _gradients,
         "The gradient of a mean is not divided by the count.")  # fmt: skip
    _one(f"{_prefix}-upstream-ignored", "upstream-ignored", upstream(lambda dy, _: np.ones_like(dy)), _gradients,
         "dy is ignored, as if the loss were the end of the graph.")  # fmt: skip
