"""Losses with one mistake."""

from typing import Any

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from parity.exam.bug import planted
from parity.exam.edits import Called, edited, forward_of

Options = dict[str, Any]


def _kept(target: Array, options: Options) -> Array:
    """Where a sample counts; a sample whose target is probabilities always does."""
    if target.dtype.kind == "f":
        return np.ones(np.delete(target.shape, min(1, target.ndim - 1)), bool)
    return np.asarray(target != options.get("ignore_index", -100))


def _total(x: Array, target: Array, options: Options) -> Any:
    """Σ v, which a mean is divided by, in x's dtype."""
    kept, weight = _kept(target, options), options.get("weight")
    if weight is None or target.dtype.kind == "f":
        return kept.sum(dtype=x.dtype)
    factor = np.where(kept, weight[np.where(kept, target, 0)], 0)
    return factor.sum(dtype=x.dtype)


def _mean_over(called: Called, right: Any, wrong: Any, options: Options) -> Called:
    """A mean divided by another number than the right one."""
    if options["reduction"] != "mean" or not wrong or not right:
        return called
    scale = right / wrong
    return edited(called, y=lambda y: np.asarray(y * scale, y.dtype), dx=lambda g: (g * scale).astype(g.dtype))


def from_log(log_p: Array, target: Array, options: Options) -> Called:
    """Cross entropy of log-probabilities: −Σ w·q·log p, where q is the smoothed target."""
    axis, kept, weight = min(1, log_p.ndim - 1), _kept(target, options), options.get("weight")
    q = target
    if target.dtype.kind != "f":
        q = np.zeros_like(log_p)
        np.put_along_axis(q, np.expand_dims(np.where(kept, target, 0), axis), 1, axis)
    smoothing = options.get("label_smoothing", 0.0)
    q = ((1 - smoothing) * q + smoothing / log_p.shape[axis]) * np.expand_dims(kept, axis)
    q = q.astype(log_p.dtype) if weight is None else q * weight.reshape(-1, *[1] * (log_p.ndim - 1 - axis))
    losses = -np.where(q == 0, 0, q * log_p).sum(axis=axis)
    divisor = _total(log_p, target, options) if options["reduction"] == "mean" else log_p.dtype.type(1)
    y = losses if options["reduction"] == "none" else np.asarray(losses.sum() / divisor)

    def pullback(dy: Array) -> tuple[Array, ...]:
        # Where all targets are ignored the divisor is 0, and the gradient is 0 as well.
        return (np.where(q == 0, 0, -q * np.expand_dims(np.broadcast_to(dy, losses.shape), axis) / divisor),)

    return y.astype(log_p.dtype), pullback


# nll_loss


@planted("nll_loss", explained=("negated",))
def nll_sign(x: Array, target: Array, **options: Any) -> Called:
    """The minus is missing: the likelihood falls."""
    return edited(ops.nll_loss(x, target, **options), y=lambda y: -y, dx=lambda g: -g)


@planted("nll_loss", explained=("weight-missing-in-mean",))
def nll_mean_without_weights(x: Array, target: Array, **options: Any) -> Called:
    """A weighted mean is divided by the number of samples instead of the sum of their weights."""
    count = x.dtype.type(_kept(target, options).sum())
    return _mean_over(ops.nll_loss(x, target, **options), _total(x, target, options), count, options)


@planted("nll_loss", explained=("ignored-counted",), source="PaddlePaddle/Paddle#76033")
def nll_ignored_counted(x: Array, target: Array, **options: Any) -> Called:
    """A mean is divided by all samples, those that are ignored counted in."""
    right = _total(x, target, options)
    ignored = x.dtype.type(target.size - _kept(target, options).sum())
    return _mean_over(ops.nll_loss(x, target, **options), right, right + ignored, options)


@planted("nll_loss", explained=("ignore-index-ignored",))
def nll_ignore_index_fixed(x: Array, target: Array, **options: Any) -> Called:
    """-100 is ignored and nothing else, whatever ignore_index says."""
    return ops.nll_loss(x, target, **{name: v for name, v in options.items() if name != "ignore_index"})


