"""Mistakes in softmax and log-softmax: the axis, the shift by the maximum, a term of the derivative."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import EditResult, Explanation, Formula, mistake
from parity.naming.probe import Probe

EPSILONS = (1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16)
GUARD = 1e-6  # the largest ε beside a probability that counts as a guard
LEAST_LOGS = (-100, -50, -20)
OTHER_BASES = (2, 10)

OfScores: TypeAlias = Callable[[Array, int], Array]  # x, axis → y
OfSoftmax: TypeAlias = Callable[[Array, Array, int], Array]  # y, dy, axis → dx


def over(array: Array, axis: int) -> Array:
    """The sum along an axis, which is kept."""
    return np.asarray(array.sum(axis=axis, keepdims=True))


def shifted(x: Array, axis: int) -> Array:
    """x minus its maximum."""
    return np.asarray(x - x.max(axis=axis, keepdims=True))


def log_probabilities(x: Array, axis: int) -> Array:
    """log softmax(x)."""
    z = shifted(x, axis)
    return np.asarray(z - np.log(over(np.exp(z), axis)))


def probabilities(x: Array, axis: int) -> Array:
    """softmax(x), by a division as in most implementations."""
    e = np.exp(shifted(x, axis))
    return np.asarray(e / over(e, axis))


def logarithms() -> Iterator[tuple[str, dict[str, Any], Callable[[Array], Array]]]:
    """Yield (name, values of its sentence, log of a probability) for logarithms that are forced to be finite."""
    for epsilon in EPSILONS:
        yield "epsilon-in-log", {"epsilon": epsilon}, _log_of(lambda p, e: p + e, epsilon)
        yield "log-clipped", {"epsilon": epsilon}, _log_of(np.maximum, epsilon)
        yield "log-clipped-both", {"epsilon": epsilon}, _log_of(lambda p, e: np.clip(p, e, 1 - e), epsilon)
    for least in LEAST_LOGS:
        yield "log-floored", {"least": least}, _floored_log(least)


def is_guard(values: dict[str, Any]) -> bool:
    """Whether the logarithm only avoids log 0, as in most courses: far from 0 it changes the last digits."""
    return bool(values.get("epsilon", 1.0) <= GUARD)


def _log_of(edit: Callable[[Array, Any], Array], epsilon: float) -> Callable[[Array], Array]:
    return lambda p: np.asarray(np.log(edit(p, p.dtype.type(epsilon))))


def _floored_log(least: float) -> Callable[[Array], Array]:
    return lambda p: np.asarray(np.maximum(np.log(p), p.dtype.type(least)))


def after_softmax(of: Callable[[Array], Array]) -> OfScores:
    """Turn a function of the probabilities into one of the scores."""
    return lambda x, axis: of(probabilities(x, axis))


def _epsilon_in_sum(epsilon: float) -> OfScores:
    def of(x: Array, axis: int) -> Array:
        e = np.exp(shifted(x, axis))
        return np.asarray(e / (over(e, axis) + x.dtype.type(epsilon)))

    return of


def _output(of: OfScores) -> Formula:
    """Apply a formula in the case's precision, whose overflow is part of the mistake."""

    def formula(probe: Probe) -> Array:
        x = probe.first
        return of(np.atleast_1d(x), probe.options["dim"]).reshape(x.shape)  # a 0-d array has one class

    return formula


def _gradient(of: OfSoftmax, logarithm: bool = False) -> Formula:
    """Apply a formula of the softmax, or of its logarithm, and dy along an axis."""

    def formula(probe: Probe) -> Array:
        x, dy = (np.atleast_1d(a).astype(np.float64) for a in (probe.first, probe.dy))
        y = log_probabilities(x, probe.options["dim"])
        return of(y if logarithm else np.exp(y), dy, probe.options["dim"]).reshape(probe.first.shape)

    return formula


def _unshifted_gradient(probe: Probe) -> Array:
    """The gradient from a softmax whose exponentials overflow in the case's precision."""
    x, dy = np.atleast_1d(probe.first), np.atleast_1d(probe.dy)
    axis = probe.options["dim"]
    s = np.exp(x) / over(np.exp(x), axis)
    return _of_softmax(s, dy, axis).reshape(probe.first.shape)


def _with_dim(dim: Callable[[Probe], int]) -> Callable[[Probe], Probe]:
    return lambda probe: probe.with_options(dim=dim(probe))


def _everywhere(probe: Probe) -> Array:
    flat = probe.with_arrays(input=probe.first.reshape(-1)).with_options(dim=0)
    flat = flat if probe.is_output else flat.with_upstream(probe.dy.reshape(-1))
    return flat.reference().reshape(probe.first.shape)


