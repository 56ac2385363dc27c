"""Rows for the elementwise losses, except mse_loss, which is in loss.py."""

from functools import partial
from typing import Any, TypeAlias

import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops
from parity.cases.case import ArraySpec, Case, Kind, Lane
from parity.cases.primitives import booleans, composite, sampled
from parity.cases.sizes import REDUCTIONS, numbers, shape
from parity.rows.row import INEXACT, Row

# The values of each option: (name, values), hashable, because strategies are cached by their arguments.
Options: TypeAlias = tuple[tuple[str, tuple[Any, ...]], ...]


@composite
def _difference(draw: st.DrawFn, row: str, options: Options, lane: Lane) -> Case:
    """Predictions and targets of any shape, with every reduction and option."""
    axes = shape(draw, lane, 0, 3)
    drawn = {name: draw(sampled(values)) for name, values in (("reduction", REDUCTIONS), *options)}
    if 0 in axes and drawn["reduction"] == "mean":
        drawn["reduction"] = "sum"  # the bound follows torch's decomposition, which divides by the length 0
    return Case(row, (ArraySpec("input", axes), ArraySpec("target", axes)), drawn, *numbers(draw))


@composite
def _logits(draw: st.DrawFn, lane: Lane) -> Case:
    """Scores near 0 and so large that exp would overflow; weights of elements and of the positive class."""
    axes = shape(draw, lane, 0, 3)
    arrays = (
        ArraySpec("input", axes),
        ArraySpec("target", axes),
        ArraySpec("weight", axes if draw(booleans) else None, "weights", keyword=True),
        ArraySpec("pos_weight", axes[-1:] if draw(booleans) else None, "weights", keyword=True),
    )
    options = {"reduction": draw(sampled(REDUCTIONS))}
    return Case("binary_cross_entropy_with_logits", arrays, options, *numbers(draw, draw(sampled([1, 8, 200]))))


@composite
def _divergence(draw: st.DrawFn, lane: Lane) -> Case:
    """Targets as probabilities and as their logarithms; in the special lane also targets of 0: 0·log 0 = 0."""
    axes = shape(draw, lane, 1, 3)
    logarithm = draw(booleans)
    kind: Kind = "real" if logarithm else "shares" if lane == "special" else "weights"
    arrays = ArraySpec("input", axes), ArraySpec("target", axes, kind)
    options = {"reduction": draw(sampled((*REDUCTIONS, "batchmean"))), "log_target": logarithm}
    return Case("kl_div", arrays, options, *numbers(draw))


_MEAN = "for the mean"

ROWS = (
    Row(
        "l1_loss",
        ops.l1_loss,
        F.l1_loss,
        partial(_difference, "l1_loss", ()),
        lanes=INEXACT,
        formulas={
            "output": f"loss = Σ |x − t| / (number of entries) {_MEAN}",
            "grad_input": f"dx = dy·sign(x − t) / (number of entries) {_MEAN}",
            "grad_target": f"dt = −dy·sign(x − t) / (number of entries) {_MEAN}",
        },
    ),
    Row(
        "smooth_l1_loss",
        ops.smooth_l1_loss,
        F.smooth_l1_loss,
        partial(_difference, "smooth_l1_loss", (("beta", (1.0, 0.0, 0.5, 3.0)),)),
        lanes=INEXACT,
        formulas={
            "output": f"loss = Σ (d²/(2β) where |d| < β, |d| − β/2 elsewhere) / (number of entries) {_MEAN}",
            "grad_input": f"dx = dy·(d/β where |d| < β, sign(d) elsewhere) / entries {_MEAN}; d = x − t",
            "grad_target": "dt = −dx",
        },
    ),
    Row(
        "huber_loss",
        ops.huber_loss,
        F.huber_loss,
        partial(_difference, "huber_loss", (("delta", (1.0, 0.5, 3.0)),)),
        lanes=INEXACT,
        formulas={
            "output": f"loss = Σ (d²/2 where |d| ≤ δ, δ·(|d| − δ/2) elsewhere) / (number of entries) {_MEAN}",
            "grad_input": f"dx = dy·(d where |d| ≤ δ, δ·sign(d) elsewhere) / entries {_MEAN}; d = x − t",
            "grad_target": "dt = −dx",
        },
    ),
    Row(
        "binary_cross_entropy_with_logits",
        ops.binary_cross_entropy_with_logits,
        F.binary_cross_entropy_with_logits,
        _logits,
        lanes=INEXACT,
        formulas={
            "output": f"loss = −Σ w·(p·t·log σ(x) + (1 − t)·log(1 − σ(x))) / (number of entries) {_MEAN}",
            "grad_input": f"dx = dy·w·((1 + (p − 1)·t)·σ(x) − p·t) / (number of entries) {_MEAN}",
            "grad_target": f"dt = −dy·w·(p·log σ(x) − log(1 − σ(x))) / (number of entries) {_MEAN}",
        },
    ),
    Row(
        "kl_div",
        ops.kl_div,
        F.kl_div,
        _divergence,
        lanes=INEXACT,
        formulas={
            "output": "loss = Σ t·(log t − x), divided by the batch or the number of entries for a mean",
            "grad_input": "dx = −dy·t, divided likewise",
            "grad_target": "dt = dy·(log t + 1 − x), divided likewise",
        },
    ),
)
