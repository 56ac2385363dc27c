"""Rows for padding, interpolation and dropout."""

from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops
from parity.bounds.derived import BoundInputs, ErrorBounds, gamma
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.primitives import booleans, composite, integers, sampled
from parity.cases.sizes import HUGE, LONG, RARELY, batch, extent, numbers, shape, short, tail
from parity.rows.row import NEITHER, Row


@composite
def pad(draw: st.DrawFn, lane: Lane) -> Case:
    """Every mode along one to three axes; constant padding of any width, including negative ones."""
    mode = draw(sampled(["constant", "reflect", "replicate", "circular"]))
    axes = draw(integers(1, 3))
    leading = [draw(batch(lane)), draw(extent(3))]
    inside = [draw(extent(5)) for _ in range(axes)]
    inside = tail(inside, draw(LONG)) if draw(RARELY) else inside
    leading = short(leading, inside)
    widths: list[int] = []
    for size in reversed(inside):
        most = {"reflect": size - 1, "circular": size}.get(mode, 3)
        left, right = min(draw(integers(-2, 3)), most), min(draw(integers(-2, 3)), most)
        kept = size + min(left, 0) + min(right, 0)
        if kept < 1 or (mode == "circular" and max(left, right) > kept):
            left = right = 0
        widths += [left, right]
    options: dict[str, Any] = {"pad": tuple(widths), "mode": mode}
    if mode == "constant":
        options["value"] = draw(sampled([None, 2.0, -1.5]))
    return Case("pad", (ArraySpec("input", (*leading, *inside)),), options, *numbers(draw))


def pad_bound(s: BoundInputs) -> ErrorBounds:
    """y copies; dx sums over the copies of a number, fewer than y has along each axis."""
    y, pullback = s.op(*s.arrays, **s.options)
    (dx,) = pullback(np.abs(s.dy))
    return np.zeros_like(y), (gamma(sum(y.shape), s.u) * np.abs(dx),)


@composite
def interpolate(draw: st.DrawFn, lane: Lane) -> Case:
    """Larger and smaller, by size and by factor, with corners aligned or not."""
    mode = draw(sampled(["nearest", "bilinear", "linear"]))
    axes = {"linear": 1, "bilinear": 2}.get(mode) or draw(integers(1, 2))
    inside = [draw(extent(7)) for _ in range(axes)]
    inside = tail(inside, draw(LONG)) if draw(RARELY) else inside
    options: dict[str, Any] = {"mode": mode}
    if draw(booleans):
        options["size"] = tuple(draw(integers(1, 9)) for _ in range(axes))
    else:
        factors = [draw(sampled([1.0, 2.0, 1.5, 3.0, 0.5, 0.75])) for _ in range(axes)]
        whole = zip(inside, factors, strict=True)  # torch rejects an output without pixels
        options["scale_factor"] = tuple(f if size * f >= 1 else 1.0 for size, f in whole)
    if mode != "nearest":
        options["align_corners"] = draw(sampled([None, False, True]))
    leading = short([draw(batch(lane)), draw(extent(3))], inside)
    image = ArraySpec("input", (*leading, *inside))
    return Case("interpolate", (image,), options, *numbers(draw))


@composite
def _images(draw: st.DrawFn) -> tuple[int, ...]:
    """Sizes of a batch of images, one of which may be long: images, channels or columns."""
    axes = [draw(extent(3)) for _ in range(4)]
    if draw(RARELY):
        place, size = draw(sampled((3, 1, 0))), draw(LONG)
        axes = [1] * 4 if size == HUGE else axes
        axes[place] = size
    return tuple(axes)


@composite
def _dropout(draw: st.DrawFn, row: str, lane: Lane) -> Case:
    """Any mask, in training and in evaluation."""
    axes = draw(_images()) if row == "dropout2d" else shape(draw, lane, 0, 3)
    mask = axes[:2] if row == "dropout2d" else axes
    training = draw(booleans)
    given = mask if training or draw(booleans) else None  # in evaluation the mask must be ignored
    p = draw(sampled([0.5, 0.0, 0.75, 1.0] if lane != "bound" else [0.1, 0.5, 0.9, 1.0]))
    mask_values = 1 if p == 1 else 2  # with p = 1 a mask keeps nothing
    arrays = ArraySpec("input", axes), ArraySpec("mask", given, "classes", mask_values, keyword=True)
    return Case(row, arrays, {"p": p, "training": training}, *numbers(draw))


def dropout_by_mask(
    input: torch.Tensor, p: float = 0.5, training: bool = True, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Dropout with a given mask, because torch's function draws its own."""
    if not training:
        return input.clone()
    if mask is None:  # torch draws one, unless it keeps or drops everything
        if p not in (0, 1):
            raise ValueError(f"training with p={p} needs a mask")
        mask = torch.full(input.shape, p == 0)
    kept = mask.to(input.dtype).reshape((*mask.shape, *(1,) * (input.ndim - mask.ndim)))
    return input * (kept * (0.0 if p == 1 else 1 / (1 - p)))


_DROPPED = {"output": "y = x·m/(1 − p) in training, and x otherwise", "grad_input": "dx = dy·m/(1 − p), or dy"}

ROWS = (
    Row(
        "pad",
        ops.pad,
        F.pad,
        pad,
        pad_bound,
        formulas={
            "output": "y[p] = x[s(p − left)], s by the mode; the value outside for a constant",
            "grad_input": "dx[h] = Σ dy[p] over the p with s(p − left) = h",
        },
        selects=True,
    ),
    Row(
        "interpolate",
        ops.interpolate,
        F.interpolate,
        interpolate,
        # Whether torch multiplies a neighbour of weight 0, for which 0·∞ is NaN, depends on the layout.
        lanes=NEITHER,
        formulas={
            "output": "nearest: y[p] = x[⌊p·s⌋]; bilinear: y[p] = (1 − λ)·x[i] + λ·x[i + 1] along both axes",
            "grad_input": "dx[h] = Σ dy[p] times the weight of x[h] in y[p]",
        },
    ),
    Row("dropout", ops.dropout, dropout_by_mask, partial(_dropout, "dropout"), formulas=_DROPPED),
    Row("dropout2d", ops.dropout2d, dropout_by_mask, partial(_dropout, "dropout2d"), formulas=_DROPPED),
)
