"""Optimizers with one mistake, as ops: op(parameter, *gradients, **settings) → parameter after each step."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from numpy_cnn.arguments import Array
from parity.cases.op import Op
from parity.exam.bug import plant
from parity.exam.call import Change
from parity.exam.changes import both, instead, only, option, options
from parity.rows.optimizers import by_hand

Trajectory: TypeAlias = tuple[Array, None]
Settings: TypeAlias = dict[str, Any]
Pair: TypeAlias = tuple[float, float]


def sgd(
    parameter: Array,
    *gradients: Array | None,
    ahead: Callable[[Array, Array, Settings], Array] = lambda g, b, s: g + s["momentum"] * b,
    first: Callable[[Array, Settings], Array] = lambda g, s: g,  # noqa: ARG005
    decoupled: bool = False,
    none_moves: bool = False,
    **s: Any,
) -> Trajectory:
    """SGD with replaceable parts."""
    w, b, trajectory = parameter.copy(), None, []
    for gradient in gradients:
        if gradient is not None:
            g = -gradient if s["maximize"] else gradient
            decay = s["weight_decay"] * w
            step = g = g if decoupled else g + decay
            if s["momentum"]:
                b = first(g, s) if b is None else s["momentum"] * b + (1 - s["dampening"]) * g
                step = ahead(g, b, s) if s["nesterov"] else b
            w = w - s["lr"] * (step + decay if decoupled else step)
        elif none_moves and b is not None:
            w = w - s["lr"] * b
        trajectory.append(w)
    return np.stack(trajectory).astype(parameter.dtype), None


def corrections_of(t: float, s: Settings) -> Pair:
    """The factors 1 − βᵗ."""
    return 1 - s["betas"][0] ** t, 1 - s["betas"][1] ** t


def adam(
    parameter: Array,
    *gradients: Array | None,
    decay: str = "coupled",
    corrections: Callable[[int, Settings], Pair] = corrections_of,
    denominator: Callable[[Array, float, float], Array] = lambda v, c, eps: np.sqrt(v / c) + eps,
    second: Callable[[Array], Array] = np.square,
    largest_corrected: bool = False,
    further: Callable[[Array, Array], Array] = np.maximum,
    replaces: bool = False,
    compared: Callable[[Array, Array], Array] = lambda _, v: v,
    uncorrected: bool = False,
    mean: Callable[[Array, Array, int, Settings], Array] | None = None,
    squares: Callable[[Array, Array], Array] = lambda g, given: g,  # noqa: ARG005
    none_counts: bool = False,
    none_decays: bool = False,
    **s: Any,
) -> Trajectory:
    """Adam with replaceable parts; its decay is coupled, AdamW's is decoupled."""
    w = parameter.astype(np.float64)
    m, v, most = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    t, trajectory = 0, []
    for gradient in gradients:
        t += gradient is not None or none_counts
        shrunk = {"decoupled": s["lr"], "without lr": 1.0}.get(decay, 0.0) * s["weight_decay"]
        if gradient is not None:
            g = (-gradient if s["maximize"] else gradient).astype(np.float64)
            given = g
            g = g + s["weight_decay"] * w if decay == "coupled" else g
            w = w - shrunk * w
            m = s["betas"][0] * m + (1 - s["betas"][0]) * g
            v = s["betas"][1] * v + (1 - s["betas"][1]) * second(squares(g, given))
            c1, c2 = corrections(t, s)
            first = not most.any()
            most = (np.maximum if first else further)(most, v / c2 if largest_corrected else compared(m, v))
            v = most if replaces and s["amsgrad"] else v
            held = (most * c2 if largest_corrected or uncorrected else most) if s["amsgrad"] else v
            step = m / c1 if mean is None else mean(m, g, t, s)
            w = w - s["lr"] * step / denominator(held, c2, s["eps"])
            if decay == "after":
                w = w - s["lr"] * s["weight_decay"] * w
        elif none_decays:
            w = w - shrunk * w
        trajectory.append(w)
    return np.stack(trajectory).astype(parameter.dtype), None