def _outputs(*rows: tuple[str, OfScores]) -> Iterator[Explanation]:
    return (mistake(name, "output", formula=_output(of)) for name, of in rows)


def _gradients(*rows: tuple[str, OfSoftmax]) -> Iterator[Explanation]:
    return (mistake(name, "grad_", formula=_gradient(of)) for name, of in rows)


def _along_other_axes(of: OfSoftmax) -> Iterator[Explanation]:
    """Mistakes where the gradient's sum and the softmax use different axes."""
    for axis in (-1, 0, 1):
        yield mistake("sum-along-other-axis", "grad_", formula=_gradient(_along(of, axis)), axis=axis)


def _along(of: OfSoftmax, axis: int) -> OfSoftmax:
    return lambda s, dy, _: of(s, dy, axis)


def to_base(base: int) -> EditResult:
    """A logarithm to another base."""
    return lambda result, _: result / np.log(base)


def _of_softmax(s: Array, dy: Array, axis: int) -> Array:
    return np.asarray(s * (dy - over(dy * s, axis)))


def _of_log_softmax(s: Array, dy: Array, axis: int) -> Array:
    return np.asarray(dy - s * over(dy, axis))


SHARED = (
    mistake("softmax-passes-dy", "grad_", formula=lambda probe: probe.dy, convention=True),
    mistake("last-axis", "", _with_dim(lambda _: -1)),
    mistake("first-axis", "", _with_dim(lambda _: 0)),
    mistake("axis-one", "", _with_dim(lambda _: 1)),
    mistake(
        "dim-from-the-end", "", _with_dim(lambda p: p.first.ndim - 1 - p.options["dim"] % max(p.first.ndim, 1))
    ),
    mistake("over-everything", formula=_everywhere),
)

SOFTMAX = (
    *_along_other_axes(_of_softmax),
    *SHARED,
    *_outputs(
        ("no-max-shift", lambda x, axis: np.exp(x) / over(np.exp(x), axis)),
        ("global-max-shift", lambda x, axis: np.exp(x - x.max()) / over(np.exp(x - x.max()), axis)),
        ("not-normalised", lambda x, axis: np.exp(shifted(x, axis))),
        ("log-softmax", lambda x, axis: np.log(probabilities(x, axis))),
    ),
    *_gradients(
        ("diagonal-only", lambda s, dy, _: dy * s * (1 - s)),
        ("sum-term-lost", lambda s, dy, _: dy * s),
        ("weight-in-sum-lost", lambda s, dy, axis: s * (dy - over(dy, axis))),
        ("plain-mean", lambda s, dy, axis: s * (dy - dy.mean(axis=axis, keepdims=True))),
        ("factor-lost", lambda s, dy, axis: dy - over(dy * s, axis)),
        ("sum-term-sign", lambda s, dy, axis: s * (dy + over(dy * s, axis))),
        ("sum-over-everything", lambda s, dy, _: s * (dy - (dy * s).sum())),
        ("log-softmax", _of_log_softmax),
    ),
    mistake("no-max-shift", "grad_", formula=_unshifted_gradient),
    *(mistake("epsilon-in-sum", "output", formula=_output(_epsilon_in_sum(e)), epsilon=e) for e in EPSILONS),
)

LOG_SOFTMAX = (
    *_along_other_axes(_of_log_softmax),
    *SHARED,
    *_outputs(
        ("no-max-shift", lambda x, axis: x - np.log(over(np.exp(x), axis))),
        ("log-of-softmax", lambda x, axis: np.log(probabilities(x, axis))),
        ("log-of-unshifted", lambda x, axis: np.log(np.exp(x) / over(np.exp(x), axis))),
        ("global-max-shift", lambda x, axis: x - x.max() - np.log(over(np.exp(x - x.max()), axis))),
        ("softmax", probabilities),
        ("not-normalised", shifted),
    ),
    *(mistake(n, "output", formula=_output(after_softmax(of)), **values) for n, values, of in logarithms()),
    *(mistake("other-base", "output", result=to_base(base), base=base) for base in OTHER_BASES),
    *_gradients(
        ("diagonal-only", lambda s, dy, _: dy * (1 - s)),
        ("factor-lost", lambda _, dy, axis: dy - over(dy, axis)),
        ("sum-term-sign", lambda s, dy, axis: dy + s * over(dy, axis)),
        ("sum-over-everything", lambda s, dy, _: dy - s * dy.sum()),
        ("softmax", _of_softmax),
    ),
    mistake("upstream-sum-ignored", "grad_", formula=_gradient(lambda s, dy, _: dy - s), value=1),
    mistake(
        "log-instead-of-softmax",
        "grad_",
        formula=_gradient(lambda y, dy, axis: dy - y * over(dy, axis), logarithm=True),
    ),
)
