"""Rows for the dense layer and for flatten."""

import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops
from parity.bounds.derived import BoundInputs, ErrorBounds, bilinear, copies
from parity.bounds.fast import by_strassen
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.op import Array
from parity.cases.primitives import booleans, composite, integers
from parity.cases.sizes import HUGE, LONG, RARELY, extent, numbers, shape, short
from parity.rows.row import Row


@composite
def linear(draw: st.DrawFn, lane: Lane) -> Case:
    """Up to three leading axes, with and without a bias."""
    leading = shape(draw, lane, 0, 3, 3, tails=False)
    inside, outside = (draw(LONG if draw(RARELY) else extent(8)) for _ in range(2))
    if HUGE in (inside, outside):
        leading = tuple(short(leading, [HUGE]))
        inside, outside = (1, HUGE) if outside == HUGE else (HUGE, 1)
    arrays = (
        ArraySpec("input", (*leading, inside)),
        ArraySpec("weight", (outside, inside)),
        ArraySpec("bias", (outside,) if draw(booleans) else None),
    )
    return Case("linear", arrays, {}, *numbers(draw))


@composite
def flatten(draw: st.DrawFn, lane: Lane) -> Case:
    """Any range of axes, counted from the front or from the back."""
    axes = shape(draw, lane, 0, 4)
    rank = max(len(axes), 1)
    start = draw(integers(0, rank - 1))
    end = draw(integers(start, rank - 1))
    start, end = (axis - rank if draw(booleans) else axis for axis in (start, end))
    options = {"start_dim": start, "end_dim": end}
    return Case("flatten", (ArraySpec("input", axes),), options, *numbers(draw))


def linear_bound(s: BoundInputs) -> ErrorBounds:
    """y sums `in` products and the bias, dx `out` products, dw and db one term per row of the batch."""

    def lengths(w: Array, y: Array) -> tuple[int, int, int]:
        return w.shape[1] + 1, w.shape[0], y[..., 0].size

    return bilinear(s, lengths)


ROWS = (
    Row(
        "linear",
        ops.linear,
        F.linear,
        linear,
        linear_bound,
        bilinear=True,
        fast=by_strassen,
        formulas={
            "output": "y = x·wᵀ + b",
            "grad_input": "dx = dy·w",
            "grad_weight": "dw = Σ dyᵀ·x over all leading axes",
            "grad_bias": "db = Σ dy over all leading axes",
        },
    ),
    Row(
        "flatten",
        ops.flatten,
        torch.flatten,
        flatten,
        copies,
        formulas={
            "output": "y holds x's numbers in the same order (the last axis fastest)",
            "grad_input": "dx holds dy's numbers in the same order, in x's shape",
        },
        selects=True,
        views=True,
    ),
)
