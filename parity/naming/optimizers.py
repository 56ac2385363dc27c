"""What goes wrong in an optimizer: a correction, the place of ε, the decay, a step that counts and should not."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.cases.torch_op import Array
from parity.naming.explanation import Computes, Explanation, Question


def _gradients(question: Question) -> tuple[Array, list[Array | None]]:
    """The parameter, and the gradient of each step or None."""
    first, *rest = question.arrays.values()
    assert first is not None
    return first.astype(np.float64), [None if g is None else g.astype(np.float64) for g in rest]


@dataclass(frozen=True)
class SgdSteps:
    """SGD as torch has it; each field but the options' is one way to have it wrong."""

    lr: float
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool
    dampened_first: bool = False  # the first gradient too
    buffer_of_zeros: bool = False  # the first gradient enters a buffer of zeros, dampened or not
    averaged: bool = False  # b = μ·b + (1−μ)·g
    averaged_later: bool = False  # the same from the second gradient on
    nesterov_negated: bool = False  # g − μ·b
    none_moves: bool = False  # without a gradient the momentum moves w on
    decay_decoupled: bool = False  # w ← (1 − lr·λ)·w
    decay_after: bool = False  # λ·w is added behind the momentum
    decay_without_lr: bool = False
    decay_negated: bool = False
    decay_over_lr: bool = False  # λ/lr·w is added to the gradient
    none_counts: bool = False  # a step without a gradient is one with 0
    ascends: bool = False
    buffer_before: bool = False  # the step uses the buffer of the step before
    nesterov_plain: bool = False  # g + b, μ forgotten
    lr_squared: bool = False

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
            decay = -self.weight_decay if self.decay_negated else self.weight_decay
            decay /= self.lr if self.decay_over_lr else 1
            if not (self.decay_decoupled or self.decay_after or self.decay_without_lr):
                g = g + decay * w
            if self.momentum:
                averaged = self.averaged or (self.averaged_later and b is not None)
                share = 1 - (self.momentum if averaged else self.dampening)
                before = b
                if b is None:
                    dampened = self.dampened_first or self.averaged
                    b = share * g if dampened else g
                else:
                    b = self.momentum * b + share * g
                if self.nesterov:
                    ahead = b if self.nesterov_plain else self.momentum * b
                    g = g - ahead if self.nesterov_negated else g + ahead
                else:
                    g = (np.zeros_like(w) if before is None else before) if self.buffer_before else b
            if self.decay_after:
                g = g + decay * w
            old = w
            w = w + self.lr * g if self.ascends else w - (self.lr**2 if self.lr_squared else self.lr) * g
            if self.decay_decoupled:
                w = w - self.lr * decay * old
            if self.decay_without_lr:
                w = w - decay * old
            found.append(w)
        return np.stack(found)


@dataclass(frozen=True)
class AdamSteps:
    """Adam as torch has it, or AdamW; each field but the options' is one way to have it wrong."""

    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    amsgrad: bool
    decoupled: bool
    corrects: tuple[bool, bool] = (True, True)  # the bias of the mean, and of the mean square
    t_before: int = 0  # the step counts from here
    t_stays: bool = False  # the step is always the first
    t_of_all: int = 1  # by how much t advances: once for each parameter that is stepped
    corrects_by_product: bool = False  # the moments are multiplied by 1 − βᵗ
    eps_inside: bool = False  # √(v̂ + ε)
    eps_before: bool = False  # √v + ε, corrected afterwards
    eps_in_v: bool = False  # ε is added to v at each step
    root_missing: bool = False
    square_missing: bool = False  # v of |g|, not of g²
    amsgrad_corrected: bool = False  # the maximum of the corrected v
    none_counts: str = ""  # "t": the step counts; "all": as a gradient of 0; "decay": the decay goes on
    decay_without_lr: bool = False
    decay_after: bool = False  # AdamW: behind the step
    decay_of_new: bool = False
    decay_negated: bool = False
    moment_not_averaged: tuple[bool, bool] = (False, False)  # m = β·m + g
    moments_swapped: bool = False
    decay_in_moments_only: bool = False
    ascends: bool = False
    corrected_in_place: bool = False  # the corrected moments are kept in the place of the moments

    def run(self, w: Array, gradients: Iterable[Array | None]) -> Array:
        """w after each step."""
        beta1, beta2 = self.betas
        m, v, largest = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
        t, found = self.t_before, []
        decay = -self.weight_decay if self.decay_negated else self.weight_decay
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
            if self.decoupled and not self.decay_after:
                w = w - step_of_decay * w
            elif not self.decoupled:
                g = g + decay * w
            m = beta1 * m + (1.0 if self.moment_not_averaged[0] else 1 - beta1) * g
            v = beta2 * v + (1.0 if self.moment_not_averaged[1] else 1 - beta2) * (
                np.abs(g) if self.square_missing else g * g
            )
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
                largest = np.maximum(largest, used if self.amsgrad_corrected else v)
                used = largest if self.amsgrad_corrected else largest / r2
            if self.root_missing:
                denominator = used + self.eps
            elif self.eps_inside:
                denominator = np.sqrt(used + self.eps)
            elif self.eps_before:
                denominator = (np.sqrt(used * r2) + self.eps) / np.sqrt(r2)
            else:
                denominator = np.sqrt(used) + self.eps
            update = self.lr * (m / r1) / denominator
            w = w + update if self.ascends else w - update
            if self.decoupled and self.decay_after:
                w = w - step_of_decay * (w if self.decay_of_new else old)
            found.append(w)
        return np.stack(found)


