"""Rows for the activations."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops
from parity.bounds.derived import FUNCTION_ERROR, Bound, BoundInputs, ErrorBounds, copies, gamma
from parity.cases.case import LANES, ArraySpec, Case, Lane
from parity.cases.op import Array
from parity.cases.primitives import composite, integers, sampled
from parity.cases.sizes import numbers, shape
from parity.rows.row import INEXACT, Row

# The values of each option: (name, values), hashable, because strategies are cached by their arguments.
Options: TypeAlias = tuple[tuple[str, tuple[Any, ...]], ...]
SLOPES: Options = (("negative_slope", (0.01, 0.3, -0.2, 1.7)),)
DYADIC_SLOPES: Options = (("negative_slope", (0.5, 0.25, -0.5, 2.0)),)
ALPHAS: Options = (("alpha", (1.0, 0.3, 2.5)),)
BENDS: Options = (("beta", (1.0, 0.5, 3.0)), ("threshold", (20.0, 3.0)))
FORMS: Options = (("approximate", ("none", "tanh")),)
WHOLE = 32  # torch's vector loops take this many numbers at a time in float32, and 16 in float64


@composite
def _activation(
    draw: st.DrawFn, row: str, options: Options = (), dyadic: Options | None = None, *, lane: Lane
) -> Case:
    """Any shape of up to four axes and every option; for exact sums the options of `dyadic`, if given."""
    axes = shape(draw, lane, 0, 4)
    drawn = {
        name: draw(sampled(values)) for name, values in (options if lane == "bound" or dyadic is None else dyadic)
    }
    return Case(row, (ArraySpec("input", axes),), drawn, *numbers(draw))


@composite
def _in_whole_vectors(draw: st.DrawFn, row: str, options: Options, lane: Lane) -> Case:
    """The same, but special values fill whole vectors: torch's gradient at NaN is different in a remainder."""
    case: Case = draw(_activation(row, options, lane=lane))
    if lane != "special":
        return case
    axes = (*(draw(integers(1, 3)) for _ in range(draw(integers(0, 2)))), WHOLE)
    return Case(row, (ArraySpec("input", axes),), case.options, case.dtype, case.magnitude, case.seed)


@composite
def _gelu(draw: st.DrawFn, lane: Lane) -> Case:
    """The same; special values of the exact form in float64: in float32 torch's erf(∞) is NaN."""
    case: Case = draw(_activation("gelu", FORMS, lane=lane))
    if lane == "special" and case.options["approximate"] == "none":
        return Case("gelu", case.arrays, case.options, "float64", case.magnitude, case.seed)
    return case


# If a formula is commonly written in several ways, the bound is that of the least accurate one.


def _given(s: BoundInputs) -> tuple[Array, Array]:
    x = s.arrays[0]
    assert x is not None
    return x, np.abs(s.dy)


def leaky_relu_bound(s: BoundInputs) -> ErrorBounds:
    """The slope and the product are rounded."""
    y, pullback = s.op(*s.arrays, **s.options)
    return gamma(2, s.u) * np.abs(y), (gamma(2, s.u) * np.abs(pullback(s.dy)[0]),)


def elu_bound(s: BoundInputs) -> ErrorBounds:
    """α (eˣ − 1) with a difference that may cancel; dy·αeˣ, or dy·(y + α)."""
    x, dy = _given(s)
    alpha, e = abs(s.options["alpha"]), np.exp(np.minimum(x, 0))
    err_y = np.where(x > 0, 0.0, alpha * (gamma(FUNCTION_ERROR + 4, s.u) * e + gamma(4, s.u) * (1 - e)))
    dx = np.where(x > 0, 0.0, dy * (err_y + gamma(FUNCTION_ERROR + 6, s.u) * alpha * (1 + e)))
    return err_y + s.tiny, (dx + s.tiny * (1 + dy),)


def _sigmoid_error(y: Array, s: BoundInputs) -> Array:
    of_tanh = gamma(FUNCTION_ERROR, s.u) * np.abs(2 * y - 1)
    by_tanh = of_tanh / 2 + gamma(2, s.u) * (y + of_tanh / 2)
    return np.asarray(np.maximum(gamma(FUNCTION_ERROR + 4, s.u) * y, by_tanh) + s.tiny)