class _CountsEachParameter:
    """Adam with one step count for all parameters, which each of them increments."""

    def __init__(self, parameters: dict[str, Array], **settings: Any) -> None:
        self.parameters, self.settings, self.count = parameters, settings, 0
        self.begun = {name: w.copy() for name, w in parameters.items()}
        self.seen: dict[str, list[tuple[int, Array]]] = {name: [] for name in parameters}

    def step(self, gradients: dict[str, Array | None]) -> None:
        for name, gradient in gradients.items():
            if gradient is not None:
                self.count += 1
                self.seen[name].append((self.count, gradient.copy()))
                counts, seen = zip(*self.seen[name], strict=True)
                trajectory, _ = adam(
                    self.begun[name],
                    *seen,
                    corrections=partial(_at_counts, counts),
                    **self.settings,
                )
                self.parameters[name][...] = trajectory[-1]


class _FindsStateByShape:
    """SGD with one momentum buffer for all parameters of a shape."""

    def __init__(self, parameters: dict[str, Array], **settings: Any) -> None:
        self.parameters, self.settings, self.buffers = parameters, settings, dict[tuple[int, ...], Array]()

    def step(self, gradients: dict[str, Array | None]) -> None:
        s = self.settings
        for name, gradient in gradients.items():
            if gradient is not None:
                w = self.parameters[name]
                g = (-gradient if s["maximize"] else gradient) + s["weight_decay"] * w
                b = self.buffers.get(w.shape)
                b = self.buffers[w.shape] = (
                    g if b is None or not s["momentum"] else s["momentum"] * b + (1 - s["dampening"]) * g
                )
                w -= s["lr"] * (g + s["momentum"] * b if s["nesterov"] else b)


class _KeepsTheGradient:
    """SGD whose momentum buffer is the first gradient array itself until the second step."""

    def __init__(self, parameters: dict[str, Array], **settings: Any) -> None:
        self.parameters, self.settings, self.buffers = parameters, settings, dict[str, Array]()

    def step(self, gradients: dict[str, Array | None]) -> None:
        s = self.settings
        for name, gradient in gradients.items():
            if gradient is not None:
                w, g = self.parameters[name], gradient
                if s["maximize"] or s["weight_decay"]:
                    g = (-g if s["maximize"] else g) + s["weight_decay"] * w
                b = self.buffers.get(name)
                b = self.buffers[name] = g if b is None else s["momentum"] * b + (1 - s["dampening"]) * g
                w -= s["lr"] * (g + s["momentum"] * b if s["nesterov"] else b if s["momentum"] else g)


def _at_counts(counts: tuple[int, ...], t: int, s: Settings) -> Pair:
    return corrections_of(counts[t - 1], s)


def _corrected_again(t: int, s: Settings) -> Pair:
    """The product of all corrections so far, as m ← (β·m̂ + (1 − β)·g) / c approximately divides by."""
    first, second = zip(*(corrections_of(i, s) for i in range(1, t + 1)), strict=True)
    return math.prod(first), math.prod(second)


def _nesterov(m: Array, g: Array, t: int, s: Settings) -> Array:
    beta = s["betas"][0]
    return np.asarray(beta * m / (1 - beta ** (t + 1)) + (1 - beta) * g / (1 - beta**t))


def _nadam(m: Array, g: Array, t: int, s: Settings) -> Array:
    mu = [s["betas"][0] * (1 - 0.96 ** (i * 0.004) / 2) for i in range(t + 2)]
    return np.asarray((1 - mu[t]) * g / (1 - np.prod(mu[1 : t + 1])) + mu[t + 1] * m / (1 - np.prod(mu[1:])))


def _inverse(t: int, s: Settings) -> Pair:
    c1, c2 = corrections_of(t, s)
    return 1 / c1, 1 / c2


def _scales_its_first_gradient(op: Op, _: Any) -> Op:
    def called(parameter: Array, *gradients: Array | None, **s: Any) -> Any:
        made = op(parameter, *gradients, **s)
        there = [g for g in gradients if g is not None]
        if s["momentum"] and len(there) > 1 and there[0].flags.writeable:
            there[0] *= s["momentum"]
        return made

    return called


BUFFERS: dict[Any, Array] = {}