@planted("nll_loss", explained=("class-weight-ignored",))
def nll_weight_ignored(x: Array, target: Array, **options: Any) -> Called:
    """The classes' weights are not looked at."""
    return ops.nll_loss(x, target, **(options | {"weight": None}))


@planted("nll_loss", explained=("weight-squared",), at="dx")
def nll_dx_weight_squared(x: Array, target: Array, **options: Any) -> Called:
    """The gradient carries the weight twice."""
    weight = options.get("weight")
    called = ops.nll_loss(x, target, **options)
    if weight is None:
        return called
    return edited(called, dx=lambda g: g * weight.reshape(-1, *[1] * max(0, x.ndim - 2)))


@planted("nll_loss", explained=("reduction-mean", "gradient-of-mean"))
def nll_always_mean(x: Array, target: Array, **options: Any) -> Called:
    """reduction is not looked at: the mean is taken."""
    return ops.nll_loss(x, target, **(options | {"reduction": "mean"}))


@planted("nll_loss", explained=("mean-missing", "gradient-of-sum"), at="dx")
def nll_dx_mean_missing(x: Array, target: Array, **options: Any) -> Called:
    """The gradient of a mean lacks its 1/N."""
    summed = ops.nll_loss(x, target, **(options | {"reduction": "sum"}))
    right = ops.nll_loss(x, target, **options)
    return forward_of(right, summed if options["reduction"] == "mean" else right)


@planted("nll_loss", explained=("upstream-ignored",), at="dx")
def nll_upstream_ignored(x: Array, target: Array, **options: Any) -> Called:
    """The loss is taken for the end of the graph: dy counts as 1."""
    return edited(ops.nll_loss(x, target, **options), dy=np.ones_like)


@planted("nll_loss", explained=("batch-mean", "feature-sum"))
def nll_mean_over_images(x: Array, target: Array, **options: Any) -> Called:
    """With pixels to classify, a mean is divided by the number of images instead of pixels."""
    called = ops.nll_loss(x, target, **options)
    if target.ndim < 2:
        return called
    return _mean_over(called, _total(x, target, options), x.dtype.type(len(x)), options)


@planted("nll_loss", explained=("classes-last",))
def nll_classes_last(x: Array, target: Array, **options: Any) -> Called:
    """Scores (N, C, d1) are read as (N, d1, C); it shows where the sizes are the same."""
    if x.ndim != 3 or x.shape[1] != x.shape[2]:
        return ops.nll_loss(x, target, **options)
    return edited(ops.nll_loss(x.swapaxes(1, 2), target, **options), dx=lambda g: g.swapaxes(1, 2))


@planted("nll_loss", at="y")
def nll_ignored_times_zero(x: Array, target: Array, **options: Any) -> Called:
    """An ignored sample's loss is multiplied by 0, and minus infinity times 0 is NaN."""
    called, kept = ops.nll_loss(x, target, **options), _kept(target, options)
    picked = np.where(kept, target, 0)
    unlikely = np.take_along_axis(x, np.expand_dims(picked, min(1, x.ndim - 1)), axis=min(1, x.ndim - 1))
    spoilt = ~kept & np.isinf(unlikely.reshape(kept.shape))
    if options["reduction"] == "none":
        return edited(called, y=lambda y: np.where(spoilt, np.nan, y).astype(x.dtype))
    return edited(called, y=lambda y: np.asarray(np.nan if spoilt.any() else y, x.dtype))


@planted("nll_loss", explained=("mutates-input",))
def nll_target_written(x: Array, target: Array, **options: Any) -> Called:
    """Ignored targets become 0 in the caller's own array."""
    called = ops.nll_loss(x, target.copy(), **options)
    if target.flags.writeable:
        target[~_kept(target, options)] = 0
    return called


# cross_entropy


@planted("cross_entropy", explained=("upstream-ignored",), at="dx")
def ce_upstream_ignored(x: Array, target: Array, **options: Any) -> Called:
    """The loss is taken for the end of the graph: dy counts as 1."""
    return edited(ops.cross_entropy(x, target, **options), dy=np.ones_like)


