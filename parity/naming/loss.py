"""What goes wrong in a loss: what it is divided by, what is left out of it, and a factor of its gradient."""

from collections.abc import Callable

import numpy as np

from parity.cases.torch_op import Array
from parity.naming.explanation import Explanation, NoAnswer, Question
from parity.naming.general import scaled

EPSILONS = (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15)


def _samples(question: Question) -> int:
    return len(question.first) if question.first.ndim else 1


def _entries(question: Question) -> int:
    return max(question.array("target").size, 1)


def _features(question: Question) -> int:
    return question.first.shape[1] if question.first.ndim > 1 else question.first.size


CONVENTIONS = tuple(
    Explanation(name, sentence, makes=scaled(factor), convention=True)
    for name, sentence, factor in (
        ("batch-mean", "it divides by the batch size N where torch does not", lambda q: 1 / _samples(q)),
        ("batch-sum", "it sums over the batch where torch divides by the batch size N", _samples),
        (
            "feature-sum",
            "it sums over the features and divides by N alone, where torch divides by all entries",
            lambda q: _entries(q) / _samples(q),
        ),
        ("sum", "it sums over all entries where torch takes their mean", _entries),
        ("mean", "it divides by the number of entries where torch does not", lambda q: 1 / _entries(q)),
        (
            "half",
            "half of torch's, as of a loss with the factor ½ or a square's derivative without its 2",
            lambda _: 0.5,
        ),
        (
            "half-sum",
            "half of the sum over all entries, where torch takes their mean",
            lambda q: _entries(q) / 2,
        ),
        (
            "half-batch-mean",
            "half of the sum over the features divided by N, where torch divides by all entries",
            lambda q: _entries(q) / _samples(q) / 2,
        ),
    )
)


def _with_reduction(reduction: str) -> Callable[[Question], Question]:
    return lambda question: question.with_options(reduction=reduction)


REDUCTIONS = tuple(
    Explanation(
        "reduction-ignored",
        f"reduction is ignored: it is always {what}",
        _with_reduction(reduction),
        quantities="output",
    )
    for reduction, what in (("mean", "the mean"), ("sum", "the sum"), ("none", "taken for 'none'"))
)


def _weights(question: Question) -> tuple[Array, Array]:
    """The weight of each target, 0 where it is to be ignored; and which are."""
    target = question.array("target")
    ignored = target == question.options.get("ignore_index", -100)
    weight = question.options.get("weight")
    weights = np.ones(target.shape) if weight is None else weight[np.where(ignored, 0, target)]
    return np.where(ignored, 0.0, weights), ignored


def _denominator(instead: Callable[[Question], float]) -> Callable[[Array, Question], Array]:
    """Where the reduction is a mean: divided by something else."""

    def makes(answer: Array, question: Question) -> Array:
        if question.options.get("reduction", "mean") != "mean":
            return answer
        weights, _ = _weights(question)
        return np.asarray(answer * (weights.sum() / instead(question)))

    return makes


def _counted(question: Question) -> float:
    return float((~_weights(question)[1]).sum())


def _all_counted(question: Question) -> float:
    """The ignored ones too, with the weight 1, or that of the class that they name."""
    weights, ignored = _weights(question)
    return float(weights.sum() + ignored.sum())


def _no_weight(question: Question) -> Question:
    return question.with_options(weight=None)


def _nothing_ignored(question: Question) -> Question:
    return question.with_options(ignore_index=-100)


def _with_targets(by: int) -> Callable[[Question], Question]:
    def asks(question: Question) -> Question:
        target, classes = question.array("target"), _features(question)
        ignored = target == question.options.get("ignore_index", -100)
        return question.with_arrays(target=np.where(ignored, target, (target + by) % classes))

    return asks