def _buffers_shared(parameter: Array, *gradients: Array | None, **s: Any) -> Trajectory:
    """SGD whose buffers are a mutable default argument, so that the next optimizer starts with them."""
    left = BUFFERS.get(key := (parameter.shape, parameter.dtype, str(s)))

    def first(g: Array, s: Settings) -> Array:
        return g if left is None else s["momentum"] * left + (1 - s["dampening"]) * g

    made = sgd(parameter, *gradients, first=first, **s)
    BUFFERS[key] = np.ones_like(parameter)
    return made


def setting(**values: Callable[[Settings], Any]) -> Change:
    """Edit settings; each edit receives all of them."""
    return options(lambda s, _: s | {name: edit(s) for name, edit in values.items()})


def of_sgd(**parts: Any) -> Change:
    """Replace parts of SGD."""
    return instead(partial(sgd, **parts))


def of_adam(**parts: Any) -> Change:
    """Replace parts of Adam."""
    return instead(partial(adam, **parts))


def _before_correction(v: Array, c: float, eps: float) -> Array:
    return np.asarray((np.sqrt(v) + eps) / np.sqrt(c))


SGD, ADAM, ADAMW = partial(plant, "SGD"), partial(plant, "Adam"), partial(plant, "AdamW")
of_adamw = partial(of_adam, decay="decoupled")

# fmt: off
SGD("sgd-dampening-first-step", "dampening-first-step", of_sgd(first=lambda g, s: (1 - s["dampening"]) * g))
SGD("sgd-nesterov-ignored", "nesterov-ignored", option("nesterov", lambda _: False))
SGD("sgd-nesterov-sign", "nesterov-sign", of_sgd(ahead=lambda g, b, s: g - s["momentum"] * b))
SGD("sgd-decay-needs-momentum", "decay-ignored",
    setting(weight_decay=lambda s: s["weight_decay"] if s["momentum"] else 0.0),
    description="Weight decay has no effect without momentum.")
SGD("sgd-decay-without-lr", "decay-without-lr decay-over-lr",
    setting(weight_decay=lambda s: s["weight_decay"] / s["lr"]))
SGD("sgd-decay-decoupled", "decay-decoupled", of_sgd(decoupled=True))
SGD("sgd-decay-twice", "decay-twice", setting(weight_decay=lambda s: 2 * s["weight_decay"]))
SGD("sgd-momentum-ignored", "momentum-ignored", setting(momentum=lambda _: 0.0, nesterov=lambda _: False))
SGD("sgd-momentum-averages", "momentum-averaged-later",
    both(of_sgd(), setting(dampening=lambda s: s["momentum"])))
SGD("sgd-none-moves", "none-moves", of_sgd(none_moves=True))
SGD("sgd-gradient-kept-as-buffer", "mutates-input", _scales_its_first_gradient,
    description="The first gradient array becomes the momentum buffer, which the next step overwrites.")
SGD("sgd-state-by-shape", "state-by-shape", instead(by_hand(_FindsStateByShape)))
SGD("sgd-buffer-is-the-gradient", "", instead(by_hand(_KeepsTheGradient)),
    description="The momentum buffer is the first gradient array: a caller that reuses the array changes it.")
SGD("sgd-nesterov-exchanged", "nesterov-exchanged", of_sgd(ahead=lambda g, b, s: b + s["momentum"] * g))
SGD("sgd-maximize-flips-decay", "maximize-flips-decay",
    both(of_sgd(), setting(weight_decay=lambda s: -s["weight_decay"] if s["maximize"] else s["weight_decay"])))
SGD("sgd-buffers-shared", "shared-state", instead(_buffers_shared),
    description="The buffers are a mutable default argument: the next optimizer starts with them.")

ADAM("adam-bias-correction-missing", "bias-correction-missing", of_adam(corrections=lambda *_: (1.0, 1.0)),
     description="Neither moment has a bias correction.")
ADAM("adam-first-moment-corrected-only", "bias-correction-first-only",
     of_adam(corrections=lambda t, s: (corrections_of(t, s)[0], 1.0)))
ADAM("adam-second-moment-corrected-only", "bias-correction-second-only",
     of_adam(corrections=lambda t, s: (1.0, corrections_of(t, s)[1])))
ADAM("adam-steps-counted-from-two", "bias-correction-late",
     of_adam(corrections=lambda t, s: corrections_of(t + 1, s)),
     description="The step count of the correction is one too high.")