def sigmoid_bound(s: BoundInputs) -> ErrorBounds:
    """1 / (1 + e⁻ˣ), or ½(1 + tanh ½x), which cancels for x < 0; dy·(1 − y)·y, where 1 − y cancels."""
    y, _ = s.op(*s.arrays, **s.options)
    _, dy = _given(s)
    err_y = _sigmoid_error(y, s)
    dx = dy * ((1 - y) * err_y + y * (err_y + s.u) + gamma(4, s.u) * y * (1 - y))
    return err_y, (dx + s.tiny * (1 + dy),)


def tanh_bound(s: BoundInputs) -> ErrorBounds:
    """(eˣ − e⁻ˣ) / (eˣ + e⁻ˣ), whose numerator may cancel; dy·(1 − y²)."""
    y, _ = s.op(*s.arrays, **s.options)
    _, dy = _given(s)
    err_y = gamma(2 * FUNCTION_ERROR + 4, s.u) * np.ones_like(y)
    return err_y, (dy * (2 * np.abs(y) * err_y + err_y**2 + gamma(4, s.u)) + s.tiny * (1 + dy),)


def silu_bound(s: BoundInputs) -> ErrorBounds:
    """x·σ and dy·σ·(1 + x(1 − σ)), with σ as in `sigmoid_bound`."""
    x, dy = _given(s)
    size, sigma = np.abs(x), 1 / (1 + np.exp(-x))
    err = _sigmoid_error(sigma, s)
    err_y = size * err + gamma(2, s.u) * size * sigma
    inner = 1 + size * (1 - sigma)
    dx = dy * (err * inner + sigma * size * (err + s.u) + gamma(6, s.u) * sigma * inner)
    return err_y + s.tiny, (dx + s.tiny * (1 + dy) * (1 + size),)


def softplus_bound(s: BoundInputs) -> ErrorBounds:
    """log(1 + e^(βx)) / β, where 1 + e^(βx) may lose e^(βx); dy·σ(βx).

    Where rounding βx decides whether it is above the threshold, either branch is allowed.
    """
    x, dy = _given(s)
    beta, threshold = s.options["beta"], s.options["threshold"]
    z = beta * x
    sigma, y = 1 / (1 + np.exp(-z)), np.logaddexp(0, z)
    bent = gamma(2 * FUNCTION_ERROR + 6, s.u) * (y + sigma + 1) / abs(beta)  # rounding z adds |z|σ ≤ y + 1
    of_sigma = sigma * gamma(FUNCTION_ERROR + 6 + 2 * np.abs(z), s.u) + s.tiny
    doubtful = np.abs(z - threshold) <= gamma(3, s.u) * np.abs(threshold)
    err_y = np.where(z > threshold, 0.0, bent) + np.where(doubtful, bent + (y - z) / abs(beta), 0.0)
    err_dx = np.where(z > threshold, 0.0, of_sigma) + np.where(doubtful, of_sigma + 1 - sigma, 0.0)
    return err_y + s.tiny, (dy * err_dx + s.tiny * (1 + dy),)


def hardswish_bound(s: BoundInputs) -> ErrorBounds:
    """x·min(max(x + 3, 0), 6)/6, in any order of the factors; dy·(x/3 + ½)."""
    x, dy = _given(s)
    size = np.abs(x)
    sloped = np.abs(x) < 3
    err_y = gamma(4, s.u) * size * np.where(sloped, (size + 3) / 6, 1.0) * (x > -3)
    return err_y, (gamma(5, s.u) * dy * sloped * (size / 3 + 0.5),)