@planted(
    "cross_entropy", explained=("mean-missing", "gradient-of-sum"), at="dx", source="tensorflow/swift-apis#42"
)
def ce_dx_mean_missing(x: Array, target: Array, **options: Any) -> Called:
    """The gradient of a mean is not divided by the batch."""
    right, summed = (
        ops.cross_entropy(x, target, **(options | {"reduction": r})) for r in (options["reduction"], "sum")
    )
    return forward_of(right, summed if options["reduction"] == "mean" else right)


@planted("cross_entropy", explained=("epsilon-in-log",), at="y")
def ce_log_of_softmax(x: Array, target: Array, **options: Any) -> Called:
    """The logarithm of the softmax, with a small number added so that it stays finite."""
    p, _ = ops.softmax(x, min(1, x.ndim - 1))
    of_log, _ = from_log(np.log(p + x.dtype.type(1e-7)), target, options)
    return edited(ops.cross_entropy(x, target, **options), y=lambda _: of_log)


@planted("cross_entropy", explained=("no-max-shift",), at="y")
def ce_no_max_shift(x: Array, target: Array, **options: Any) -> Called:
    """exp of the scores as they are overflows."""
    log_p = x - np.log(np.exp(x).sum(axis=min(1, x.ndim - 1), keepdims=True))
    unshifted, _ = from_log(log_p, target, options)
    return edited(ops.cross_entropy(x, target, **options), y=lambda _: unshifted)


@planted("cross_entropy", explained=("softmax-along-last",))
def ce_classes_last(x: Array, target: Array, **options: Any) -> Called:
    """The softmax of (N, C, d1) runs along d1."""
    log_p, back = ops.log_softmax(x, -1)
    y, pullback = from_log(log_p, target, options)
    right = ops.cross_entropy(x, target, **options)
    return y, lambda dy: (back(pullback(dy)[0])[0], right[1](dy)[1])


@planted("cross_entropy", explained=("class-weight-ignored",), at="dx")
def ce_weight_ignored(x: Array, target: Array, **options: Any) -> Called:
    """The classes' weights are not looked at in the gradient."""
    return forward_of(
        ops.cross_entropy(x, target, **options), ops.cross_entropy(x, target, **(options | {"weight": None}))
    )


@planted("cross_entropy", explained=("ignored-counted",), source="open-mmlab/mmsegmentation#886")
def ce_ignored_counted(x: Array, target: Array, **options: Any) -> Called:
    """A mean is taken over the ignored samples as well."""
    right = _total(x, target, options)
    ignored = x.dtype.type((~_kept(target, options)).sum())
    return _mean_over(ops.cross_entropy(x, target, **options), right, right + ignored, options)


@planted("cross_entropy", explained=("weight-missing-in-mean",))
def ce_mean_without_weights(x: Array, target: Array, **options: Any) -> Called:
    """A weighted mean is divided by the number of samples."""
    count = x.dtype.type(_kept(target, options).sum())
    return _mean_over(ops.cross_entropy(x, target, **options), _total(x, target, options), count, options)


@planted(
    "cross_entropy", explained=("reduction-mean", "gradient-of-mean"), source="facebookresearch/detectron2#3454"
)
def ce_always_mean(x: Array, target: Array, **options: Any) -> Called:
    """reduction is not handed on: the mean is taken."""
    return ops.cross_entropy(x, target, **(options | {"reduction": "mean"}))


@planted("cross_entropy", explained=("target-added",), at="dx")
def ce_onehot_added(x: Array, target: Array, **options: Any) -> Called:
    """The gradient is softmax + onehot where it should be softmax - onehot."""
    _, of_target = from_log(x, target, options)
    y, pullback = ops.cross_entropy(x, target, **options)
    return y, lambda dy: (pullback(dy)[0] - 2 * of_target(dy)[0], pullback(dy)[1])


@planted("cross_entropy", explained=("target-not-subtracted",), at="dx")
def ce_onehot_forgotten(x: Array, target: Array, **options: Any) -> Called:
    """The gradient is the softmax alone, without the one at the target."""
    _, of_target = from_log(x, target, options)
    y, pullback = ops.cross_entropy(x, target, **options)
    return y, lambda dy: (pullback(dy)[0] - of_target(dy)[0], pullback(dy)[1])


