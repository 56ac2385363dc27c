"""Optimizers as ops: op(parameter, *gradients, **settings) → the parameter after each step, without a pullback."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from numpy_cnn import optim
from parity.cases.case import ArraySpec, Case, Dtype, Lane
from parity.cases.op import Array, Op
from parity.cases.primitives import booleans, composite, integers, sampled
from parity.cases.sizes import DTYPES, LONG, RARELY, SEEDS, extent, tail
from parity.cases.steps import between_steps
from parity.rows.row import NEITHER, NUMBERS, Row

MOST_STEPS = 5


def by_hand(kind: Callable[..., Any]) -> Op:
    """An optimizer of numpy_cnn.optim as an op; a gradient of None is a step without a gradient."""

    def op(parameter: Array, *gradients: Array | None, **settings: Any) -> tuple[Array, None]:
        w = parameter.copy()
        # A second parameter is updated before w in each step: a step count or buffer that they share affects w.
        neighbour = np.ones(2, w.dtype)
        optimizer = kind({"neighbour": neighbour, "w": w}, **settings)
        # All gradients share one array, as in a training loop, which overwrites a buffer that aliases a gradient.
        memory, trajectory = np.empty_like(w), []
        for gradient in gradients:
            if gradient is None or gradient.shape != w.shape:  # the optimizer has to reject another shape
                optimizer.step({"neighbour": neighbour.copy(), "w": gradient})
            else:
                memory[...] = gradient
                optimizer.step({"neighbour": neighbour.copy(), "w": memory})
                if not np.array_equal(memory, gradient):
                    gradient[...] = memory  # report to the caller what the optimizer writes to it
            trajectory.append(w.copy())
            if (between := between_steps()).lr is not None:
                optimizer.lr, between.changed = between.lr, True
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
            if (lr := between_steps().lr) is not None:
                optimizer.param_groups[0]["lr"] = lr
        return torch.stack(trajectory)

    return like


@composite
def sgd(draw: st.DrawFn, lane: Lane) -> Case:
    """Momentum, dampening, Nesterov, weight decay; for exact results, multiples of powers of two."""
    if lane != "bound":
        # A step adds at most 6 binary digits: 5 steps on integers fit float64's 53, but not float32's 24.
        lr, share = sampled([1.0, 0.5, 0.25]), sampled([0.0, 0.5, 0.75])
        dtype: Dtype = "float64"
    else:
        lr, share = sampled([1.0, 0.1, 1e-3]), sampled([0.0, 0.3, 0.9])
        dtype = draw(DTYPES)
    settings = {"lr": draw(lr), "momentum": draw(share), "weight_decay": draw(sampled([0.0, 0.25]))}
    settings["nesterov"] = draw(booleans) and settings["momentum"] > 0
    dampening = draw(share)
    settings["dampening"] = 0.0 if settings["nesterov"] else dampening
    settings["maximize"] = draw(booleans)
    return Case("SGD", _arrays(draw), settings, dtype, draw(integers(1, 8)), draw(SEEDS))


@composite
def _adam(draw: st.DrawFn, row: str, lane: Lane) -> Case:  # noqa: ARG001  # one strategy for all lanes
    """Betas, ε from 0 to large, weight decay, AMSGrad."""
    settings = {
        "lr": draw(sampled([1.0, 0.1, 1e-3])),
        # At β₂ = 0 the common form v += (1 − β₂)(g² − v) loses all digits of a g² far below v.
        "betas": (draw(sampled([0.9, 0.5, 0.0])), draw(sampled([0.999, 0.75, 0.1]))),
        "eps": draw(sampled([1e-8, 1e-3, 1.0])),
        "weight_decay": draw(sampled([0.0, 0.25])),
        "amsgrad": draw(booleans),
        "maximize": draw(booleans),
    }
    return Case(row, _arrays(draw), settings, draw(DTYPES), draw(integers(1, 8)), draw(SEEDS))


@composite
def rmsprop(draw: st.DrawFn, lane: Lane) -> Case:  # noqa: ARG001  # one strategy for all lanes
    """α, ε, weight decay, momentum; centered only with an ε large enough that v − ḡ² ≈ 0 does not dominate."""
    centered = draw(booleans)
    settings = {
        "lr": draw(sampled([0.1, 1e-3])),
        "alpha": draw(sampled([0.99, 0.5])),
        "eps": 1.0 if centered else draw(sampled([1e-8, 1e-3, 1.0])),
        "weight_decay": draw(sampled([0.0, 0.25])),
        "momentum": draw(sampled([0.0, 0.9])),
        "centered": centered,
        "maximize": draw(booleans),
    }
    return Case("RMSprop", _arrays(draw), settings, draw(DTYPES), draw(integers(1, 8)), draw(SEEDS))


@composite
def adagrad(draw: st.DrawFn, lane: Lane) -> Case:  # noqa: ARG001  # one strategy for all lanes
    """A decaying learning rate, weight decay, an accumulator that starts above 0."""
    settings = {
        "lr": draw(sampled([1.0, 0.1, 1e-3])),
        "lr_decay": draw(sampled([0.0, 0.5])),
        "weight_decay": draw(sampled([0.0, 0.25])),
        "initial_accumulator_value": draw(sampled([0.0, 0.5])),
        "eps": draw(sampled([1e-10, 1e-3, 1.0])),
        "maximize": draw(booleans),
    }
    return Case("Adagrad", _arrays(draw), settings, draw(DTYPES), draw(integers(1, 8)), draw(SEEDS))


def _arrays(draw: st.DrawFn) -> tuple[ArraySpec, ...]:
    shape = [draw(extent(3)) for _ in range(draw(integers(1, 2)))]
    shape = tail(shape, draw(LONG)) if draw(RARELY) else shape
    present = [draw(sampled([True, True, True, False])) for _ in range(draw(extent(MOST_STEPS)))]
    gradients = [ArraySpec(f"gradient{i}", tuple(shape) if there else None) for i, there in enumerate(present)]
    return ArraySpec("parameter", tuple(shape)), *gradients


# (torch's name, cases, lanes, formula)
KINDS: tuple[tuple[str, Callable[..., st.SearchStrategy[Case]], tuple[Lane, ...], str], ...] = (
    ("SGD", sgd, NUMBERS, "b ← μ·b + (1 − τ)·g with g = ∇ + λ·w (b = g at first); w ← w − η·b"),
    (
        "Adam",
        partial(_adam, "Adam"),
        NEITHER,
        "m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²; w ← w − η·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)",
    ),
    ("AdamW", partial(_adam, "AdamW"), NEITHER, "w ← (1 − η·λ)·w, then Adam's step with the bare gradient"),
    (
        "RMSprop",
        rmsprop,
        NEITHER,
        "v ← αv + (1−α)g² (less ḡ² if centered), d = g/(√v + ε); b ← μb + d; w ← w − η·b",
    ),
    ("Adagrad", adagrad, NEITHER, "s ← s + g²; w ← w − η/(1 + (t−1)·η_decay)·g/(√s + ε)"),
)
ROWS = tuple(
    Row(
        name,
        by_hand(getattr(optim, name)),
        of_torch(getattr(torch.optim, name)),
        strategy,
        lanes=lanes,
        formulas={"output": formula},
        kind="optimizer",
    )
    for name, strategy, lanes, formula in KINDS
)