def gelu_bound(s: BoundInputs) -> ErrorBounds:
    """x·Φ with Φ = ½ (1 + erf(x/√2)) or its approximation by ½ (1 + tanh v), and the derivatives."""
    x, dy = _given(s)
    size = np.abs(x)
    if s.options["approximate"] == "none":
        integral, density = (
            (1 + torch.erf(torch.as_tensor(x / np.sqrt(2))).numpy()) / 2,
            np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi),
        )
        of_integral = gamma(FUNCTION_ERROR + 4, s.u) + gamma(4, s.u) * size * density
        of_slope = size * density * gamma(FUNCTION_ERROR + 12 + 3 * x**2, s.u)
    else:
        a, b = np.sqrt(2 / np.pi), 0.044715
        v, dv = a * (x + b * x**3), a * (1 + 3 * b * x**2)
        t = np.tanh(v)
        integral, flat = (1 + t) / 2, 1 - t * t
        of_tanh = gamma(2 * FUNCTION_ERROR + 4, s.u) + flat * gamma(8, s.u) * np.abs(v)
        of_integral = (of_tanh + gamma(3, s.u)) / 2
        of_slope = size * dv / 2 * (2 * np.abs(t) * of_tanh + of_tanh**2 + gamma(3, s.u) + gamma(14, s.u) * flat)
    err_y = size * (of_integral + gamma(3, s.u) * integral)
    dx = dy * (of_integral + of_slope + gamma(4, s.u) * integral)
    return err_y + s.tiny, (dx + s.tiny * (1 + dy) * (1 + size),)


def _row(
    name: str,
    strategy: Callable[..., st.SearchStrategy[Case]],
    bound: Bound,
    output: str,
    gradient: str,
    *,
    lanes: tuple[Lane, ...] = INEXACT,
    selects: bool = False,
) -> Row:
    """The row of an activation, given its name and its formulas."""
    like = getattr(torch if name in ("sigmoid", "tanh") else F, name)  # F's are deprecated
    formulas = {"output": f"y = {output}", "grad_input": f"dx = {gradient}"}
    traits: dict[str, Any] = {"formulas": formulas, "selects": selects, "elementwise": True}
    return Row(name, getattr(ops, name), like, strategy, bound, lanes, **traits)


ROWS = (
    _row(
        "relu",
        partial(_activation, "relu"),
        copies,
        "max(x, 0)",
        "dy where x > 0, and 0 elsewhere",
        lanes=LANES,
        selects=True,
    ),
    _row(
        "leaky_relu",
        partial(_activation, "leaky_relu", SLOPES, DYADIC_SLOPES),
        leaky_relu_bound,
        "x where x > 0, and negative_slope·x elsewhere",
        "dy where x > 0, and negative_slope·dy elsewhere",
        lanes=LANES,
    ),
    _row(
        "elu",
        partial(_in_whole_vectors, "elu", ALPHAS),
        elu_bound,
        "x where x > 0, and α·(exp(x) − 1) elsewhere",
        "dy where x > 0, and dy·α·exp(x) elsewhere",
    ),
    _row("sigmoid", partial(_activation, "sigmoid"), sigmoid_bound, "1/(1 + exp(−x))", "dy·y·(1 − y)"),
    _row("tanh", partial(_activation, "tanh"), tanh_bound, "tanh(x)", "dy·(1 − y²)"),
    _row(
        "silu",
        partial(_activation, "silu"),
        silu_bound,
        "x·σ(x), σ(x) = 1/(1 + exp(−x))",
        "dy·σ(x)·(1 + x·(1 − σ(x)))",
    ),
    _row(
        "softplus",
        partial(_activation, "softplus", BENDS),
        softplus_bound,
        "log(1 + exp(β·x))/β where β·x ≤ threshold, and x elsewhere",
        "dy·exp(β·x)/(exp(β·x) + 1) where β·x ≤ threshold, and dy elsewhere",
    ),
    _row(
        "hardswish",
        partial(_in_whole_vectors, "hardswish", ()),
        hardswish_bound,
        "x·min(max(x + 3, 0), 6)/6",
        "0 where x ≤ −3, dy where x ≥ 3, dy·(x/3 + 1/2) between",
    ),
    _row(
        "gelu",
        _gelu,
        gelu_bound,
        "x·Φ(x), Φ(x) = (1 + erf(x/√2))/2; tanh: (1 + tanh(√(2/π)·(x + 0.044715·x³)))/2 for Φ",
        "dy·(Φ(x) + x·Φ′(x))",
    ),
)
