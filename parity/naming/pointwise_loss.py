"""Mistakes in the elementwise losses: a factor of one part, a weight on the wrong term, a missing term."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import Explanation, Formula, mistake
from parity.naming.loss import CONVENTIONS, MSE, REDUCTIONS, reduced, target_sign
from parity.naming.narrow import COUNTS
from parity.naming.probe import NotApplicable, Probe

OfDifference: TypeAlias = Callable[[Array, float], Any]  # d = x − t, option → loss, or its slope

_HALVES = ("half", "half-sum", "half-batch-mean")  # conventions of a squared error only
COMMON = (
    *(e for e in CONVENTIONS if e.name not in _HALVES),
    *(e for e in MSE if e.name == "mean-missing"),
    *REDUCTIONS,
    *COUNTS,
)


def _share(probe: Probe) -> Array:
    """dy of each entry."""
    mean = probe.options.get("reduction", "mean") == "mean"
    return np.asarray(probe.dy / max(probe.first.size, 1) if mean else probe.dy)


def _of(probe: Probe, of: OfDifference, option: str) -> Array:
    return np.asarray(
        of(probe.first.astype(np.float64) - probe.array("target"), float(probe.options.get(option, 1)))
    )


def _output(option: str, of: OfDifference) -> Formula:
    return lambda probe: reduced(probe, _of(probe, of, option))


def _slope(option: str, of: OfDifference) -> Formula:
    return lambda probe: np.asarray(_of(probe, of, option) * _share(probe) * target_sign(probe))


def _made(option: str, *rows: tuple[str, OfDifference | None, OfDifference | None]) -> Iterator[Explanation]:
    """(name, loss of a difference, its slope); None where the mistake does not apply."""
    for name, loss, slope in rows:
        if loss is not None:
            yield mistake(name, "output", formula=_output(option, loss), option=option)
        if slope is not None:
            yield mistake(name, "grad_", formula=_slope(option, slope), option=option)


def _either(inside: OfDifference, outside: OfDifference, closed: bool) -> OfDifference:
    """One function where |d| is below the option, another elsewhere; if `closed`, the first also at the option."""
    return lambda d, o: np.where((abs(d) <= o) if closed else (abs(d) < o), inside(d, o), outside(d, o))


def _knee(
    option: str, square: tuple[OfDifference, OfDifference], line: tuple[OfDifference, OfDifference]
) -> Iterator[Explanation]:
    """Mistakes in a loss that is a square below its option and a line beyond, each given with its slope."""
    closed = option == "delta"
    yield from _made(
        option,
        ("square-everywhere", *square),
        ("line-everywhere", *line),
        (
            "slope-cut-below-only",
            None,
            lambda d, o: np.where(d > o, square[1](d, o), _either(square[1], line[1], closed)(d, o)),
        ),
        (
            "slope-cut-above-only",
            None,
            lambda d, o: np.where(d < -o, square[1](d, o), _either(square[1], line[1], closed)(d, o)),
        ),
        (
            "square-not-halved",
            _either(lambda d, o: 2 * square[0](d, o), line[0], closed),
            _either(lambda d, o: 2 * square[1](d, o), line[1], closed),
        ),
    )


L1 = (
    *COMMON,
    *_made(
        "",
        ("sign-of-zero", None, lambda d, _: np.where(d >= 0, 1.0, -1.0)),
        ("sign-of-zero-negative", None, lambda d, _: np.where(d > 0, 1.0, -1.0)),
        ("error-squared", lambda d, _: d * d, lambda d, _: 2 * d),
        ("sign-missing", lambda d, _: d, lambda d, _: np.ones_like(d)),
    ),
)

_HUBER_SQUARE: tuple[OfDifference, OfDifference] = (lambda d, _: d * d / 2, lambda d, _: d)
_HUBER_LINE: tuple[OfDifference, OfDifference] = (lambda d, o: o * (abs(d) - o / 2), lambda d, o: o * np.sign(d))
HUBER = (
    *COMMON,
    *_knee("delta", _HUBER_SQUARE, _HUBER_LINE),
    *_made(
        "delta",
        ("delta-lost", lambda d, o: np.where(abs(d) <= o, d * d / 2 / o, abs(d) - o / 2),
         lambda d, o: np.clip(d / o, -1, 1)),
        ("delta-lost-in-line", _either(_HUBER_SQUARE[0], lambda d, o: abs(d) - o / 2, True),
         _either(_HUBER_SQUARE[1], lambda d, _: np.sign(d), True)),
        ("delta-twice-in-line", _either(_HUBER_SQUARE[0], lambda d, o: o * _HUBER_LINE[0](d, o), True),
         _either(_HUBER_SQUARE[1], lambda d, o: o * o * np.sign(d), True)),
        ("offset-lost", _either(_HUBER_SQUARE[0], lambda d, o: o * abs(d), True), None),
        ("offset-without-option", _either(_HUBER_SQUARE[0], lambda d, o: o * (abs(d) - 0.5), True), None),
        ("knee-at-one", lambda d, o: np.where(abs(d) <= 1, d * d / 2, _HUBER_LINE[0](d, o)),
         lambda d, o: np.where(abs(d) <= 1, d, o * np.sign(d))),
    ),
)  # fmt: skip


def _divided(d: Array, o: float) -> Array:
    return np.asarray(d / o if o else np.sign(d))


_SMOOTH_SQUARE: tuple[OfDifference, OfDifference] = (lambda d, o: d * _divided(d, o) / 2, _divided)
_SMOOTH_LINE: tuple[OfDifference, OfDifference] = (lambda d, o: abs(d) - o / 2, lambda d, _: np.sign(d))
SMOOTH_L1 = (
    *COMMON,
    *_knee("beta", _SMOOTH_SQUARE, _SMOOTH_LINE),
    *_made(
        "beta",
        ("huber", _either(lambda d, _: d * d / 2, lambda d, o: o * (abs(d) - o / 2), False),
         lambda d, o: np.clip(d, -o, o)),
        ("division-lost-in-square", _either(lambda d, _: d * d / 2, _SMOOTH_LINE[0], False),
         _either(lambda d, _: d, _SMOOTH_LINE[1], False)),
        ("option-squared", lambda d, o: _either(_SMOOTH_SQUARE[0], _SMOOTH_LINE[0], False)(d, o * o),
         lambda d, o: _either(_SMOOTH_SQUARE[1], _SMOOTH_LINE[1], False)(d, o * o)),
        ("offset-lost", _either(_SMOOTH_SQUARE[0], lambda d, _: abs(d), False), None),
        ("offset-without-option", _either(_SMOOTH_SQUARE[0], lambda d, _: abs(d) - 0.5, False), None),
        ("knee-at-one", lambda d, o: np.where(abs(d) < 1, _SMOOTH_SQUARE[0](d, o), _SMOOTH_LINE[0](d, o)),
         lambda d, o: np.where(abs(d) < 1, _SMOOTH_SQUARE[1](d, o), np.sign(d))),
    ),
)  # fmt: skip


def _weight(probe: Probe, name: str) -> Any:
    weight = probe.options.get(name)
    return 1.0 if weight is None else weight.astype(np.float64)


def _bce(of_one: Callable[[Any], Any], of_zero: Callable[[Any], Any], weighted: bool = True) -> Formula:
    """−w·(a·t·log σ(x) + b·(1 − t)·log(1 − σ(x))) or its gradients; a and b are functions of pos_weight."""

    def formula(probe: Probe) -> Array:
        x, t = probe.first.astype(np.float64), probe.array("target").astype(np.float64)
        p = _weight(probe, "pos_weight")
        a, b, w = of_one(p), of_zero(p), _weight(probe, "weight") if weighted else 1.0
        log_one, log_zero = -np.logaddexp(0, -x), -np.logaddexp(0, x)
        if probe.is_output:
            return reduced(probe, np.broadcast_to(-w * (a * t * log_one + b * (1 - t) * log_zero), x.shape))
        if probe.quantity == "grad_target":
            return np.asarray(-w * (a * log_one - b * log_zero) * _share(probe))
        return np.asarray(w * (b * (1 - t) * np.exp(log_one) - a * t * np.exp(log_zero)) * _share(probe))

    return formula


def _one(_: Any) -> float:
    return 1.0


def _same(p: Any) -> Any:
    return p


def _probability_only(probe: Probe) -> Array:
    return np.asarray(np.exp(-np.logaddexp(0, -probe.first.astype(np.float64))) * _share(probe))


def _log_of_sigmoid(probe: Probe) -> Array:
    """The loss from a sigmoid in the case's precision, which rounds to 0 and 1."""
    x, t = probe.first, probe.array("target")
    s = 1 / (1 + np.exp(-x))
    each = -(_weight(probe, "pos_weight") * t * np.log(s) + (1 - t) * np.log(1 - s)) * _weight(probe, "weight")
    return reduced(probe, each)