def _sgd(**changes: Any) -> Computes:
    def computes(question: Question) -> Array:
        o = question.options
        steps = SgdSteps(o["lr"], o["momentum"], o["dampening"], o["weight_decay"], o["nesterov"])
        return replace(steps, **changes).run(*_gradients(question))

    return computes


def _adam(decoupled: bool, changes: Callable[[AdamSteps], dict[str, Any]]) -> Computes:
    def computes(question: Question) -> Array:
        o = question.options
        steps = AdamSteps(o["lr"], o["betas"], o["eps"], o["weight_decay"], o["amsgrad"], decoupled)
        return replace(steps, **changes(steps)).run(*_gradients(question))

    return computes


_SGD: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("negated", "it climbs: the step has the wrong sign", {"ascends": True}),
    ("momentum-ignored", "the momentum is ignored", {"momentum": 0.0}),
    ("nesterov-ignored", "nesterov is ignored", {"nesterov": False}),
    ("nesterov-without-momentum", "the look-ahead lacks the factor μ: g + b", {"nesterov_plain": True}),
    ("dampening-ignored", "the dampening is ignored", {"dampening": 0.0}),
    (
        "dampening-first-step",
        "the first gradient is dampened too, where torch takes it whole",
        {"dampened_first": True},
    ),
    (
        "momentum-averaged",
        "the momentum averages, b ← μ·b + (1−μ)·g, where torch adds g whole",
        {"averaged": True},
    ),
    ("decay-ignored", "the weight decay is ignored", {"weight_decay": 0.0}),
    (
        "decay-decoupled",
        "the weight decay is decoupled: it shrinks w by itself, and does not enter the momentum",
        {"decay_decoupled": True},
    ),
    (
        "decay-after-momentum",
        "the weight decay is added behind the momentum, not to the gradient",
        {"decay_after": True},
    ),
    ("decay-without-lr", "the weight decay shrinks w without the step size", {"decay_without_lr": True}),
    ("decay-negated", "the weight decay has the wrong sign", {"decay_negated": True}),
    ("none-counts", "a step without a gradient is taken for one with the gradient 0", {"none_counts": True}),
    (
        "momentum-averaged",
        "the momentum averages from the second gradient on, b ← μ·b + (1−μ)·g, where torch adds g whole",
        {"averaged_later": True},
    ),
    ("nesterov-sign", "the look-ahead is subtracted: g − μ·b", {"nesterov_negated": True}),
    ("none-counts", "a step without a gradient moves w on along the momentum", {"none_moves": True}),
    (
        "decay-without-lr",
        "the weight decay is added to the gradient divided by the step size",
        {"decay_over_lr": True},
    ),
    ("momentum-late", "a step uses the momentum of the step before", {"buffer_before": True}),
    ("lr-squared", "the step size is multiplied in twice", {"lr_squared": True}),
)

SGD = tuple(Explanation(name, said, computes=_sgd(**changes)) for name, said, changes in _SGD)

