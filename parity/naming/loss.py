"""Mistakes in a loss: its denominator, missing terms, and a factor of its gradient."""

from collections.abc import Callable, Iterator

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import EditInputs, EditResult, Explanation, Formula, mistake, scaled
from parity.naming.general import result_only, samples
from parity.naming.narrow import COUNTS, TARGETS
from parity.naming.probe import NotApplicable, Probe
from parity.naming.softmax import (
    OTHER_BASES,
    after_softmax,
    is_guard,
    log_probabilities,
    logarithms,
    over,
    probabilities,
    shifted,
    to_base,
)

SMOOTHINGS = (0.1, 0.05, 0.2)


def _axis(probe: Probe) -> int:
    return 1 if probe.first.ndim > 1 else 0


def _classes(probe: Probe) -> int:
    return int(probe.first.shape[_axis(probe)])


def _reduction(probe: Probe) -> str:
    return str(probe.options.get("reduction", "mean"))


def _by_probability(probe: Probe) -> bool:
    """Whether the targets of a cross entropy are probabilities of the classes, not indices."""
    return "label_smoothing" in probe.options and probe.array("target").dtype.kind == "f"


def _entries(probe: Probe) -> int:
    """The number of terms of an unweighted mean without ignored targets."""
    size = probe.array("target").size
    return max(size // _classes(probe) if _by_probability(probe) else size, 1)


def _is_ignored(probe: Probe) -> Array:
    target = probe.array("target")
    if _by_probability(probe):
        return np.zeros(np.delete(target.shape, _axis(probe)), bool)
    return np.asarray(target == probe.options.get("ignore_index", -100))


def _weights(probe: Probe) -> Array:
    """The weight of each target in the divisor of a mean: 0 if ignored, 1 for probabilities."""
    ignored, weight = _is_ignored(probe), probe.options.get("weight")
    if weight is None or _by_probability(probe):
        return np.where(ignored, 0.0, 1.0)
    return np.where(ignored, 0.0, weight[np.where(ignored, 0, probe.array("target"))])


def _shares(probe: Probe) -> Array:
    """w[c]·q[n,c], where q is the smoothed target as probabilities of the classes."""
    target, ignored, axis, classes = probe.array("target"), _is_ignored(probe), _axis(probe), _classes(probe)
    one_hot = target
    if not _by_probability(probe):
        one_hot = np.moveaxis(np.where(ignored, 0, target)[..., None] == np.arange(classes), -1, axis)
    smoothing, weight = probe.options.get("label_smoothing", 0.0), probe.options.get("weight")
    shares = (1 - smoothing) * one_hot.astype(np.float64) + smoothing / classes
    if weight is not None:
        shares = shares * np.expand_dims(weight, tuple(range(1, probe.first.ndim - axis)))
    return np.where(np.expand_dims(ignored, axis), 0.0, shares)


def _of_mean(factor: Callable[[Probe], float]) -> EditResult:
    """Multiply by a factor if the reduction is a mean."""
    return lambda r, probe: np.asarray(r * r.dtype.type(factor(probe))) if _reduction(probe) == "mean" else r


def _mean_over(name: str, instead: Callable[[Probe], float]) -> Explanation:
    """A mean whose divisor is the given number instead of the sum of the weights."""

    def inputs(probe: Probe) -> Probe:
        return probe.with_options(reduction="sum") if _reduction(probe) == "mean" else probe

    def result(r: Array, probe: Probe) -> Array:
        return np.asarray(r / r.dtype.type(instead(probe))) if _reduction(probe) == "mean" else r

    return mistake(name, "", inputs, result)


def _all_counted(probe: Probe) -> float:
    """The sum of the weights with 1 for each ignored target."""
    return float(_weights(probe).sum() + _is_ignored(probe).sum())


def _with_reduction(reduction: str) -> Callable[[Probe], Probe]:
    return lambda probe: probe.with_options(reduction=reduction)


def _with_reduction_of_number(reduction: str) -> EditInputs:
    """Replace the reduction if the upstream gradient is a number: an array fits only the reduction 'none'."""
    return lambda probe: probe if probe.dy.ndim else probe.with_options(reduction=reduction)


def _with_targets(by: int) -> Callable[[Probe], Probe]:
    def inputs(probe: Probe) -> Probe:
        target = probe.array("target")
        if _by_probability(probe):
            return probe.with_arrays(target=np.roll(target, by, _axis(probe)))
        return probe.with_arrays(target=np.where(_is_ignored(probe), target, (target + by) % _classes(probe)))

    return inputs


def _with_ignored_as_first(probe: Probe) -> Probe:
    if _by_probability(probe):
        return probe
    target = np.where(_is_ignored(probe), 0, probe.array("target"))
    return probe.with_arrays(target=target).with_options(ignore_index=-100)


def _weighed_again(r: Array, probe: Probe) -> Array:
    weight = probe.options.get("weight")
    return r if weight is None else np.asarray(r * weight.reshape(-1, *[1] * max(0, probe.first.ndim - 2)))


def _classes_last(probe: Probe) -> Probe:
    if probe.first.ndim != 3:
        return probe
    arrays = {"input": probe.first, "target": probe.array("target")}
    return probe.with_arrays(**{n: _swapped(a) if a.ndim == 3 else a for n, a in arrays.items()})


def _swapped(array: Array) -> Array:
    return np.ascontiguousarray(array.swapaxes(1, 2))


def _of_each(probe: Probe, losses: Array) -> Array:
    """For the output, reduce the losses; for a gradient, return dy of each loss before the reduction."""
    if not probe.is_output:
        losses = np.broadcast_to(probe.dy, losses.shape)
        return losses / _weights(probe).sum() if _reduction(probe) == "mean" else losses
    if _reduction(probe) == "none":
        return losses
    return np.asarray(losses.sum() / (_weights(probe).sum() if _reduction(probe) == "mean" else 1))


def _unshifted(x: Array, axis: int) -> Array:
    """The softmax without the shift by the maximum, in x's precision: large scores overflow."""
    return np.asarray(np.exp(x) / over(np.exp(x), axis))


def _stable(x: Array, axis: int) -> Array:
    return np.exp(log_probabilities(x.astype(np.float64), axis))


def _upstream(probe: Probe, shares: Array) -> Array:
    axis = _axis(probe)
    return np.expand_dims(_of_each(probe, shares.sum(axis=axis)), axis)


def _softmax_gradient(probe: Probe, softmax: Callable[[Array, int], Array] = _stable) -> Array:
    """Σ_c s[n,c]·softmax, where s are the shares: the gradient without its term −s."""
    axis, shares = _axis(probe), _shares(probe)
    return np.asarray(softmax(probe.first, axis) * over(shares, axis) * _upstream(probe, shares))


def _target_gradient(probe: Probe) -> Array:
    shares = _shares(probe)
    return np.asarray(shares * _upstream(probe, shares))


def _from_log(probe: Probe, logs: Array) -> Array:
    """The loss computed from the given log-probabilities."""
    shares = _shares(probe)
    with np.errstate(invalid="ignore"):
        terms = np.where(shares == 0, 0, shares * logs)  # 0·(−∞) counts as 0
    return _of_each(probe, -terms.sum(axis=_axis(probe)))


def _of_logs(of: Callable[[Array, int], Array]) -> Formula:
    """The loss from log-probabilities that `of` computes from (scores, axis)."""
    return lambda probe: _from_log(probe, of(probe.first, _axis(probe)))


def _softmax_along_last(probe: Probe) -> Array:
    if probe.first.ndim < 3:
        return probe.reference()
    return _from_log(probe, log_probabilities(probe.first, -1))


def _softmax_twice(probe: Probe) -> Probe:
    if not probe.is_output:
        raise NotApplicable("its gradient would have to pass the first softmax")
    return probe.with_arrays(input=probabilities(probe.first, _axis(probe)))


def _smoothed(epsilon: float) -> Explanation:
    def inputs(probe: Probe) -> Probe:
        return probe.with_options(label_smoothing=probe.options.get("label_smoothing") or epsilon)

    return mistake("smoothed", "", inputs, epsilon=epsilon)


CONVENTIONS = tuple(
    mistake(name, result=scaled(factor), convention=True)
    for name, factor in (
        ("batch-mean", lambda p: 1 / samples(p)),
        ("batch-sum", samples),
        ("feature-sum", lambda p: _entries(p) / samples(p)),
        ("sum", _entries),
        ("mean", lambda p: 1 / _entries(p)),
        ("half", lambda _: 0.5),
        ("half-sum", lambda p: _entries(p) / 2),
        ("half-batch-mean", lambda p: _entries(p) / samples(p) / 2),
    )
)


def _reductions() -> Iterator[Explanation]:
    for reduction in ("mean", "sum", "none"):
        yield mistake(f"reduction-{reduction}", "output", _with_reduction(reduction))
    for reduction in ("mean", "sum"):
        yield mistake(f"gradient-of-{reduction}", "grad_", _with_reduction_of_number(reduction))


REDUCTIONS = tuple(_reductions())

CLASSES = (
    *CONVENTIONS,
    _mean_over("mean-missing", lambda _: 1.0),
    _mean_over("feature-sum", samples),
    *REDUCTIONS,
    mistake("ignored-as-class-zero", "", _with_ignored_as_first),
    mistake("ignore-index-ignored", "", lambda probe: probe.with_options(ignore_index=-100)),
    mistake("weight-squared", "grad_", result=_weighed_again),
    mistake("class-weight-ignored", "", lambda probe: probe.with_options(weight=None)),
    mistake(
        "classes-last",
        "",
        _classes_last,
        lambda r, p: r if p.is_output or r.ndim != 3 else _swapped(r),
    ),
    mistake("divided-by-classes", result=_of_mean(lambda p: 1 / _classes(p))),
    _mean_over("weight-missing-in-mean", lambda p: float((~_is_ignored(p)).sum())),
    _mean_over("ignored-counted", _all_counted),
    _mean_over("all-counted", _entries),
    mistake("target-one-too-high", "", _with_targets(1)),
    mistake("target-one-too-low", "", _with_targets(-1)),
)

NLL = (*CLASSES, *TARGETS)


def _smoothed_over_others(probe: Probe) -> Array:
    """s shared by the C − 1 other classes is torch's smoothing with s·C/(C − 1), which may be above 1."""
    smoothing, classes = probe.options.get("label_smoothing", 0.0), _classes(probe)
    if not smoothing or classes == 1:
        return probe.reference()
    if probe.quantity == "grad_target":
        raise NotApplicable("the target's gradient is not computed from its shares")
    other = probe.with_options(label_smoothing=smoothing * classes / (classes - 1))
    if probe.is_output:
        return _from_log(other, log_probabilities(probe.first.astype(np.float64), _axis(probe)))
    return _softmax_gradient(other) - _target_gradient(other)


CROSS_ENTROPY = (
    *CLASSES,
    mistake("no-max-shift", "output", formula=_of_logs(lambda x, axis: x - np.log(over(np.exp(x), axis)))),
    mistake("no-max-shift", "output", formula=_of_logs(lambda x, axis: np.log(_unshifted(x, axis)))),
    mistake(
        "no-max-shift", "grad_input", formula=lambda p: _softmax_gradient(p, _unshifted) - _target_gradient(p)
    ),
    mistake("log-of-softmax", "output", formula=_of_logs(lambda x, axis: np.log(probabilities(x, axis)))),
    *(
        mistake(n, "output", formula=_of_logs(after_softmax(of)), convention=is_guard(values), **values)
        for n, values, of in logarithms()
    ),
    mistake("softmax-missing", "output", formula=_of_logs(lambda x, _: x)),
    mistake("not-normalised", "output", formula=_of_logs(shifted)),
    mistake("softmax-twice", "output", _softmax_twice),
    mistake("softmax-along-last", "output", formula=_softmax_along_last),
    mistake("target-not-subtracted", "grad_input", formula=_softmax_gradient),
    mistake("target-only", "grad_input", formula=lambda p: p.reference() - _softmax_gradient(p)),
    mistake("target-added", "grad_input", formula=lambda p: 2 * _softmax_gradient(p) - p.reference()),
    *map(_smoothed, SMOOTHINGS),
    *(mistake("other-base", result=to_base(base), base=base) for base in OTHER_BASES),
    mistake("smoothing-over-others", formula=_smoothed_over_others),
    *TARGETS,
)


def _difference(probe: Probe) -> Array:
    return probe.first - probe.array("target")


def reduced(probe: Probe, losses: Array) -> Array:
    """The losses of all entries, reduced as the call's option says."""
    reduction = _reduction(probe)
    if reduction == "none":
        return losses
    divisor = {"mean": losses.size, "batchmean": samples(probe)}.get(reduction, 1)
    return np.asarray(losses.sum() / divisor)


def target_sign(probe: Probe) -> int:
    """The sign of a gradient of a loss of the difference x − t."""
    return -1 if probe.quantity == "grad_target" else 1


def _reduced(of: Callable[[Array], Array]) -> Formula:
    return lambda probe: reduced(probe, of(_difference(probe)))


def _sign_of_error(probe: Probe) -> Array:
    share = 1 / _entries(probe) if _reduction(probe) == "mean" else 1
    return np.asarray(np.sign(_difference(probe)) * probe.dy * share * target_sign(probe))


MSE = (
    mistake("target-sign", "grad_target", result=scaled(lambda _: -1)),
    *CONVENTIONS,
    mistake("mean-missing", result=_of_mean(_entries)),
    *REDUCTIONS,
    mistake("absolute-error", "output", formula=_reduced(np.abs)),
    mistake("sign-of-error", "grad_", formula=_sign_of_error),
    mistake("square-missing", "output", formula=_reduced(lambda difference: difference)),
    mistake("root", "output", result=result_only(np.sqrt)),
    *COUNTS,
)
