"""Rows for softmax and its logarithm, and the error analysis shared with the losses."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops
from parity.bounds.derived import FUNCTION_ERROR, BoundInputs, ErrorBounds, gamma
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.op import Array
from parity.cases.primitives import composite, integers, sampled
from parity.cases.sizes import numbers, shape
from parity.rows.row import INEXACT, Row


@composite
def _softmax(draw: st.DrawFn, row: str, lane: Lane) -> Case:
    """Scores of up to three axes, small or so large that exp would overflow without the shift."""
    axes = shape(draw, lane, 0, 3, 8)
    rank = max(len(axes), 1)
    options = {"dim": draw(integers(-rank, rank - 1))}
    magnitude = draw(sampled([1, 8, 200]))
    return Case(row, (ArraySpec("input", axes),), options, *numbers(draw, magnitude))


class SoftmaxError(NamedTuple):
    """The softmax of x along an axis, and the error of its parts in units of u, to first order.

    Subtracting the maximum rounds z by |z|·u, which is the relative error of exp(z) beside the function's own.
    The sum of C positive terms carries their weighted mean, and C − 1 roundings.
    """

    p: Array
    probability: Array  # relative error of p
    logarithm: Array  # absolute error of log p


def softmax_error(x: Array, dim: int) -> SoftmaxError:
    x = np.atleast_1d(x)
    if x.size == 0:
        return SoftmaxError(x, x, x)
    largest = x.max(axis=dim, keepdims=True)
    z = x - largest
    e = np.exp(z)
    total = e.sum(axis=dim, keepdims=True)
    p, distance = e / total, np.abs(z)
    of_sum = (p * distance).sum(axis=dim, keepdims=True) + FUNCTION_ERROR + x.shape[dim] - 1
    log_total = np.log(total)
    of_log = 2 * distance + of_sum + (FUNCTION_ERROR + 2) * log_total
    # Other formulas are also valid: p as exp(log p), and log p as x − log Σ exp(x), which rounds a large sum.
    of_difference = np.maximum(of_log + np.abs(largest), _by_pairs(x, dim) + distance + log_total)
    return SoftmaxError(p, of_log + FUNCTION_ERROR + 1, of_difference)


def _by_pairs(x: Array, dim: int) -> Array:
    """The error of log Σ exp(x) by log(eᵃ + eᵇ) = a + v, v = log(1 + e⁻ᵈ), d = a − b ≥ 0, along the axis.

    Each step rounds the sum and d, and calls two functions; e⁻ᵈ/(1 + e⁻ᵈ) = 1 − e⁻ᵛ is the derivative of v. The
    error of a partial sum is weighted by its share of the whole sum.
    """
    partial = np.logaddexp.accumulate(x, axis=dim)
    share = np.exp(partial - np.take(partial, [-1], axis=dim))
    before, term = (
        np.take(partial, range(x.shape[dim] - 1), axis=dim),
        np.take(x, range(1, x.shape[dim]), axis=dim),
    )
    d = np.abs(before - term)
    v = np.log1p(np.exp(-d))
    after, of = (np.take(array, range(1, x.shape[dim]), axis=dim) for array in (partial, share))
    step = np.abs(after) + FUNCTION_ERROR * v + (FUNCTION_ERROR + d) * -np.expm1(-v)
    return np.asarray((of * step).sum(axis=dim, keepdims=True))


def softmax_bound(s: BoundInputs) -> ErrorBounds:
    """y = p; dx = p·(dy − Σ p·dy), the error of p entering three times."""
    x, dim = s.arrays[0], s.options["dim"]
    assert x is not None
    p, relative, _ = softmax_error(x, dim)
    rho = gamma(relative, s.u)
    dy = np.abs(s.dy).reshape(p.shape)
    terms = x.shape[dim] if x.ndim else 1
    inner = (p * dy).sum(axis=dim, keepdims=True)
    of_inner = (p * dy * (rho + gamma(terms + 1, s.u))).sum(axis=dim, keepdims=True)
    dx = p * ((dy + inner) * (rho + gamma(3, s.u)) * (1 + rho) + of_inner * (1 + rho))
    return _shaped(p * rho + s.tiny, x), (_shaped(dx + s.tiny * (1 + dy + inner), x),)


def log_softmax_bound(s: BoundInputs) -> ErrorBounds:
    """y = log p; dx = dy − exp(y)·Σ dy."""
    x, dim = s.arrays[0], s.options["dim"]
    assert x is not None
    p, _, absolute = softmax_error(x, dim)
    err_y = gamma(absolute, s.u)
    dy = s.dy.reshape(p.shape)
    terms = x.shape[dim] if x.ndim else 1
    total, size = np.abs(dy.sum(axis=dim, keepdims=True)), np.abs(dy).sum(axis=dim, keepdims=True)
    of_exp = (1 + err_y) * (1 + gamma(FUNCTION_ERROR + 2, s.u)) - 1
    dx = p * (total * of_exp + gamma(terms, s.u) * size * (1 + of_exp)) + gamma(2, s.u) * (np.abs(dy) + p * total)
    return _shaped(err_y, x), (_shaped(dx + s.tiny * (1 + size), x),)


def _shaped(bound: Array, like: Array) -> Array:
    return np.broadcast_to(bound, np.atleast_1d(like).shape).reshape(like.shape)


ROWS = (
    Row(
        "softmax",
        ops.softmax,
        F.softmax,
        partial(_softmax, "softmax"),
        softmax_bound,
        INEXACT,
        formulas={
            "output": "y_i = exp(x_i − m) / Σ_j exp(x_j − m), m = max x",
            "grad_input": "dx_i = y_i·(dy_i − Σ_j dy_j·y_j)",
        },
    ),
    Row(
        "log_softmax",
        ops.log_softmax,
        F.log_softmax,
        partial(_softmax, "log_softmax"),
        log_softmax_bound,
        INEXACT,
        formulas={
            "output": "y_i = x_i − m − log Σ_j exp(x_j − m), m = max x",
            "grad_input": "dx_i = dy_i − exp(y_i)·Σ_j dy_j",
        },
    ),
)
