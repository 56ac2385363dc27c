"""What goes wrong in softmax and log-softmax: the axis, the shift by the maximum, a term of the derivative."""

from collections.abc import Callable, Iterator

import numpy as np

from parity.cases.torch_op import Array
from parity.naming.explanation import Computes, Explanation, Question

EPSILONS = (1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16)


def _log_probabilities(x: Array, axis: int) -> Array:
    shifted = x - x.max(axis=axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


def _with_dims(dim: Callable[[Question], int], sentence: str) -> Explanation:
    return Explanation("wrong-dim", sentence, lambda question: question.with_options(dim=dim(question)))


def _output(of: Callable[[Array, int], Array]) -> Computes:
    """By a formula in the case's own precision, for its overflow is the mistake."""

    def computes(question: Question) -> Array:
        x = question.first
        return of(np.atleast_1d(x), question.options["dim"]).reshape(x.shape)  # a number is one class

    return computes


def _unshifted(x: Array, axis: int) -> Array:
    e = np.exp(x)
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def _log_unshifted(x: Array, axis: int) -> Array:
    return np.asarray(x - np.log(np.exp(x).sum(axis=axis, keepdims=True)))


def _shifted(x: Array, axis: int) -> Array:
    return np.asarray(x - x.max(axis=axis, keepdims=True))


def _by_global_maximum(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max())
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def _log_by_global_maximum(x: Array, axis: int) -> Array:
    x = x - x.max()
    return np.asarray(x - np.log(np.exp(x).sum(axis=axis, keepdims=True)))


def _gradient(of: Callable[[Array, Array, int], Array], logarithm: bool = False) -> Computes:
    """By a formula of the softmax, or of its logarithm, and dy along an axis."""

    def computes(question: Question) -> Array:
        x, dy = (np.atleast_1d(a).astype(np.float64) for a in (question.first, question.dy))
        y = _log_probabilities(x, question.options["dim"])
        return of(y if logarithm else np.exp(y), dy, question.options["dim"]).reshape(question.first.shape)

    return computes


def _over(array: Array, axis: int) -> Array:
    return np.asarray(array.sum(axis=axis, keepdims=True))


def _of_log(value: Callable[[Array], Array]) -> Computes:
    return _output(lambda x, axis: value(_unshifted(_shifted(x, axis), axis)))


def _log_of_sum(epsilon: float) -> Iterator[Explanation]:
    sentence = f"{epsilon:g} is added to the probability before its logarithm"
    yield Explanation(
        "epsilon-in-log",
        sentence,
        computes=_of_log(lambda s: np.log(s + s.dtype.type(epsilon))),
        quantities="output",
    )
    yield Explanation(
        "epsilon-in-log",
        f"probabilities are cut off at {epsilon:g} before the logarithm",
        computes=_of_log(lambda s: np.log(np.clip(s, s.dtype.type(epsilon), 1))),
        quantities="output",
    )


DIMS = (
    _with_dims(lambda _: -1, "it is taken along the last axis, whatever dim says"),
    _with_dims(lambda _: 0, "it is taken along the first axis, whatever dim says"),
    _with_dims(lambda _: 1, "it is taken along axis 1, whatever dim says"),
    _with_dims(
        lambda q: q.first.ndim - 1 - q.options["dim"] % max(q.first.ndim, 1), "dim is counted from the end"
    ),
)


def _everywhere(question: Question) -> Array:
    flat = question.with_arrays(input=question.first.reshape(-1)).with_options(dim=0)
    if not question.about_output:
        flat = flat.with_upstream(question.dy.reshape(-1))
    return flat.answer().reshape(question.first.shape)


def _along(axis: int, sentence: str) -> Iterator[Explanation]:
    """The gradient's sum along another axis than the softmax itself."""
    name, said = "wrong-dim", f"its sum runs along {sentence}, whatever dim says"
    yield Explanation(
        name, said, computes=_gradient(lambda s, dy, _: s * (dy - _over(dy * s, axis))), quantities="grad_"
    )


def _log_along(axis: int, sentence: str) -> Iterator[Explanation]:
    name, said = "wrong-dim", f"its sum runs along {sentence}, whatever dim says"
    yield Explanation(
        name, said, computes=_gradient(lambda s, dy, _: dy - s * _over(dy, axis)), quantities="grad_"
    )


AXES = ((-1, "the last axis"), (0, "the first axis"), (1, "axis 1"))

SHARED = (
    Explanation(
        "softmax-passes-dy",
        "its backward passes dy through, the softmax's own derivative being left to the loss",
        computes=lambda question: question.dy,
        quantities="grad_",
        convention=True,
    ),
    *DIMS,
    Explanation("wrong-dim", "it is taken over all entries at once", computes=_everywhere),
)

SOFTMAX = (
    *(explanation for axis, said in AXES for explanation in _along(axis, said)),
    *SHARED,
    Explanation(
        "no-max-shift",
        "the maximum is not subtracted before exp, so that large scores overflow",
        computes=_output(_unshifted),
        quantities="output",
    ),
    Explanation(
        "global-max-shift",
        "the maximum of the whole array is subtracted, not that of each slice, so that small slices vanish",
        computes=_output(_by_global_maximum),
        quantities="output",
    ),
    Explanation(
        "not-normalised",
        "the division by the sum is missing",
        computes=_output(lambda x, axis: np.exp(_shifted(x, axis))),
        quantities="output",
    ),
    Explanation(
        "log-softmax",
        "it is the logarithm of the softmax",
        computes=_output(lambda x, axis: np.log(_unshifted(_shifted(x, axis), axis))),
        quantities="output",
    ),
    Explanation(
        "diagonal-only",
        "only the diagonal y_i·(1 − y_i) of the Jacobian is used: how the other entries depend on x_i is missing",
        computes=_gradient(lambda s, dy, _: dy * s * (1 - s)),
        quantities="grad_",
    ),
    Explanation(
        "sum-term-lost",
        "the term −y_i·Σ_j dy_j·y_j is missing",
        computes=_gradient(lambda s, dy, _: dy * s),
        quantities="grad_",
    ),
    Explanation(
        "weight-in-sum-lost",
        "the sum Σ_j dy_j lacks its weights y_j",
        computes=_gradient(lambda s, dy, axis: s * (dy - _over(dy, axis))),
        quantities="grad_",
    ),
    Explanation(
        "factor-lost",
        "the factor y_i in front is missing",
        computes=_gradient(lambda s, dy, axis: dy - _over(dy * s, axis)),
        quantities="grad_",
    ),
    Explanation(
        "sum-term-sign",
        "the term y_i·Σ_j dy_j·y_j is added, where it should be subtracted",
        computes=_gradient(lambda s, dy, axis: s * (dy + _over(dy * s, axis))),
        quantities="grad_",
    ),
    Explanation(
        "sum-over-everything",
        "the sum Σ_j dy_j·y_j runs over the whole array, not along dim",
        computes=_gradient(lambda s, dy, _: s * (dy - (dy * s).sum())),
        quantities="grad_",
    ),
    Explanation(
        "log-softmax",
        "it is the gradient of the logarithm of the softmax",
        computes=_gradient(lambda s, dy, axis: dy - s * _over(dy, axis)),
        quantities="grad_",
    ),
)

LOG_SOFTMAX = (
    *(explanation for axis, said in AXES for explanation in _log_along(axis, said)),
    *SHARED,
    Explanation(
        "no-max-shift",
        "the maximum is not subtracted before exp, so that large scores overflow",
        computes=_output(_log_unshifted),
        quantities="output",
    ),
    Explanation(
        "log-of-softmax",
        "it is the logarithm of a softmax computed first, which is −∞ where that is 0 in floating point",
        computes=_of_log(np.log),
        quantities="output",
    ),
    Explanation(
        "log-of-softmax",
        "it is the logarithm of a softmax computed first, without the shift by the maximum",
        computes=_output(lambda x, axis: np.log(_unshifted(x, axis))),
        quantities="output",
    ),
    Explanation(
        "global-max-shift",
        "the maximum of the whole array is subtracted, not that of each slice, so that small slices vanish",
        computes=_output(_log_by_global_maximum),
        quantities="output",
    ),
    *(explanation for epsilon in EPSILONS for explanation in _log_of_sum(epsilon)),
    Explanation(
        "softmax",
        "it is the softmax: the logarithm is missing",
        computes=_of_log(lambda s: s),
        quantities="output",
    ),
    Explanation(
        "not-normalised",
        "the logarithm of the sum is not subtracted",
        computes=_output(_shifted),
        quantities="output",
    ),
    Explanation(
        "other-base", "the logarithm is taken to the base 2", makes=lambda a, _: a / np.log(2), quantities="output"
    ),
    Explanation(
        "other-base",
        "the logarithm is taken to the base 10",
        makes=lambda a, _: a / np.log(10),
        quantities="output",
    ),
    Explanation(
        "upstream-sum-ignored",
        "the sum Σ_j dy_j is taken for 1: the gradient of the right class alone",
        computes=_gradient(lambda s, dy, _: dy - s),
        quantities="grad_",
    ),
    Explanation(
        "diagonal-only",
        "only the diagonal 1 − softmax_i of the Jacobian is used",
        computes=_gradient(lambda s, dy, _: dy * (1 - s)),
        quantities="grad_",
    ),
    Explanation(
        "factor-lost",
        "the factor softmax_i is missing: the sum of dy alone is subtracted",
        computes=_gradient(lambda _, dy, axis: dy - _over(dy, axis)),
        quantities="grad_",
    ),
    Explanation(
        "sum-term-sign",
        "the term softmax_i·Σ_j dy_j is added, where it should be subtracted",
        computes=_gradient(lambda s, dy, axis: dy + s * _over(dy, axis)),
        quantities="grad_",
    ),
    Explanation(
        "softmax",
        "it is the gradient of the softmax itself",
        computes=_gradient(lambda s, dy, axis: s * (dy - _over(dy * s, axis))),
        quantities="grad_",
    ),
    Explanation(
        "log-instead-of-softmax",
        "the output y_i = log softmax_i stands where exp(y_i) belongs",
        computes=_gradient(lambda y, dy, axis: dy - y * _over(dy, axis), logarithm=True),
        quantities="grad_",
    ),
    Explanation(
        "sum-over-everything",
        "the sum Σ_j dy_j runs over the whole array, not along dim",
        computes=_gradient(lambda s, dy, _: dy - s * dy.sum()),
        quantities="grad_",
    ),
)