@planted("cross_entropy", explained=("divided-by-classes",), at="dx", source="victorlempitsky/Mate#2")
def ce_dx_divided_by_everything(x: Array, target: Array, **options: Any) -> Called:
    """The gradient of a mean is divided by the number of scores instead of samples."""
    called = ops.cross_entropy(x, target, **options)
    classes = x.dtype.type(x.shape[min(1, x.ndim - 1)])
    return edited(called, dx=lambda g: g / classes) if options["reduction"] == "mean" else called


@planted("cross_entropy", explained=("ignored-as-class-zero",), at="dx", source="Jittor/jittor#233")
def ce_ignored_pulled(x: Array, target: Array, **options: Any) -> Called:
    """An ignored sample has no loss, but its scores get a gradient all the same."""
    right, kept = ops.cross_entropy(x, target, **options), _kept(target, options)
    if target.dtype.kind == "f":
        return right
    all_kept = {n: v for n, v in options.items() if n != "ignore_index"}
    return forward_of(right, ops.cross_entropy(x, np.where(kept, target, 0), **all_kept))


@planted("cross_entropy", explained=("upstream-mean", "mean"), at="dx")
def ce_upstream_mean(x: Array, target: Array, **options: Any) -> Called:
    """Without a reduction every sample gets the mean of dy."""
    called = ops.cross_entropy(x, target, **options)
    if options["reduction"] != "none" or not target.size:
        return called
    return edited(called, dy=lambda dy: np.full_like(dy, dy.mean()))


@planted("cross_entropy", source="pytorch/pytorch#91383")
def ce_weight_of_ignored_target(x: Array, target: Array, **options: Any) -> Called:
    """A weighted mean looks up the weight of an ignored target, which need not be a class."""
    called = ops.cross_entropy(x, target, **options)
    weight = options.get("weight")
    if weight is not None and options["reduction"] == "mean" and target.dtype.kind != "f":
        return _mean_over(called, _total(x, target, options), weight[target].sum(dtype=x.dtype), options)
    return called


@planted("cross_entropy", explained=("half", "halved", "batch-mean"), at="dx")
def ce_divided_twice(x: Array, target: Array, **options: Any) -> Called:
    """A batch of two is divided by two in the loss and again in the gradient."""
    called = ops.cross_entropy(x, target, **options)
    return edited(called, dx=lambda g: g / g.dtype.type(2)) if target.shape == (2,) else called


# mse_loss


@planted("mse_loss", explained=("half", "halved"), at="dx dt")
def mse_factor_two_missing(*arrays: Any, **options: Any) -> Called:
    """The derivative of the square lacks its 2."""
    return edited(ops.mse_loss(*arrays, **options), dx=lambda g: np.asarray(g / 2), dw=lambda g: np.asarray(g / 2))


@planted("mse_loss", explained=("half", "halved"))
def mse_with_a_half(*arrays: Any, **options: Any) -> Called:
    """Half of the squared error, as many courses define it."""
    return edited(ops.mse_loss(*arrays, **options), y=_halved, dx=_halved, dw=_halved)


def _halved(a: Array) -> Array:
    return np.asarray(a * a.dtype.type(0.5))


@planted(
    "mse_loss",
    explained=("mean-missing", "gradient-of-sum"),
    at="dx dt",
    source="jxgu1016/MNIST_center_loss_pytorch#9",
)
def mse_dx_mean_missing(*arrays: Any, **options: Any) -> Called:
    """The gradient of a mean is not divided by the size."""
    right, summed = (ops.mse_loss(*arrays, **(options | {"reduction": r})) for r in (options["reduction"], "sum"))
    return forward_of(right, summed if options["reduction"] == "mean" else right)