_ADAM: tuple[tuple[str, str, Callable[[AdamSteps], dict[str, Any]]], ...] = (
    ("negated", "it climbs: the step has the wrong sign", lambda _: {"ascends": True}),
    (
        "bias-correction-missing",
        "both bias corrections 1 − βᵗ are missing",
        lambda _: {"corrects": (False, False)},
    ),
    ("bias-correction-first-only", "the bias correction of v is missing", lambda _: {"corrects": (True, False)}),
    ("bias-correction-second-only", "the bias correction of m is missing", lambda _: {"corrects": (False, True)}),
    (
        "bias-correction-off-by-one",
        "the bias correction counts the steps from 2 on: one too many",
        lambda _: {"t_before": 1},
    ),
    (
        "bias-correction-off-by-one",
        "the bias correction counts the steps from 0 on: one too few",
        lambda _: {"t_before": -1},
    ),
    (
        "bias-correction-of-first-step",
        "the bias correction is that of the first step for ever: t does not advance",
        lambda _: {"t_stays": True},
    ),
    (
        "bias-correction-accumulates",
        "the corrected moments are kept in the place of the moments",
        lambda _: {"corrected_in_place": True},
    ),
    ("epsilon-inside-root", "ε stands inside the root: √(v̂ + ε)", lambda _: {"eps_inside": True}),
    (
        "epsilon-before-correction",
        "ε is added before the bias correction: (√v + ε)/√(1−β₂ᵗ)",
        lambda _: {"eps_before": True},
    ),
    ("epsilon-ignored", "ε is ignored", lambda _: {"eps": 0.0}),
    ("epsilon-in-moment", "ε is added to v at each step", lambda _: {"eps_in_v": True}),
    ("decay-ignored", "the weight decay is ignored", lambda _: {"weight_decay": 0.0}),
    ("decay-decoupled", "the weight decay is decoupled, as AdamW's", lambda _: {"decoupled": True}),
    (
        "decay-coupled",
        "the weight decay is coupled: λ·w is added to the gradient, as Adam's",
        lambda _: {"decoupled": False},
    ),
    ("decay-without-lr", "the weight decay shrinks w without the step size", lambda _: {"decay_without_lr": True}),
    (
        "decay-without-lr",
        "the weight decay is decoupled, and without the step size",
        lambda _: {"decay_without_lr": True, "decoupled": True},
    ),
    (
        "decay-after-step",
        "the decay shrinks w after the step, not before",
        lambda _: {"decay_after": True, "decay_of_new": True},
    ),
    ("decay-negated", "the weight decay has the wrong sign", lambda _: {"decay_negated": True}),
    ("amsgrad-ignored", "amsgrad is ignored", lambda _: {"amsgrad": False}),
    ("amsgrad-always", "the largest v is used although amsgrad is off", lambda _: {"amsgrad": True}),
    (
        "amsgrad-after-correction",
        "AMSGrad takes the maximum of the corrected v, where torch takes it before",
        lambda _: {"amsgrad_corrected": True},
    ),
    ("betas-swapped", "β₁ and β₂ are swapped", lambda s: {"betas": s.betas[::-1]}),
    ("betas-swapped", "β₁ serves for both moments", lambda s: {"betas": (s.betas[0], s.betas[0])}),
    ("betas-swapped", "β₂ serves for both moments", lambda s: {"betas": (s.betas[1], s.betas[1])}),
    ("betas-default", "the betas are ignored: 0.9 and 0.999 always", lambda _: {"betas": (0.9, 0.999)}),
    ("none-counts", "a step without a gradient advances the count of steps", lambda _: {"none_counts": "t"}),
    (
        "none-counts",
        "a step without a gradient is taken for one with the gradient 0",
        lambda _: {"none_counts": "all"},
    ),
    ("none-counts", "the weight decay goes on in steps without a gradient", lambda _: {"none_counts": "decay"}),
    (
        "bias-correction-product",
        "the moments are multiplied by 1 − βᵗ, not divided",
        lambda _: {"corrects_by_product": True},
    ),
    (
        "none-counts",
        "one count of steps serves all parameters, and each of them raises it",
        lambda _: {"t_of_all": 2, "none_counts": "t"},
    ),
    ("root-missing", "the root of v is missing", lambda _: {"root_missing": True}),
    ("square-missing", "v gathers |g|, where it should gather g²", lambda _: {"square_missing": True}),
    ("moment-not-averaged", "m lacks the factor 1 − β₁", lambda _: {"moment_not_averaged": (True, False)}),
    ("moment-not-averaged", "v lacks the factor 1 − β₂", lambda _: {"moment_not_averaged": (False, True)}),
    ("moment-not-averaged", "both moments lack the factor 1 − β", lambda _: {"moment_not_averaged": (True, True)}),
)


def _adams(decoupled: bool) -> Iterator[Explanation]:
    for name, said, changes in _ADAM:
        yield Explanation(name, said, computes=_adam(decoupled, changes))


ADAM, ADAMW = tuple(_adams(decoupled=False)), tuple(_adams(decoupled=True))