def _mean_over_weights(r: Array, probe: Probe) -> Array:
    weight = probe.options.get("weight")
    if weight is None or probe.options.get("reduction", "mean") != "mean":
        return r
    return np.asarray(r * (probe.first.size / weight.sum(dtype=np.float64)))


BINARY_CROSS_ENTROPY = (
    *COMMON,
    mistake("pos-weight-ignored", formula=_bce(_one, _one)),
    mistake("pos-weight-on-both", formula=_bce(_same, _same)),
    mistake("pos-weight-on-zeros", formula=_bce(_one, _same)),
    mistake("element-weight-ignored", formula=_bce(_same, _one, weighted=False)),
    mistake("weights-ignored", formula=_bce(_one, _one, weighted=False)),
    mistake("weights-in-mean", result=_mean_over_weights),
    mistake("zeros-lost", formula=_bce(_same, lambda _: 0.0)),
    mistake("sigmoid-only", "grad_input", formula=_probability_only),
    mistake("log-of-sigmoid", "output", formula=_log_of_sigmoid),
)


def _kl(probe: Probe, each: Array) -> Array:
    if probe.is_output:
        return reduced(probe, each)
    divisor = {"mean": probe.first.size, "batchmean": len(probe.first)}.get(
        probe.options.get("reduction", "mean"), 1
    )
    return np.asarray(each * probe.dy / max(divisor, 1))


def _entropy_missing(probe: Probe) -> Array:
    x, t = probe.first.astype(np.float64), probe.array("target").astype(np.float64)
    return _kl(probe, -(np.exp(t) if probe.options.get("log_target") else t) * x)


def _one_lost(probe: Probe) -> Array:
    """dt without the derivative of log t."""
    x, t = probe.first.astype(np.float64), probe.array("target").astype(np.float64)
    if probe.options.get("log_target"):
        return _kl(probe, np.exp(t) * (t - x))
    if not (t > 0).all():
        raise NotApplicable("the logarithm of a target is not finite")
    return _kl(probe, np.log(t) - x)


def _without_exponential(result: Array, probe: Probe) -> Array:
    """The gradient without the factor eᵗ that a target of logarithms has."""
    return result / np.exp(probe.array("target")) if probe.options.get("log_target") else result


KL_DIV = (
    *COMMON,
    mistake("reduction-batchmean", "", lambda probe: probe.with_options(reduction="batchmean")),
    mistake("entropy-missing", "output", formula=_entropy_missing),
    mistake("derivative-of-log-lost", "grad_target", formula=_one_lost),
    mistake("exponential-lost", "grad_", result=_without_exponential),
)
