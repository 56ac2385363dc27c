"""Mistakes in optimizers that divide by the root of squared gradients: RMSprop and Adagrad."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import Formula, mistake
from parity.naming.optimizers import gradients_of
from parity.naming.probe import Probe

Square = Callable[[Array], Array]


def _denominator(v: Array, eps: float, root: bool, eps_inside: bool) -> Array:
    if not root:
        return v + eps
    return np.sqrt(v + eps) if eps_inside else np.sqrt(v) + eps


@dataclass(frozen=True)
class RmspropSteps:
    """RMSprop as in torch; each field that is not an option is one possible mistake."""

    lr: float
    alpha: float
    eps: float
    weight_decay: float
    momentum: float
    centered: bool
    maximize: bool
    kept: Callable[[float], float] = lambda alpha: alpha  # the share of v
    added: Callable[[float], float] = lambda alpha: 1 - alpha  # the share of g²
    square: Square = np.square
    root: bool = True
    eps_inside: bool = False
    ascends: bool = False
    decay_flips: bool = False  # with maximize, the decay is negated too
    decay_decoupled: bool = False  # λ·w is added to the step
    mean_added: bool = False  # centered: v + ḡ²
    averages_steps: bool = False  # b ← μ·b + (1−μ)·d
    scales_buffer: bool = False  # b ← μ·b + g, which is divided by √v + ε at each step
    buffer_before: bool = False  # the step uses the buffer of the previous step

    def run(self, w: Array, gradients: Iterable[Array | None]) -> Array:
        """w after each step."""
        decay = -self.weight_decay if self.decay_flips and self.maximize else self.weight_decay
        v, mean, b, found = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w), []
        for g in gradients:
            if g is not None:
                g = g if self.decay_decoupled else g + decay * w
                v = self.kept(self.alpha) * v + self.added(self.alpha) * self.square(g)
                mean = self.alpha * mean + (1 - self.alpha) * g
                spread = v + (mean**2 if self.mean_added else -(mean**2)) if self.centered else v
                share = 1 - self.momentum if self.averages_steps else 1.0
                divisor, before = _denominator(spread, self.eps, self.root, self.eps_inside), b
                b = self.momentum * b + (g if self.scales_buffer else share * g / divisor)
                used = b / divisor if self.scales_buffer else before if self.buffer_before and self.momentum else b
                step = used + decay * w if self.decay_decoupled else used
                w = w + self.lr * step if self.ascends else w - self.lr * step
            found.append(w)
        return np.stack(found)


@dataclass(frozen=True)
class AdagradSteps:
    """Adagrad as in torch; each field that is not an option is one possible mistake."""

    lr: float
    lr_decay: float
    eps: float
    weight_decay: float
    start: float
    maximize: bool
    keeps: bool = True
    square: Square = np.square
    root: bool = True
    eps_inside: bool = False
    ascends: bool = False
    t_before: int = 0  # the first step's number
    decay_flips: bool = False  # with maximize, the decay is negated too
    decay_decoupled: bool = False  # λ·w is added to the step
    rate: Callable[[int, float], float] = lambda t, decay: 1 / (1 + t * decay)  # of the learning rate
    before: bool = False  # the sum without the step's own gradient
    compounds: bool = False  # the decayed learning rate replaces the learning rate
    power: float = 0.5  # of the sum

    def run(self, w: Array, gradients: Iterable[Array | None]) -> Array:
        """w after each step."""
        decay = -self.weight_decay if self.decay_flips and self.maximize else self.weight_decay
        s, t, lr, found = np.full_like(w, self.start), self.t_before, self.lr, []
        for g in gradients:
            if g is not None:
                g = g if self.decay_decoupled else g + decay * w
                previous, s = s, (s if self.keeps else 0.0) + self.square(g)
                used = previous if self.before else s
                used = used ** (2 * self.power)
                step = g / _denominator(used, self.eps, self.root, self.eps_inside)
                rate = lr * self.rate(t, self.lr_decay)
                lr = rate if self.compounds else lr
                step = rate * (step + decay * w if self.decay_decoupled else step)
                w, t = w + step if self.ascends else w - step, t + 1
            found.append(w)
        return np.stack(found)


def _rmsprop(**changes: Any) -> Formula:
    def formula(probe: Probe) -> Array:
        o = probe.options
        steps = RmspropSteps(
            o["lr"],
            o["alpha"],
            o["eps"],
            o["weight_decay"],
            o["momentum"],
            o["centered"],
            bool(o.get("maximize")),
        )
        return replace(steps, **changes).run(*gradients_of(probe))

    return formula


def _adagrad(**changes: Any) -> Formula:
    def formula(probe: Probe) -> Array:
        o = probe.options
        steps = AdagradSteps(
            o["lr"],
            o["lr_decay"],
            o["eps"],
            o["weight_decay"],
            o["initial_accumulator_value"],
            bool(o.get("maximize")),
        )
        return replace(steps, **changes).run(*gradients_of(probe))

    return formula


_BOTH: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ascends", {"ascends": True}),
    ("adam-root-missing", {"root": False}),
    ("epsilon-inside-root", {"eps_inside": True}),
    ("adam-epsilon-ignored", {"eps": 0.0}),
    ("square-missing-in-moment", {"square": np.abs}),
    ("square-lost-in-moment", {"square": np.positive}),
    ("decay-ignored", {"weight_decay": 0.0}),
    ("decay-decoupled", {"decay_decoupled": True}),
    ("maximize-flips-decay", {"decay_flips": True}),
)

_RMSPROP: tuple[tuple[str, dict[str, Any]], ...] = (
    *_BOTH,
    ("alpha-reversed", {"kept": lambda alpha: 1 - alpha, "added": lambda alpha: alpha}),
    ("alpha-for-both", {"added": lambda alpha: alpha}),
    ("moment-not-averaged", {"added": lambda _: 1.0}),
    ("second-moment-not-kept", {"kept": lambda _: 0.0}),
    ("momentum-ignored", {"momentum": 0.0}),
    ("centered-ignored", {"centered": False}),
    ("centered-always", {"centered": True}),
    ("centered-sign", {"mean_added": True}),
    ("momentum-averaged-steps", {"averages_steps": True}),
    ("momentum-of-gradient-scaled", {"scales_buffer": True}),
    ("momentum-late", {"buffer_before": True}),
)

_ADAGRAD: tuple[tuple[str, dict[str, Any]], ...] = (
    *_BOTH,
    ("sum-not-kept", {"keeps": False}),
    ("lr-decay-ignored", {"lr_decay": 0.0}),
    ("lr-decay-late", {"t_before": 1}),
    ("accumulator-starts-at-zero", {"start": 0.0}),
    ("lr-decay-exponential", {"rate": lambda t, decay: (1 - decay) ** t}),
    ("lr-decay-root", {"rate": lambda t, decay: 1 / np.sqrt(1 + t * decay)}),
    ("sum-of-previous", {"before": True}),
    ("lr-decay-compounds", {"compounds": True}),
    ("cube-root-of-sum", {"power": 1 / 3}),
)

RMSPROP = tuple(mistake(name, formula=_rmsprop(**changes)) for name, changes in _RMSPROP)
ADAGRAD = tuple(mistake(name, formula=_adagrad(**changes)) for name, changes in _ADAGRAD)
