"""Optimizers as ops: op(parameter, *gradients, **settings) → the parameter after each step, and no pullback."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from numpy_cnn import optim
from parity.bounds.derived import Bound, BoundInputs, ErrorBounds
from parity.bounds.running import WithError
from parity.cases.case import ArraySpec, Case, Dtype, Lane
from parity.cases.primitives import booleans, composite, integers, sampled
from parity.cases.sizes import DTYPES, SEEDS
from parity.cases.torch_op import Array, Op
from parity.rows.row import NEITHER, NUMBERS, Row

MOST_STEPS = 5


def by_hand(kind: Callable[..., Any]) -> Op:
    """An optimizer of numpy_cnn.optim as an op; a gradient that is None is a step without it."""

    def op(parameter: Array, *gradients: Array | None, **settings: Any) -> tuple[Array, None]:
        w = parameter.copy()
        # A neighbour steps every time, in front of w: a count or a buffer that the two share would show in w.
        neighbour = np.ones(2, w.dtype)
        optimizer = kind({"neighbour": neighbour, "w": w}, **settings)
        trajectory = []
        for gradient in gradients:
            optimizer.step({"neighbour": neighbour.copy(), "w": gradient})
            trajectory.append(w.copy())
        return np.stack(trajectory), None

    return op


def of_torch(kind: Callable[..., torch.optim.Optimizer]) -> Callable[..., torch.Tensor]:
    """The same for an optimizer of torch.optim."""

    def like(parameter: torch.Tensor, *gradients: torch.Tensor | None, **settings: Any) -> torch.Tensor:
        w = parameter.detach().clone().requires_grad_()
        optimizer = kind([w], **settings)
        trajectory = []
        for gradient in gradients:
            w.grad = None if gradient is None else gradient.detach().clone()
            optimizer.step()
            trajectory.append(w.detach().clone())
        return torch.stack(trajectory)

    return like


@composite
def sgd(draw: st.DrawFn, lane: Lane) -> Case:
    """Momentum, dampening, Nesterov, weight decay; where results must be exact, all fractions of powers of two."""
    if lane != "bound":
        # A step multiplies by at most 6 binary digits: 5 steps of integers fit float64's 53, and not float32's 24.
        lr, share = sampled([1.0, 0.5, 0.25]), sampled([0.0, 0.5, 0.75])
        dtype: Dtype = "float64"
    else:
        lr, share = sampled([1.0, 0.1, 1e-3]), sampled([0.0, 0.3, 0.9])
        dtype = draw(DTYPES)
    settings = {"lr": draw(lr), "momentum": draw(share), "weight_decay": draw(sampled([0.0, 0.25]))}
    settings["nesterov"] = draw(booleans) and settings["momentum"] > 0
    dampening = draw(share)
    settings["dampening"] = 0.0 if settings["nesterov"] else dampening
    return Case("SGD", _arrays(draw), settings, dtype, draw(integers(1, 8)), draw(SEEDS))


@composite
def _adam(draw: st.DrawFn, row: str, lane: Lane) -> Case:  # noqa: ARG001  # one strategy for all lanes
    """Betas, ε from none to large, weight decay, AMSGrad."""
    settings = {
        "lr": draw(sampled([1.0, 0.1, 1e-3])),
        "betas": (draw(sampled([0.9, 0.5, 0.0])), draw(sampled([0.999, 0.75, 0.0]))),
        "eps": draw(sampled([1e-8, 1e-3, 1.0])),
        "weight_decay": draw(sampled([0.0, 0.25])),
        "amsgrad": draw(booleans),
    }
    return Case(row, _arrays(draw), settings, draw(DTYPES), draw(integers(1, 8)), draw(SEEDS))


def _arrays(draw: st.DrawFn) -> tuple[ArraySpec, ...]:
    shape = tuple(draw(integers(1, 3)) for _ in range(draw(integers(1, 2))))
    present = [draw(sampled([True, True, True, False])) for _ in range(draw(integers(1, MOST_STEPS)))]
    gradients = [ArraySpec(f"gradient{i}", shape if there else None) for i, there in enumerate(present)]
    return ArraySpec("parameter", shape), *gradients


def sgd_bound(s: BoundInputs) -> ErrorBounds:
    """Running error analysis of `numpy_cnn.optim.SGD`'s formulas, step by step."""
    o = s.options
    w, gradients = _tracked(s)
    b: WithError | None = None
    errors = []
    for gradient in gradients:
        if gradient is not None:
            g = gradient + o["weight_decay"] * w
            if o["momentum"]:
                b = g if b is None else o["momentum"] * b + (1 - o["dampening"]) * g
                g = g + o["momentum"] * b if o["nesterov"] else b
            w = w - o["lr"] * g
        errors.append(w.error)
    return np.stack(errors), ()


def _adam_bound(decoupled: bool) -> Bound:
    """Running error analysis of `numpy_cnn.optim.Adam`'s formulas, or AdamW's, step by step."""

    def bound(s: BoundInputs) -> ErrorBounds:
        o = s.options
        (beta1, beta2), decay = o["betas"], o["weight_decay"]
        w, gradients = _tracked(s)
        m = v = largest = WithError.exact(np.zeros_like(w.value), s.u)
        errors, t = [], 0
        for gradient in gradients:
            if gradient is not None:
                t += 1
                g = gradient if decoupled else gradient + decay * w
                if decoupled:
                    w = (1 - o["lr"] * decay) * w
                m = _interpolated(m, g, beta1)
                v = beta2 * v + (1 - beta2) * (g * g)
                largest = largest.maximum(v)
                root = (largest if o["amsgrad"] else v).sqrt()
                denominator = root / np.sqrt(1 - beta2**t) + o["eps"]
                w = w - (o["lr"] / (1 - beta1**t)) * m / denominator
            errors.append(w.error)
        return np.stack(errors), ()

    return bound


def _interpolated(m: WithError, g: WithError, beta: float) -> WithError:
    """β·m + (1−β)·g; whoever writes m + (1−β)·(g − m) rounds a difference as large as |m| + |g|."""
    plain = beta * m + (1 - beta) * g
    return WithError(plain.value, plain.error + (g - m).error + m.u * (np.abs(m.value) + np.abs(g.value)), m.u)


def _tracked(s: BoundInputs) -> tuple[WithError, list[WithError | None]]:
    w, *gradients = (None if a is None else WithError.exact(a, s.u) for a in s.arrays)
    assert w is not None
    return w, gradients


ROWS = (
    Row(
        "SGD",
        by_hand(optim.SGD),
        of_torch(torch.optim.SGD),
        sgd,
        sgd_bound,
        NUMBERS,
        formulas={"output": "b ← μ·b + (1 − τ)·g with g = ∇ + λ·w (b = g at first); w ← w − η·b"},
        kind="optimizer",
    ),
    Row(
        "Adam",
        by_hand(optim.Adam),
        of_torch(torch.optim.Adam),
        partial(_adam, "Adam"),
        _adam_bound(decoupled=False),
        NEITHER,
        formulas={"output": "m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²; w ← w − η·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)"},
        kind="optimizer",
    ),
    Row(
        "AdamW",
        by_hand(optim.AdamW),
        of_torch(torch.optim.AdamW),
        partial(_adam, "AdamW"),
        _adam_bound(decoupled=True),
        NEITHER,
        formulas={"output": "w ← (1 − η·λ)·w, then Adam's step with the bare gradient"},
        kind="optimizer",
    ),
)