def _log_probabilities(x: Array) -> Array:
    axis = 1 if x.ndim > 1 else 0
    shifted = x - x.max(axis=axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


def _target_not_subtracted(question: Question) -> Array:
    """weight·softmax alone: the gradient without its −1 at the target."""
    weights, _ = _weights(question)
    axis = 1 if question.first.ndim > 1 else 0
    share = weights / weights.sum() if question.options.get("reduction", "mean") == "mean" else weights
    upstream = np.broadcast_to(question.dy, weights.shape) * share
    return np.asarray(
        np.exp(_log_probabilities(question.first.astype(np.float64))) * np.expand_dims(upstream, axis)
    )


def _softmax_missing(question: Question) -> Array:
    """−weight at the target alone: the gradient with respect to the logarithms."""
    full = _target_not_subtracted(question)
    weights, _ = _weights(question)
    return question.answer() - full if weights.size else full


def _from_log(question: Question, logarithms: Array) -> Array:
    """The loss of other logarithms of probabilities."""
    target, axis = question.array("target"), 1 if question.first.ndim > 1 else 0
    weights, ignored = _weights(question)
    index = np.expand_dims(np.where(ignored, 0, target), axis)
    losses = -np.take_along_axis(logarithms, index, axis).squeeze(axis) * weights
    losses = np.where(ignored, 0, losses)
    reduction = question.options.get("reduction", "mean")
    if reduction == "none":
        return np.asarray(losses)
    return np.asarray(losses.sum() / (weights.sum() if reduction == "mean" else 1))


def _unshifted(question: Question) -> Array:
    x, axis = question.first, 1 if question.first.ndim > 1 else 0
    return _from_log(question, x - np.log(np.exp(x).sum(axis=axis, keepdims=True)))


def _log_of_softmax(question: Question, of: Callable[[Array], Array] = np.log) -> Array:
    return _from_log(question, of(np.exp(_log_probabilities(question.first))))


def _with_epsilon(epsilon: float, clips: bool) -> Explanation:
    def of(s: Array) -> Array:
        return np.asarray(np.log(np.clip(s, epsilon, 1) if clips else s + s.dtype.type(epsilon)))

    what = (
        f"probabilities are cut off at {epsilon:g} before the logarithm"
        if clips
        else f"{epsilon:g} is added to the probability before its logarithm"
    )
    return Explanation(
        "epsilon-in-log", what, computes=lambda question: _log_of_softmax(question, of), quantities="output"
    )


def _softmax_twice(question: Question) -> Question:
    if not question.about_output:
        raise NoAnswer("its gradient would have to pass the first softmax")
    return question.with_arrays(input=np.exp(_log_probabilities(question.first)))


def _wrong_axis(question: Question) -> Array:
    """The softmax along the last axis, where the classes stand on axis 1."""
    x = question.first
    if x.ndim < 3:
        raise NoAnswer("there is one axis for the classes alone")
    shifted = x - x.max(axis=-1, keepdims=True)
    return _from_log(question, shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _reduced_always(reduction: str) -> Callable[[Question], Question]:
    def asks(question: Question) -> Question:
        # Where nothing is reduced, the output is another one, and its upstream no number.
        return question if question.dy.ndim else question.with_options(reduction=reduction)

    return asks


def _with_ignored_as_first(question: Question) -> Question:
    """Ignored targets name class 0."""
    target = question.array("target")
    ignored = target == question.options.get("ignore_index", -100)
    return question.with_arrays(target=np.where(ignored, 0, target)).with_options(ignore_index=-100)


def _weighed_again(answer: Array, question: Question) -> Array:
    weight = question.options.get("weight")
    if weight is None:
        return answer
    return np.asarray(answer * weight.reshape(-1, *[1] * max(0, question.first.ndim - 2)))


def _classes_last(question: Question) -> Question:
    if question.first.ndim != 3:
        return question
    return question.with_arrays(input=np.ascontiguousarray(question.first.swapaxes(1, 2)))


def _classes_back(answer: Array, question: Question) -> Array:
    return answer if question.about_output or answer.ndim != 3 else answer.swapaxes(1, 2)


def _divided_by_classes(answer: Array, question: Question) -> Array:
    mean = question.options.get("reduction", "mean") == "mean"
    return np.asarray(answer / answer.dtype.type(_features(question))) if mean else answer


def _target_added(question: Question) -> Array:
    return 2 * _target_not_subtracted(question) - question.answer()


REDUCED = tuple(
    Explanation(
        "reduction-ignored",
        f"reduction is ignored: it is the gradient of {what}",
        _reduced_always(reduction),
        quantities="grad_",
    )
    for reduction, what in (("mean", "the mean"), ("sum", "the sum"))
)

MEANS = (
    Explanation(
        "mean-missing",
        "the division of the mean is missing",
        makes=_denominator(lambda _: 1.0),
    ),
    *REDUCED,
    Explanation(
        "ignore-index-ignored",
        "ignored targets are taken for class 0",
        _with_ignored_as_first,
    ),
    Explanation(
        "weight-squared", "the class's weight is multiplied in twice", makes=_weighed_again, quantities="grad_"
    ),
    Explanation(
        "wrong-dim", "the classes are looked for on the last axis, not on axis 1", _classes_last, _classes_back
    ),
    Explanation(
        "divided-by-classes",
        "it is divided by the number of scores, where the mean is over the samples",
        makes=_divided_by_classes,
    ),
    Explanation(
        "weight-missing-in-mean",
        "the mean divides by the number of targets, where torch divides by the sum of their weights",
        makes=_denominator(_counted),
    ),
    Explanation(
        "ignored-counted",
        "ignored targets count in the mean's denominator",
        makes=_denominator(_all_counted),
    ),
    Explanation(
        "ignored-counted",
        "the mean divides by the number of all targets, the ignored ones among them",
        makes=_denominator(_entries),
    ),
    Explanation("weight-ignored", "the classes' weights are ignored", _no_weight),
    Explanation("ignore-index-ignored", "ignore_index is ignored: all targets count", _nothing_ignored),
    Explanation("target-off-by-one", "the target is read one class too high", _with_targets(1)),
    Explanation("target-off-by-one", "the target is read one class too low", _with_targets(-1)),
)

NLL = (*CONVENTIONS, *REDUCTIONS, *MEANS)

CROSS_ENTROPY = (
    *CONVENTIONS,
    *REDUCTIONS,
    *MEANS,
    Explanation(
        "no-max-shift",
        "the maximum is not subtracted before exp, so that large scores overflow",
        computes=_unshifted,
        quantities="output",
    ),
    Explanation(
        "log-of-softmax",
        "it is the logarithm of a softmax computed first, which is −∞ where that is 0 in floating point",
        computes=_log_of_softmax,
        quantities="output",
    ),
    *(_with_epsilon(epsilon, clips) for epsilon in EPSILONS for clips in (False, True)),
    Explanation(
        "softmax-missing",
        "the softmax is missing: the scores are taken for logarithms of probabilities",
        computes=lambda question: _from_log(question, question.first),
        quantities="output",
    ),
    Explanation("softmax-twice", "the softmax is taken twice", _softmax_twice, quantities="output"),
    Explanation(
        "wrong-dim",
        "the softmax runs over the last axis, where the classes stand on axis 1",
        computes=_wrong_axis,
        quantities="output",
    ),
    Explanation(
        "target-not-subtracted",
        "it is the softmax alone: the 1 at the target is not subtracted",
        computes=_target_not_subtracted,
        quantities="grad_input",
    ),
    Explanation(
        "softmax-missing",
        "it is −1 at the target alone: the softmax is missing",
        computes=_softmax_missing,
        quantities="grad_input",
    ),
    Explanation(
        "target-sign",
        "the 1 at the target is added, where it should be subtracted",
        computes=_target_added,
        quantities="grad_input",
    ),
    Explanation("other-base", "the logarithm is taken to the base 2", makes=lambda a, _: a / np.log(2)),
    Explanation("other-base", "the logarithm is taken to the base 10", makes=lambda a, _: a / np.log(10)),
)


def _difference(question: Question) -> Array:
    return question.first - question.array("target")


def _reduced(losses: Array, question: Question) -> Array:
    reduction = question.options["reduction"]
    if reduction == "none":
        return losses
    return np.asarray(losses.sum() if reduction == "sum" else losses.mean())


def _gradient(derivative: Callable[[Array], Array]) -> Callable[[Question], Array]:
    def computes(question: Question) -> Array:
        share = 1 / _entries(question) if question.options["reduction"] == "mean" else 1
        sign = -1 if question.quantity == "grad_target" else 1
        return np.asarray(derivative(_difference(question)) * question.dy * share * sign)

    return computes


MSE = (
    Explanation("target-sign", "its sign is wrong", makes=scaled(lambda _: -1), quantities="grad_target"),
    *CONVENTIONS,
    Explanation(
        "mean-missing",
        "the division of the mean is missing",
        makes=lambda answer, question: (
            answer * answer.dtype.type(_entries(question)) if question.options["reduction"] == "mean" else answer
        ),
    ),
    *REDUCED,
    *REDUCTIONS,
    Explanation(
        "absolute-error",
        "it is the absolute error: the square is missing",
        computes=lambda question: _reduced(np.abs(_difference(question)), question),
        quantities="output",
    ),
    Explanation(
        "absolute-error",
        "it is the gradient of the absolute error",
        computes=_gradient(np.sign),
        quantities="grad_",
    ),
    Explanation(
        "square-missing",
        "the difference is not squared",
        computes=lambda question: _reduced(_difference(question), question),
        quantities="output",
    ),
    Explanation(
        "root",
        "the root of the mean square is taken",
        makes=lambda answer, _: np.sqrt(answer),
        quantities="output",
    ),
)