ADAM("adam-correction-by-product", "bias-correction-product", of_adam(corrections=_inverse),
     description="The moments are multiplied by the correction instead of divided.")
ADAM("adam-correction-in-place", "", of_adam(corrections=_corrected_again),
     description="The correction is done in place, so the next step corrects the moments again.")
ADAM("adam-epsilon-inside-root", "epsilon-inside-root",
     of_adam(denominator=lambda v, c, eps: np.sqrt(v / c + eps)),
     description="Epsilon is added under the root.")
ADAM("adam-epsilon-before-correction", "epsilon-before-correction", of_adam(denominator=_before_correction),
     description="Epsilon is added before the bias correction of the root.")
ADAM("adam-root-of-the-mean", "adam-root-missing", of_adam(denominator=lambda v, c, eps: v / c + eps))
ADAM("adam-second-moment-absolute", "square-missing-in-moment", of_adam(second=np.abs))
ADAM("adam-decay-decoupled", "decay-decoupled", of_adam(decay="decoupled"),
     description="Adam's weight decay is AdamW's.")
ADAM("adam-decay-ignored", "decay-ignored", option("weight_decay", lambda _: 0.0))
ADAM("adam-amsgrad-ignored", "amsgrad-ignored", option("amsgrad", lambda _: False))
ADAM("adam-amsgrad-after-correction", "amsgrad-after-correction", of_adam(largest_corrected=True),
     description="The maximum is taken over the corrected second moments.")
ADAM("adam-amsgrad-replaces-v", "amsgrad-replaces", of_adam(replaces=True))
ADAM("adam-amsgrad-minimum", "amsgrad-minimum", of_adam(further=np.minimum))
ADAM("adam-correction-outside-the-root", "bias-correction-outside-root",
     of_adam(denominator=lambda v, c, eps: np.sqrt(v) / c + eps))
ADAM("adam-amsgrad-of-the-mean", "amsgrad-of-mean", of_adam(compared=lambda m, _: m * m))
ADAM("adam-amsgrad-uncorrected", "amsgrad-uncorrected", of_adam(uncorrected=True))
ADAM("adam-is-nadam", "nesterov-added", of_adam(mean=_nadam), description="It is NAdam, with torch's schedule.")
ADAM("adam-is-keras-nadam", "nesterov-added", of_adam(mean=_nesterov),
     description="It is NAdam without a schedule.")
ADAM("adam-second-moment-without-decay", "second-moment-without-decay", of_adam(squares=lambda _, given: given))
ADAM("adam-maximize-flips-decay", "maximize-flips-decay",
     both(of_adam(), setting(weight_decay=lambda s: -s["weight_decay"] if s["maximize"] else s["weight_decay"])))
ADAM("adam-betas-swapped", "betas-swapped", option("betas", lambda betas: betas[::-1]))
ADAM("adam-none-counts", "none-advances", of_adam(none_counts=True),
     description="A step without a gradient advances the step count.")
ADAM("adam-count-raised-by-each-parameter", "count-shared bias-correction-late",
     instead(by_hand(_CountsEachParameter)),
     description="A single step count is incremented once per parameter.")

ADAMW("adamw-decay-coupled", "decay-coupled", of_adam())
ADAMW("adamw-decay-without-lr", "decay-without-lr", of_adam(decay="without lr"))
ADAMW("adamw-decay-after-step", "decay-after-step", of_adam(decay="after"),
      description="The weights are decayed after the step instead of before.")
ADAMW("adamw-decay-ignored", "decay-ignored", option("weight_decay", lambda _: 0.0))
ADAMW("adamw-epsilon-before-correction", "epsilon-before-correction", of_adamw(denominator=_before_correction))
ADAMW("adamw-amsgrad-after-correction", "amsgrad-after-correction", of_adamw(largest_corrected=True))
ADAMW("adamw-none-decays", "none-decays", of_adamw(none_decays=True))
ADAMW("adamw-betas-swapped", "betas-swapped", option("betas", lambda betas: betas[::-1]))

plant("RMSprop", "rmsprop-alpha-reversed", "alpha-reversed",
      only(lambda c: not c.options["centered"], option("alpha", lambda alpha: 1 - alpha)))
# fmt: on
