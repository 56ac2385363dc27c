"""Mistakes in an optimizer: a correction, the place of ε, the decay, a step that should not count."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import Formula, mistake
from parity.naming.probe import Probe


def gradients_of(probe: Probe) -> tuple[Array, list[Array | None]]:
    """The parameter, and the gradient of each step or None."""
    first, *rest = probe.arrays.values()
    assert first is not None
    sign = -1.0 if probe.options.get("maximize") else 1.0
    return first.astype(np.float64), [None if g is None else sign * g.astype(np.float64) for g in rest]


@dataclass(frozen=True)
class SgdSteps:
    """SGD as in torch; each field that is not an option is one possible mistake."""

    lr: float
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool
    maximize: bool
    dampened_first: bool = False  # also the first gradient
    buffer_of_zeros: bool = False  # the buffer starts at zero; the first gradient may be dampened
    averaged: bool = False  # b = μ·b + (1−μ)·g
    averaged_later: bool = False  # the same from the second gradient on
    reversed: bool = False  # b = (1−μ)·b + g
    averaged_reversed: bool = False  # b = (1−μ)·b + μ·g
    of_gradient: bool = False  # b = b + μ·g
    nesterov_negated: bool = False  # g − μ·b
    none_moves: bool = False  # without a gradient the momentum still updates w
    decay_decoupled: bool = False  # w ← (1 − lr·λ)·w
    decay_without_lr: bool = False
    decay_negated: bool = False
    decay_flips: bool = False  # with maximize, the decay is negated too
    decay_over_lr: bool = False  # λ/lr·w is added to the gradient
    none_counts: bool = False  # a step without a gradient uses 0
    ascends: bool = False
    buffer_before: bool = False  # the step uses the buffer of the previous step
    nesterov_plain: bool = False  # g + b, without μ
    lr_squared: bool = False
    nesterov_exchanged: bool = False  # b + μ·g
    step_averaged: bool = False  # the step is multiplied by 1 − μ
    decay_factor: float = 1.0

    def run(self, w: Array, gradients: Iterable[Array | None]) -> Array:
        """w after each step."""
        b: Array | None = None
        found = []
        for given in gradients:
            if given is None and not self.none_counts:
                if self.none_moves and b is not None:
                    w = w - self.lr * b
                found.append(w)
                continue
            g = np.zeros_like(w) if given is None else given
            negated = self.decay_negated or (self.decay_flips and self.maximize)
            decay = self.decay_factor * (-self.weight_decay if negated else self.weight_decay)
            decay /= self.lr if self.decay_over_lr else 1
            if not (self.decay_decoupled or self.decay_without_lr):
                g = g + decay * w
            if self.momentum or self.reversed or self.of_gradient:  # reversed momentum acts even at 0
                averaged = self.averaged or (self.averaged_later and b is not None)
                share = 1 - (self.momentum if averaged else self.dampening)
                before = b
                if b is None:
                    dampened = self.dampened_first or self.averaged
                    b = share * g if dampened else g
                    b = self.momentum * g if self.of_gradient or self.averaged_reversed else b
                else:
                    kept = 1 - self.momentum if self.reversed else self.momentum
                    share = self.momentum if self.averaged_reversed else share
                    b = b + self.momentum * g if self.of_gradient else kept * b + share * g
                if self.nesterov:
                    ahead = b if self.nesterov_plain else self.momentum * b
                    ahead = b + (self.momentum - 1) * g if self.nesterov_exchanged else ahead
                    g = g - ahead if self.nesterov_negated else g + ahead
                else:
                    g = (np.zeros_like(w) if before is None else before) if self.buffer_before else b
                g = (1 - self.momentum) * g if self.step_averaged else g
            old = w
            w = w + self.lr * g if self.ascends else w - (self.lr**2 if self.lr_squared else self.lr) * g
            if self.decay_decoupled:
                w = w - self.lr * decay * old
            if self.decay_without_lr:
                w = w - decay * old
            found.append(w)
        return np.stack(found)


def _shares(beta1: float, beta2: float) -> tuple[float, float]:
    return 1 - beta1, 1 - beta2


def _keeps(beta1: float, beta2: float) -> tuple[float, float]:
    return beta1, beta2


@dataclass(frozen=True)
class AdamSteps:
    """Adam or AdamW as in torch; each field that is not an option is one possible mistake."""

    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    amsgrad: bool
    maximize: bool
    decoupled: bool
    corrects: tuple[bool, bool] = (True, True)  # the bias of the mean and of the mean square
    t_before: int = 0  # the initial step count
    t_stays: bool = False  # the step count stays at 1
    t_of_all: int = 1  # increments of t per step: one for each parameter
    corrects_by_product: bool = False  # the moments are multiplied by 1 − βᵗ
    eps_inside: bool = False  # √(v̂ + ε)
    eps_before: bool = False  # √v + ε is corrected afterwards
    eps_in_v: bool = False  # ε is added to v at each step
    v_of_given: bool = False  # v of the gradient without the decay
    decay_scaled: bool = False  # AdamW: λ·w is divided by √v̂ + ε too
    largest_kept: bool = False  # AMSGrad: the largest v replaces v
    smallest: bool = False  # AMSGrad: the smallest v is used
    root_missing: bool = False
    square: Callable[[Array], Array] = np.square  # the square of g in v
    shares: Callable[[float, float], tuple[float, float]] = _shares  # of g in m, and of g² in v
    keeps: Callable[[float, float], tuple[float, float]] = _keeps  # of m, and of v
    amsgrad_corrected: bool = False  # the maximum of the corrected v
    none_counts: str = ""  # "t": the step counts; "all": as a gradient of 0; "decay": the weights decay
    decay_without_lr: bool = False
    decay_after: bool = False  # AdamW: decay after the step
    decay_of_new: bool = False
    decay_negated: bool = False
    decay_flips: bool = False  # with maximize, the decay is negated too
    ascends: bool = False
    corrects_root: bool = False  # √v / (1 − β₂ᵗ)
    corrected_in_place: bool = False  # the corrected moments replace the moments
    largest_of_mean: bool = False  # AMSGrad: the maximum of m²
    largest_uncorrected: bool = False  # AMSGrad: the maximum is not corrected
    ahead: Callable[["AdamSteps", int], tuple[float, float]] | None = None  # Nesterov's factors of g and of m

    def run(self, w: Array, gradients: Iterable[Array | None]) -> Array:
        """w after each step."""
        beta1, beta2 = self.betas
        m, v, largest = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
        t, found, seen = self.t_before, [], False
        negated = self.decay_negated or (self.decay_flips and self.maximize)
        decay = -self.weight_decay if negated else self.weight_decay
        for given in gradients:
            if given is None and self.none_counts != "all":
                t += self.none_counts == "t"
                if self.none_counts == "decay" and self.decoupled:
                    w = w * (1 - self.lr * decay)
                found.append(w)
                continue
            g = np.zeros_like(w) if given is None else given
            t = 1 if self.t_stays else t + self.t_of_all
            step_of_decay = (1.0 if self.decay_without_lr else self.lr) * decay
            old = w
            raw = g
            if self.decoupled and not (self.decay_after or self.decay_scaled):
                w = w - step_of_decay * w
            elif not self.decoupled:
                g = g + decay * w
            squared = self.square(raw if self.v_of_given else g)
            m = self.keeps(beta1, beta2)[0] * m + self.shares(beta1, beta2)[0] * g
            v = self.keeps(beta1, beta2)[1] * v + self.shares(beta1, beta2)[1] * squared
            if self.eps_in_v:
                v = v + self.eps
            r1 = 1 - beta1**t if self.corrects[0] else 1.0
            r2 = 1 - beta2**t if self.corrects[1] else 1.0
            if self.corrects_by_product:
                r1, r2 = 1 / r1, 1 / r2
            if self.corrected_in_place:
                m, v, r1, r2 = m / r1, v / r2, 1.0, 1.0
            used = v / r2
            if self.amsgrad:
                furthest = np.minimum if self.smallest and seen else np.maximum
                compared = used if self.amsgrad_corrected else m**2 if self.largest_of_mean else v
                largest, seen = furthest(largest, compared), True
                v = largest if self.largest_kept else v
                used = largest if self.amsgrad_corrected or self.largest_uncorrected else largest / r2
            if self.root_missing:
                denominator = used + self.eps
            elif self.eps_inside:
                denominator = np.sqrt(used + self.eps)
            elif self.eps_before:
                denominator = (np.sqrt(used * r2) + self.eps) / np.sqrt(r2)
            elif self.corrects_root:
                denominator = np.sqrt(used * r2) / r2 + self.eps
            else:
                denominator = np.sqrt(used) + self.eps
            mean = m / r1
            if self.ahead is not None:
                of_g, of_m = self.ahead(self, t)
                mean = of_g * g + of_m * m
            update = self.lr * (mean + (decay * w if self.decay_scaled else 0)) / denominator
            w = w + update if self.ascends else w - update
            if self.decoupled and self.decay_after:
                w = w - step_of_decay * (w if self.decay_of_new else old)
            found.append(w)
        return np.stack(found)


# Nesterov's momentum in Adam, as Keras and Ruder's overview have it, and by Dozat's schedule of β₁, as in
# torch.optim.NAdam.


def _next_correction(s: AdamSteps, t: int) -> tuple[float, float]:
    beta = s.betas[0]
    return (1 - beta) / (1 - beta**t), beta / (1 - beta ** (t + 1))


def _same_correction(s: AdamSteps, t: int) -> tuple[float, float]:
    beta = s.betas[0]
    return (1 - beta) / (1 - beta**t), beta / (1 - beta**t)


def _scheduled(s: AdamSteps, t: int) -> tuple[float, float]:
    shares = [s.betas[0] * (1 - 0.5 * 0.96 ** (0.004 * step)) for step in range(1, t + 2)]
    before, after = math.prod(shares[:-1]), math.prod(shares)
    return (1 - shares[-2]) / (1 - before), shares[-1] / (1 - after)


def _sgd(**changes: Any) -> Formula:
    def formula(probe: Probe) -> Array:
        o = probe.options
        steps = SgdSteps(
            o["lr"], o["momentum"], o["dampening"], o["weight_decay"], o["nesterov"], bool(o.get("maximize"))
        )
        return replace(steps, **changes).run(*gradients_of(probe))

    return formula


def _adam(decoupled: bool, changes: Callable[[AdamSteps], dict[str, Any]]) -> Formula:
    def formula(probe: Probe) -> Array:
        o = probe.options
        steps = AdamSteps(
            o["lr"], o["betas"], o["eps"], o["weight_decay"], o["amsgrad"], bool(o.get("maximize")), decoupled
        )
        return replace(steps, **changes(steps)).run(*gradients_of(probe))

    return formula


_SGD: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ascends", {"ascends": True}),
    ("momentum-ignored", {"momentum": 0.0}),
    ("nesterov-ignored", {"nesterov": False}),
    ("nesterov-without-momentum", {"nesterov_plain": True}),
    ("nesterov-sign", {"nesterov_negated": True}),
    ("dampening-ignored", {"dampening": 0.0}),
    ("dampening-first-step", {"dampened_first": True}),
    ("momentum-averaged", {"averaged": True}),
    ("momentum-averaged-without-nesterov", {"averaged": True, "nesterov": False}),
    ("momentum-averaged-later", {"averaged_later": True}),
    ("momentum-reversed", {"reversed": True}),
    ("momentum-averaged-reversed", {"reversed": True, "averaged_reversed": True}),
    ("momentum-of-gradient", {"of_gradient": True}),
    ("dampening-and-nesterov-ignored", {"dampening": 0.0, "nesterov": False}),
    ("momentum-late", {"buffer_before": True}),
    ("decay-ignored", {"weight_decay": 0.0}),
    ("decay-twice", {"decay_factor": 2.0}),
    ("decay-decoupled", {"decay_decoupled": True}),
    ("decay-without-lr", {"decay_without_lr": True}),
    ("decay-over-lr", {"decay_over_lr": True}),
    ("decay-negated", {"decay_negated": True}),
    ("none-is-zero", {"none_counts": True}),
    ("none-moves", {"none_moves": True}),
    ("lr-squared", {"lr_squared": True}),
    ("nesterov-exchanged", {"nesterov_exchanged": True}),
    ("maximize-flips-decay", {"decay_flips": True}),
    ("step-times-one-minus-momentum", {"step_averaged": True}),
)

SGD = tuple(mistake(name, formula=_sgd(**changes)) for name, changes in _SGD)

_ADAM: tuple[tuple[str, Callable[[AdamSteps], dict[str, Any]]], ...] = (
    ("ascends", lambda _: {"ascends": True}),
    ("bias-correction-missing", lambda _: {"corrects": (False, False)}),
    ("bias-correction-first-only", lambda _: {"corrects": (True, False)}),
    ("bias-correction-second-only", lambda _: {"corrects": (False, True)}),
    ("bias-correction-late", lambda _: {"t_before": 1}),
    ("bias-correction-early", lambda _: {"t_before": -1}),
    ("bias-correction-of-first-step", lambda _: {"t_stays": True}),
    ("bias-correction-accumulates", lambda _: {"corrected_in_place": True}),
    ("bias-correction-product", lambda _: {"corrects_by_product": True}),
    ("epsilon-inside-root", lambda _: {"eps_inside": True}),
    ("epsilon-before-correction", lambda _: {"eps_before": True}),
    ("adam-epsilon-ignored", lambda _: {"eps": 0.0}),
    ("epsilon-in-moment", lambda _: {"eps_in_v": True}),
    ("decay-ignored", lambda _: {"weight_decay": 0.0}),
    ("decay-twice", lambda s: {"weight_decay": 2 * s.weight_decay}),
    ("decay-decoupled", lambda _: {"decoupled": True}),
    ("decay-coupled", lambda _: {"decoupled": False}),
    ("decay-without-lr", lambda _: {"decay_without_lr": True, "decoupled": True}),
    ("decay-after-step", lambda _: {"decay_after": True, "decay_of_new": True}),
    ("decay-negated", lambda _: {"decay_negated": True}),
    ("amsgrad-ignored", lambda _: {"amsgrad": False}),
    ("amsgrad-always", lambda _: {"amsgrad": True}),
    ("amsgrad-after-correction", lambda _: {"amsgrad_corrected": True}),
    ("amsgrad-of-mean", lambda _: {"largest_of_mean": True}),
    ("amsgrad-uncorrected", lambda _: {"largest_uncorrected": True}),
    ("bias-correction-outside-root", lambda _: {"corrects_root": True}),
    ("nesterov-added", lambda _: {"ahead": _next_correction}),
    ("nesterov-added", lambda _: {"ahead": _same_correction}),
    ("nesterov-added", lambda _: {"ahead": _scheduled}),
    ("betas-swapped", lambda s: {"betas": s.betas[::-1]}),
    ("first-beta-for-both", lambda s: {"betas": (s.betas[0], s.betas[0])}),
    ("second-beta-for-both", lambda s: {"betas": (s.betas[1], s.betas[1])}),
    ("betas-default", lambda _: {"betas": (0.9, 0.999)}),
    ("none-advances", lambda _: {"none_counts": "t"}),
    ("none-is-zero", lambda _: {"none_counts": "all"}),
    ("none-decays", lambda _: {"none_counts": "decay"}),
    ("count-shared", lambda _: {"t_of_all": 2, "none_counts": "t"}),
    ("adam-root-missing", lambda _: {"root_missing": True}),
    ("square-missing-in-moment", lambda _: {"square": np.abs}),
    ("square-lost-in-moment", lambda _: {"square": np.positive}),
    ("first-moment-not-averaged", lambda _: {"shares": lambda _, b2: (1.0, 1 - b2)}),
    ("second-moment-not-averaged", lambda _: {"shares": lambda b1, _: (1 - b1, 1.0)}),
    ("moments-not-averaged", lambda _: {"shares": lambda *_: (1.0, 1.0)}),
    ("first-moment-share", lambda _: {"shares": lambda _, b2: (1 - b2, 1 - b2)}),
    ("second-moment-share", lambda _: {"shares": lambda b1, _: (1 - b1, 1 - b1)}),
    (
        "first-moment-reversed",
        lambda _: {"shares": lambda b1, b2: (b1, 1 - b2), "keeps": lambda b1, b2: (1 - b1, b2)},
    ),
    (
        "second-moment-reversed",
        lambda _: {"shares": lambda b1, b2: (1 - b1, b2), "keeps": lambda b1, b2: (b1, 1 - b2)},
    ),
    # m += (1 − β)(g − m) has one β for both shares
    ("first-moment-beta", lambda _: {"shares": lambda _, b2: (1 - b2, 1 - b2), "keeps": lambda _, b2: (b2, b2)}),
    ("second-moment-beta", lambda _: {"shares": lambda b1, _: (1 - b1, 1 - b1), "keeps": lambda b1, _: (b1, b1)}),
    ("maximize-flips-decay", lambda _: {"decay_flips": True}),
    ("amsgrad-replaces", lambda _: {"largest_kept": True}),
    ("amsgrad-minimum", lambda _: {"smallest": True}),
    ("second-moment-without-decay", lambda _: {"v_of_given": True}),
    ("decay-scaled", lambda _: {"decay_scaled": True}),
    ("second-moment-not-kept", lambda _: {"keeps": lambda b1, _: (b1, 0.0)}),
)

# ε beside √v, not √v̂: Kingma and Ba's more efficient order of computation (2015, section 2).
_CONVENTIONS = {"epsilon-before-correction"}


def _corrected_rate(edit: Callable[[AdamSteps], dict[str, Any]]) -> Callable[[AdamSteps], dict[str, Any]]:
    """The same mistake with ε beside √v."""
    return lambda steps: edit(steps) | {"eps_before": True}


# Excluded: Adam's decay is already coupled, AdamW's already decoupled.
_NOT_OF = {
    False: {"decay-coupled", "decay-after-step", "none-decays", "decay-scaled"},
    True: {"decay-decoupled", "second-moment-without-decay"},
}

ADAM, ADAMW = (
    (
        *(
            mistake(n, formula=_adam(decoupled, edit), convention=n in _CONVENTIONS)
            for n, edit in _ADAM
            if n not in _NOT_OF[decoupled]
        ),
        *(
            mistake(n, formula=_adam(decoupled, _corrected_rate(edit)))
            for n, edit in _ADAM
            if n not in _NOT_OF[decoupled] | {"bias-correction-outside-root"} and "epsilon" not in n
        ),
    )
    for decoupled in (False, True)
)
