"""Mistakes in smooth and leaky activations: a factor or a term of the derivative, or where it is taken."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import Explanation, mistake
from parity.naming.probe import Probe

Options: TypeAlias = Mapping[str, Any]
OfInput: TypeAlias = Callable[[Array, Options], Any]  # x, options → y, or dy/dx
Rows: TypeAlias = tuple[tuple[str, OfInput], ...]


def sigmoid(x: Array) -> Array:
    """1/(1 + exp(−x)) by tanh, which does not overflow."""
    return np.asarray((1 + np.tanh(x / 2)) / 2)


def _sigmoid_slope(x: Array) -> Array:
    return np.asarray(sigmoid(x) * (1 - sigmoid(x)))


def _density(x: Array) -> Array:
    return np.asarray(np.exp(-x * x / 2) / np.sqrt(2 * np.pi))


def _over(x: Array, o: Options) -> Array:
    """Where softplus is x itself."""
    return np.asarray(o["beta"] * x > o["threshold"])


def _slope(o: Options) -> float:
    return float(o["negative_slope"])


_SIGMOID: Rows = (
    ("output-factor-lost", lambda x, _: 1 - sigmoid(x)),
    ("complement-lost", lambda x, _: sigmoid(x)),
    ("complement-sign", lambda x, _: sigmoid(x) * (1 + sigmoid(x))),
    ("derivative-at-output", lambda x, _: _sigmoid_slope(sigmoid(x))),
    ("input-for-output", lambda x, _: x * (1 - x)),
)
_TANH: Rows = (
    ("output-not-squared", lambda x, _: 1 - np.tanh(x)),
    ("complement-sign", lambda x, _: 1 + np.tanh(x) ** 2),
    ("derivative-at-output", lambda x, _: 1 - np.tanh(np.tanh(x)) ** 2),
    ("input-for-output", lambda x, _: 1 - x * x),
    ("squared-complement", lambda x, _: (1 - np.tanh(x)) ** 2),
)
_LEAKY: Rows = (
    ("slope-lost", lambda x, _: np.where(x > 0, 1, 0)),
    ("slope-on-other-side", lambda x, o: np.where(x > 0, _slope(o), 1)),
    ("slope-times-input", lambda x, o: np.where(x > 0, 1, _slope(o) * x)),
    ("slope-negated", lambda x, o: np.where(x > 0, 1, -_slope(o))),
    ("relu-passes-all", lambda x, _: np.ones_like(x)),
    ("one-at-zero", lambda x, o: np.where(x < 0, _slope(o), 1)),
    ("slope-lost-one-at-zero", lambda x, _: np.where(x < 0, 0, 1)),
)
_LEAKY_OUTPUT: Rows = (
    ("slope-lost", lambda x, _: np.where(x > 0, x, 0)),
    ("slope-on-other-side", lambda x, o: np.where(x > 0, _slope(o) * x, x)),
    ("slope-alone", lambda x, o: np.where(x > 0, x, _slope(o))),
    ("slope-negated", lambda x, o: np.where(x > 0, x, -_slope(o) * x)),
)
_ELU: Rows = (
    ("output-without-alpha", lambda x, o: np.where(x > 0, 1, o["alpha"] * np.expm1(np.minimum(x, 0)))),
    ("negative-side-lost", lambda x, _: np.where(x > 0, 1, 0)),
    ("one-at-zero", lambda x, o: np.where(x < 0, o["alpha"] * np.exp(np.minimum(x, 0)), 1)),
)
_ELU_OUTPUT: Rows = (
    ("alpha-in-exponent", lambda x, o: np.where(x > 0, x, np.expm1(o["alpha"] * np.minimum(x, 0)))),
    ("minus-one-lost", lambda x, o: np.where(x > 0, x, o["alpha"] * np.exp(np.minimum(x, 0)))),
)
_SILU: Rows = (
    ("inner-derivative-lost", lambda x, _: sigmoid(x)),
    ("outer-derivative-lost", lambda x, _: x * _sigmoid_slope(x)),
    ("input-factor-lost", lambda x, _: sigmoid(x) + _sigmoid_slope(x)),
)
_GELU: Rows = (
    ("inner-derivative-lost", lambda x, _: sigmoid(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ("outer-derivative-lost", lambda x, _: x * _density(x)),
)
_SOFTPLUS_OUTPUT: Rows = (
    ("division-by-beta-lost", lambda x, o: np.where(_over(x, o), x, np.logaddexp(0, o["beta"] * x))),
    ("division-by-beta-lost", lambda x, o: np.where(_over(x, o), o["beta"] * x, np.logaddexp(0, o["beta"] * x))),
    ("beta-lost-inside", lambda x, o: np.where(_over(x, o), x, np.logaddexp(0, x) / o["beta"])),
    (
        "threshold-of-input",
        lambda x, o: np.where(x > o["threshold"], x, np.logaddexp(0, o["beta"] * x) / o["beta"]),
    ),
)
_SOFTPLUS: Rows = (
    ("complement-for-sigmoid", lambda x, o: np.where(_over(x, o), 1, sigmoid(-o["beta"] * x))),
    ("complement-for-sigmoid", lambda x, o: sigmoid(-o["beta"] * x)),
    ("division-by-beta-lost", lambda x, o: np.where(_over(x, o), 1, o["beta"] * sigmoid(o["beta"] * x))),
    ("beta-lost-inside", lambda x, o: np.where(_over(x, o), 1, sigmoid(x))),
    ("threshold-of-input", lambda x, o: np.where(x > o["threshold"], 1, sigmoid(o["beta"] * x))),
)
_HARDSWISH: Rows = (
    ("upper-side-lost", lambda x, _: np.where((x > -3) & (x < 3), x / 3 + 0.5, 0)),
    ("input-factor-lost", lambda x, _: np.clip(x / 6 + 0.5, 0, 1) + np.where(abs(x) < 3, 1 / 6, 0)),
    ("inner-derivative-lost", lambda x, _: np.clip(x / 6 + 0.5, 0, 1)),
    ("outer-derivative-lost", lambda x, _: np.where(abs(x) < 3, x / 6, 0)),
)
_GELU_OUTPUT: Rows = (("sigmoid-approximation", lambda x, _: x * sigmoid(1.702 * x)),)


def _made(outputs: Rows, gradients: Rows) -> Iterator[Explanation]:
    for name, of in outputs:

        def y(probe: Probe, of: OfInput = of) -> Array:
            return np.asarray(of(probe.first.astype(np.float64), probe.options))

        yield mistake(name, "output", formula=y)
    for name, of in gradients:

        def dx(probe: Probe, of: OfInput = of) -> Array:
            return np.asarray(probe.dy * of(probe.first.astype(np.float64), probe.options))

        yield mistake(name, "grad_", formula=dx)


ACTIVATIONS: dict[str, tuple[Explanation, ...]] = {
    "sigmoid": tuple(_made((), _SIGMOID)),
    "tanh": tuple(_made((), _TANH)),
    "leaky_relu": tuple(_made(_LEAKY_OUTPUT, _LEAKY)),
    "elu": tuple(_made(_ELU_OUTPUT, _ELU)),
    "silu": tuple(_made(_GELU_OUTPUT, _SILU)),
    "softplus": tuple(_made(_SOFTPLUS_OUTPUT, _SOFTPLUS)),
    "hardswish": tuple(_made((), _HARDSWISH)),
    "gelu": tuple(_made(_GELU_OUTPUT, _GELU)),
}