@planted("mse_loss", explained=("batch-mean", "feature-sum"))
def mse_mean_over_batch(x: Array, target: Array, **options: Any) -> Called:
    """A mean is divided by the batch alone, and not by the features."""
    called = ops.mse_loss(x, target, **options)
    if options["reduction"] != "mean" or x.ndim < 2 or not x.size:
        return called
    scale = x.dtype.type(x.size // len(x))
    return edited(called, y=lambda y: y * scale, dx=lambda g: g * scale, dw=lambda g: g * scale)


@planted("mse_loss", explained=("target-sign", "negated", "other-gradient"), at="dt")
def mse_target_sign(*arrays: Any, **options: Any) -> Called:
    """The target's gradient has the prediction's sign."""
    return edited(ops.mse_loss(*arrays, **options), dw=lambda g: np.asarray(-g))


@planted("mse_loss", explained=("reduction-mean", "gradient-of-mean"))
def mse_always_mean(*arrays: Any, **options: Any) -> Called:
    """reduction is not looked at: the mean is taken."""
    return ops.mse_loss(*arrays, **(options | {"reduction": "mean"}))


@planted("mse_loss", explained=("upstream-ignored",), at="dx dt")
def mse_upstream_ignored(*arrays: Any, **options: Any) -> Called:
    """The loss is taken for the end of the graph: dy counts as 1."""
    return edited(ops.mse_loss(*arrays, **options), dy=np.ones_like)


@planted("mse_loss", at="y")
def mse_expanded_square(x: Array, target: Array, **options: Any) -> Called:
    """x² - 2xt + t² cancels where x and t are close."""
    each = x * x - 2 * x * target + target * target
    right = ops.mse_loss(x, target, **options)
    reduced = {"none": np.asarray(each), "sum": np.asarray(each.sum()), "mean": np.asarray(each.mean())}
    return edited(right, y=lambda y: reduced[options["reduction"]].astype(y.dtype))


@planted("mse_loss", at="dt")
def mse_target_without_gradient(*arrays: Any, **options: Any) -> Called:
    """The target gets no gradient, as if it were always data."""
    y, pullback = ops.mse_loss(*arrays, **options)
    return y, lambda dy: (pullback(dy)[0], None)


@planted("mse_loss", explained=("dtype-changed",))
def mse_dtype_changed(*arrays: Any, **options: Any) -> Called:
    """The output is a double precision number, as float() makes it."""
    return edited(ops.mse_loss(*arrays, **options), y=lambda y: y.astype(np.float64))


@planted("nll_loss", explained=("target-one-too-high",))
def nll_classes_counted_from_one(x: Array, target: Array, **options: Any) -> Called:
    """Classes are counted from 1: each target is the next one's, and the last the first's."""
    classes = x.shape[min(1, x.ndim - 1)]
    moved = np.where(_kept(target, options), (target + 1) % classes, target)
    return ops.nll_loss(x, moved, **options)


@planted("cross_entropy", explained=("smoothed",), at="y")
def ce_smoothed(x: Array, target: Array, **options: Any) -> Called:
    """A tenth of each target is spread over all classes, though nobody has asked for it."""
    smoothing = options.get("label_smoothing") or 0.1
    wrong = ops.cross_entropy(x, target, **(options | {"label_smoothing": smoothing}))
    return forward_of(wrong, ops.cross_entropy(x, target, **options))


@planted("mse_loss", explained=("sign-of-error",), at="dx dt")
def mse_absolute(x: Array, target: Array, **options: Any) -> Called:
    """The absolute error stands for the squared one in the gradient: its sign is taken."""
    called = ops.mse_loss(x, target, **options)
    size = np.maximum(np.abs(2 * (x - target)), np.finfo(x.dtype).tiny)
    return edited(called, dx=lambda g: np.asarray(g / size), dw=lambda g: np.asarray(g / size))


@planted("cross_entropy", explained=("log-clipped",), at="y")
def ce_log_clipped(x: Array, target: Array, **options: Any) -> Called:
    """The probabilities are clipped to at least 1e-7 before the logarithm."""
    p, _ = ops.softmax(x, min(1, x.ndim - 1))
    clipped, _ = from_log(np.log(np.maximum(p, p.dtype.type(1e-7))), target, options)
    return edited(ops.cross_entropy(x, target, **options), y=lambda _: clipped)


@planted("mse_loss", explained=("dtype-changed",), at="dx dt")
def mse_gradients_in_double(*arrays: Any, **options: Any) -> Called:
    """Gradients in double precision, as Python's float makes them of the loss."""
    return edited(
        ops.mse_loss(*arrays, **options), dx=lambda g: g.astype(np.float64), dw=lambda g: g.astype(np.float64)
    )
