"""Mistakes in linear and in flatten: the order of axes, the bias, a sum over the batch."""

from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import EditInputs, mistake, scaled
from parity.naming.general import argument, lost, result_only
from parity.naming.probe import NotApplicable, Probe


def _only_row(place: int) -> EditInputs:
    """Keep the upstream gradient of one row over all leading axes."""

    def inputs(probe: Probe) -> Probe:
        kept = np.zeros_like(probe.dy)
        kept.reshape(-1, kept.shape[-1])[place] = probe.dy.reshape(-1, kept.shape[-1])[place]
        return probe.with_upstream(kept)

    return inputs


def _feature_lost(place: int) -> dict[str, Any]:
    edit = lost(-1, place, 1)
    return {
        "inputs": argument("weight", edit),
        "result": lambda r, probe: edit(r) if probe.quantity == "grad_weight" else r,
    }


LINEAR = (
    mistake(
        "weight-transposed",
        inputs=argument("weight", lambda w: w.T),
        result=lambda r, probe: r.T if probe.quantity == "grad_weight" else r,
    ),
    mistake("channels-transposed", "grad_weight", result=result_only(lambda r: r.T)),
    mistake("rows-mean", "grad_", result=scaled(lambda p: 1 / int(np.prod(p.dy.shape[:-1]))), convention=True),
    mistake("first-row-only", "grad_", _only_row(0)),
    mistake("last-row-only", "grad_", _only_row(-1)),
    mistake("first-axis-only", "grad_bias", formula=lambda p: np.asarray(p.dy.sum(axis=0))),
    mistake("axis-kept", "grad_bias", result=result_only(lambda r: r[None])),
    mistake("first-feature-lost", **_feature_lost(0)),
    mistake("last-feature-lost", **_feature_lost(-1)),
)


def _span(probe: Probe) -> tuple[int, int]:
    """The first and the last joined axis."""
    rank = max(probe.first.ndim, 1)
    return probe.options["start_dim"] % rank, probe.options["end_dim"] % rank


def _second(probe: Probe) -> int:
    return min(1, max(probe.first.ndim, 1) - 1)


def _in_fortran_order(result: Array, probe: Probe) -> Array:
    """Read or write with the first joined axis varying fastest."""
    start, end = _span(probe)
    shape = probe.first.shape
    if not shape[start : end + 1]:
        raise NotApplicable("nothing is joined")
    order = [*range(start), *range(end, start - 1, -1), *range(end + 1, len(shape))]
    if probe.is_output:
        return probe.first.transpose(order).reshape(result.shape)
    return probe.dy.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))


def _reshaped(result: Array, probe: Probe) -> Array:
    return (probe.first if probe.is_output else probe.dy).reshape(result.shape, order="F")


FLATTEN = (
    mistake("order-f", result=_in_fortran_order),
    mistake("reshaped-f", result=_reshaped),
    mistake("flattens-all", "output", lambda p: p.with_options(start_dim=0, end_dim=-1)),
    mistake("start-dim-ignored", "output", lambda p: p.with_options(start_dim=0)),
    mistake("start-dim-one", "output", lambda p: p.with_options(start_dim=_second(p))),
    mistake("end-dim-ignored", "output", lambda p: p.with_options(end_dim=-1)),
    mistake("flattens-all-but-first", "output", lambda p: p.with_options(start_dim=_second(p), end_dim=-1)),
    mistake("end-dim-excluded", "output", lambda p: p.with_options(end_dim=max(_span(p)[0], _span(p)[1] - 1))),
    mistake("reversed", result=result_only(lambda r: r.ravel()[::-1].reshape(r.shape))),
)
