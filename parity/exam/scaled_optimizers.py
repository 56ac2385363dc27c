"""RMSprop and Adagrad with one mistake."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from numpy_cnn.arguments import Array
from parity.exam.bug import plant
from parity.exam.changes import instead

Trajectory: TypeAlias = tuple[Array, None]
Settings: TypeAlias = dict[str, Any]


def _ascent(gradient: Array, s: Settings) -> Array:
    return np.asarray(-gradient if s["maximize"] else gradient, np.float64)


def rmsprop(
    parameter: Array,
    *gradients: Array | None,
    spread: Callable[[Array, Array], Array] = lambda v, mean: v - mean * mean,
    share: Callable[[float], float] = lambda _: 1.0,
    decoupled: bool = False,
    late: bool = False,
    used: Callable[[Array, Array], Array] = lambda buffer, before: buffer,  # noqa: ARG005
    **s: Any,
) -> Trajectory:
    """RMSprop with replaceable parts."""
    w = parameter.astype(np.float64)
    v, mean, buffer, trajectory = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w), []
    for gradient in gradients:
        if gradient is not None:
            decay = s["weight_decay"] * w
            g = _ascent(gradient, s) + (0 if decoupled else decay)
            v = s["alpha"] * v + (1 - s["alpha"]) * g * g
            mean = s["alpha"] * mean + (1 - s["alpha"]) * g
            root = np.sqrt(spread(v, mean) if s["centered"] else v)
            divisor, before = root + s["eps"], buffer
            buffer = s["momentum"] * buffer + share(s["momentum"]) * (g if late else g / divisor)
            step = (used(buffer, before) if s["momentum"] else buffer) / (divisor if late else 1.0)
            w = w - s["lr"] * (step + (decay if decoupled else 0))
        trajectory.append(w)
    return np.stack(trajectory).astype(parameter.dtype), None


def adagrad(
    parameter: Array,
    *gradients: Array | None,
    rate: Callable[[int, float], float] = lambda t, decay: 1 / (1 + t * decay),
    root: Callable[[Array, Array, float], Array] = lambda after, before, eps: np.sqrt(after) + eps,  # noqa: ARG005
    **s: Any,
) -> Trajectory:
    """Adagrad with replaceable parts."""
    w = parameter.astype(np.float64)
    after, t, trajectory = np.full_like(w, s["initial_accumulator_value"]), 0, []
    for gradient in gradients:
        if gradient is not None:
            g = _ascent(gradient, s) + s["weight_decay"] * w
            before, after = after, after + g * g
            w = w - s["lr"] * rate(t, s["lr_decay"]) * g / root(after, before, s["eps"])
            t += 1
        trajectory.append(w)
    return np.stack(trajectory).astype(parameter.dtype), None


def _compound(t: int, decay: float) -> float:
    return math.prod(1 / (1 + i * decay) for i in range(t + 1))


Parts: TypeAlias = tuple[tuple[str, str, dict[str, Any]], ...]
_RMSPROP: Parts = (
    ("centered-sign", "centered-sign", {"spread": lambda v, mean: v + mean * mean}),
    ("momentum-averages", "momentum-averaged-steps", {"share": lambda momentum: 1 - momentum}),
    ("decay-decoupled", "decay-decoupled", {"decoupled": True}),
    ("momentum-of-gradient", "momentum-of-gradient-scaled", {"late": True}),
    ("momentum-late", "momentum-late", {"used": lambda _, before: before}),
)
_ADAGRAD: Parts = (
    ("lr-decay-exponential", "lr-decay-exponential", {"rate": lambda t, decay: (1 - decay) ** t}),
    ("lr-decay-late", "lr-decay-late", {"rate": lambda t, decay: 1 / (1 + (t + 1) * decay)}),
    ("lr-decay-root", "lr-decay-root", {"rate": lambda t, decay: (1 + t * decay) ** -0.5}),
    ("lr-decay-compounds", "lr-decay-compounds", {"rate": _compound}),
    ("cube-root", "cube-root-of-sum", {"root": lambda after, _, eps: np.cbrt(after) + eps}),
    ("sum-of-previous", "sum-of-previous", {"root": lambda _, before, eps: np.sqrt(before) + eps}),
    ("epsilon-inside-root", "epsilon-inside-root", {"root": lambda after, _, eps: np.sqrt(after + eps)}),
)

for _row, _kind, _mistakes in (("RMSprop", rmsprop, _RMSPROP), ("Adagrad", adagrad, _ADAGRAD)):
    for _name, _names, _parts in _mistakes:
        plant(_row, f"{_row.lower()}-{_name}", _names, instead(partial(_kind, **_parts)))
