"""Rows for the losses."""

from dataclasses import replace
from functools import partial

import numpy as np
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops
from parity.bounds.derived import FUNCTION_ERROR, BoundInputs, ErrorBounds, gamma
from parity.bounds.running import running
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.op import Array
from parity.cases.primitives import booleans, composite, integers, sampled
from parity.cases.sizes import DYADIC, HUGE, LONG, RARELY, REDUCTIONS, batch, dyadic, extent, numbers, tail
from parity.cases.torch_op import oracle
from parity.rows.row import INEXACT, Row
from parity.rows.softmax import softmax_error

nll = oracle(F.nll_loss)


@composite
def _classification(draw: st.DrawFn, row: str, lane: Lane) -> Case:
    """Scores (C,), (N, C) and (N, C, d1, …) with class indices, some ignored, with and without class weights."""
    classes = draw(LONG if draw(RARELY) else extent(8))
    reduction = draw(sampled(REDUCTIONS))
    # A mean is exact only if it divides by a power of two: the number of samples, with none ignored.
    is_mean = lane != "bound" and reduction == "mean" and row == "nll_loss"
    size = dyadic(lane) if is_mean else batch(lane)
    around = [draw(size) for _ in range(draw(integers(0, 3)))]
    if classes == HUGE:
        around = [min(n, 1) for n in around[:1]]
    ignored = None if draw(booleans) or is_mean else draw(sampled([-100, 0, classes]))
    weighted = draw(booleans) and not is_mean
    x = ArraySpec(
        "input", (*around[:1], classes, *around[1:]), "log" if row == "nll_loss" else "real"
    )  # fmt: skip
    target = ArraySpec("target", tuple(around), "classes", classes, ignored)
    weight = ArraySpec("weight", (classes,) if weighted else None, "weights", keyword=True)
    options = {"reduction": reduction} | ({} if ignored is None else {"ignore_index": ignored})
    magnitude = draw(integers(1, 8)) if row == "nll_loss" else draw(sampled([1, 8, 200]))
    return Case(row, (x, target, weight), options, *numbers(draw, magnitude))


@composite
def cross_entropy(draw: st.DrawFn, lane: Lane) -> Case:
    """Class indices or probabilities as targets, with and without label smoothing."""
    case: Case = draw(_classification("cross_entropy", lane))
    smoothing, by_probability = draw(sampled([0.0, 0.0, 0.1, 1.0])), draw(sampled([False, False, True]))
    if not smoothing and not by_probability:
        return case
    x, target, weight = case.arrays
    options = case.options | {"label_smoothing": smoothing}
    if by_probability:
        target = ArraySpec("target", x.shape, "weights")
        options.pop("ignore_index", None)
    return replace(case, arrays=(x, target, weight), options=options)


@composite
def mse_loss(draw: st.DrawFn, lane: Lane) -> Case:
    """Predictions and targets of any shape."""
    reduction = draw(sampled(REDUCTIONS))
    is_mean = lane != "bound" and reduction == "mean"
    size = dyadic(lane) if is_mean else batch(lane)
    sizes = [draw(size) for _ in range(draw(integers(0, 3)))]
    if draw(RARELY) and sizes:
        sizes = tail(sizes, draw(DYADIC if is_mean else LONG))
    arrays = ArraySpec("input", tuple(sizes)), ArraySpec("target", tuple(sizes))
    return Case("mse_loss", arrays, {"reduction": reduction}, *numbers(draw))


def mse_loss_bound(s: BoundInputs) -> ErrorBounds:
    """A difference, a square, a sum of positive terms, a division; likewise in the backward."""
    y, pullback = s.op(*s.arrays, **s.options)
    x = s.arrays[0]
    assert x is not None
    return gamma(x.size + 4, s.u) * y, tuple(gamma(5, s.u) * np.abs(g) for g in pullback(s.dy))


def nll_loss_bound(s: BoundInputs) -> ErrorBounds:
    """Σ v·|x| / Σ v: the product, two sums over the samples, the division."""
    x, target = s.arrays
    assert x is not None
    assert target is not None
    y, pullback = s.op(-np.abs(x), target, **s.options)
    dx, _ = pullback(np.abs(s.dy))
    return gamma(2 * target.size + 3, s.u) * y, (gamma(target.size + 4, s.u) * np.abs(dx), None)


def cross_entropy_bound(s: BoundInputs) -> ErrorBounds:
    """The bound of nll_loss on log-probabilities that carry log_softmax's error."""
    x, target = s.arrays
    assert x is not None
    assert target is not None
    if s.options.get("label_smoothing") or target.dtype.kind == "f":
        return running(s)
    axis = 0 if x.ndim == 1 else 1
    p, _, absolute = softmax_error(x, axis)
    of_log = gamma(absolute, s.u)
    # nll is linear in the log-probabilities, so their errors propagate like the values.
    options = {name: value for name, value in s.options.items() if name != "label_smoothing"}  # 0 here
    carried, _ = nll(-of_log, target, **options)
    summed, pullback = nll(-np.abs(_log_softmax(x, axis)), target, **options)
    err_y = carried * (1 + gamma(2 * target.size + 3, s.u)) + gamma(2 * target.size + 3, s.u) * summed
    onehot = np.abs(pullback(np.abs(s.dy))[0])  # |dy|·v/Σv at the target, 0 elsewhere
    each = onehot.sum(axis=axis, keepdims=True)
    of_exp = (1 + of_log) * (1 + gamma(FUNCTION_ERROR + 2, s.u)) - 1
    of_scale = gamma(target.size + 6, s.u)
    dx = p * each * (of_exp + of_scale * (1 + of_exp)) + of_scale * onehot
    return err_y, (dx + s.tiny * (1 + each), None)


def _log_softmax(x: Array, dim: int) -> Array:
    if x.size == 0:
        return x
    z = x - x.max(axis=dim, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=dim, keepdims=True)))


ROWS = (
    Row(
        "nll_loss",
        ops.nll_loss,
        F.nll_loss,
        partial(_classification, "nll_loss"),
        nll_loss_bound,
        formulas={
            "output": "loss = −Σ_n w[t_n]·x[n,t_n] / Σ_n w[t_n] for the mean, without the division for the sum",
            "grad_input": "dx[n,c] = −dy·w[c]·[c = t_n] / Σ_n w[t_n] for the mean",
        },
    ),
    Row(
        "cross_entropy",
        ops.cross_entropy,
        F.cross_entropy,
        cross_entropy,
        cross_entropy_bound,
        INEXACT,
        formulas={
            # Class indices are the probabilities [c = t_n], and D = Σ_n w[t_n]; for probabilities D = N.
            "output": "loss = −Σ_n Σ_c w[c]·q[n,c]·log softmax(x[n])[c] / D for the mean; q = (1 − s)·t + s/C",
            "grad_input": "dx[n,c] = dy·(softmax(x[n])[c]·Σ_k w[k]·q[n,k] − w[c]·q[n,c]) / D for the mean",
            "grad_target": "dt[n,c] = −dy·(1 − s)·w[c]·log softmax(x[n])[c] / D for the mean",
        },
    ),
    Row(
        "mse_loss",
        ops.mse_loss,
        F.mse_loss,
        mse_loss,
        mse_loss_bound,
        formulas={
            "output": "loss = Σ (x − t)² / (number of entries) for the mean",
            "grad_input": "dx = 2·dy·(x − t) / (number of entries) for the mean",
            "grad_target": "dt = −2·dy·(x − t) / (number of entries) for the mean",
        },
    ),
)
