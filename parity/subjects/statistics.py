"""Batch normalization as people write it: x, gamma and beta are arrays, the running statistics are options.

Torch's order is input, running_mean, running_var, weight, bias. Hand-written layers take `forward(x, gamma, beta,
bn_param)`, or keep the statistics as attributes; they always have a gamma and a beta, and mostly one rank of x.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.cases.torch_op import Array, Op
from parity.subjects import names
from parity.subjects.arguments import parameters_of
from parity.subjects.implementation import CANONICAL, Implementation

RANKS = (2, 3, 4, 5)


def normalizes(arrays: tuple[Array | None, ...], options: dict[str, Any]) -> bool:
    """Whether these are the arguments of torch's batch_norm."""
    return len(arrays) == 5 and {"training", "momentum", "eps"} <= options.keys()


def in_torchs_order(forward: Callable[..., Any]) -> bool:
    """Whether nothing speaks against torch's order: the second parameter is no weight or gamma."""
    places = [p for p in parameters_of(forward) or () if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(places) < 2 or names.plain(places[1].name) not in names.WEIGHTS


def statistics_as_options(made: Implementation) -> Implementation:
    """The implementation, handed (x, weight, bias) and the statistics by name where a case is one of batch_norm.

    A weight of None is 1, a bias of None 0, and statistics that training does not read are 0 and 1. Which ranks of
    x it takes is found out by trying, once.
    """
    inner = made.op
    tried = False

    def op(*arrays: Array | None, **options: Any) -> Any:
        nonlocal tried
        if not normalizes(arrays, options):
            return inner(*arrays, **options)
        if not tried:
            tried = True
            _try_ranks(made, inner)
        return _called(inner, arrays, options)

    made.op = op
    return made


def _called(inner: Op, arrays: tuple[Array | None, ...], options: dict[str, Any]) -> tuple[Any, Any]:
    x, mean, var, weight, bias = arrays
    assert x is not None
    zeros, ones = np.zeros(x.shape[1], x.dtype), np.ones(x.shape[1], x.dtype)
    # Copies, for a layer may update its running statistics in place, as torch does.
    statistics = {
        "running_mean": (zeros if mean is None else mean).copy(),
        "running_var": (ones if var is None else var).copy(),
    }
    given = x, ones if weight is None else weight, zeros if bias is None else bias
    y, pullback = inner(*given, **statistics, **options)

    def back(dy: Array) -> tuple[Any, ...]:
        dx, dw, db = (*pullback(dy), None, None)[:3]
        return dx, None, None, None if weight is None else dw, None if bias is None else db

    return y, back if callable(pullback) else pullback


def _try_ranks(made: Implementation, inner: Op) -> None:
    """Note the ranks of x for which all shapes come out right, if they are not all."""
    before = list(made.notes), dict(made.narrows)
    taken = {rank for rank in RANKS if _fits(inner, rank)}
    made.notes[:] = before[0]  # what is noted of calls that were only tries
    made.narrows.clear()
    made.narrows.update(before[1])
    if taken and taken != set(RANKS):
        made.narrows["rank"] = frozenset(taken)
        told = " or ".join(f"{rank}" for rank in sorted(taken))
        made.note(f"it takes inputs of {told} axes alone: no other ranks were checked")


def _fits(inner: Op, rank: int) -> bool:
    """Whether all shapes come out right, in training, with the options that everyone has."""
    options = {name: names.DEFAULTS[name] for name in ("training", "momentum", "eps")}
    x = np.arange(2.0 * 3 * 4 ** (rank - 2), dtype=np.float32).reshape(2, 3, *[4] * (rank - 2))
    channels = np.ones(3, np.float32)
    arrays = x, channels, channels, channels, channels
    token = CANONICAL.set(arrays)
    try:
        y, pullback = _called(inner, arrays, options)
        if np.shape(y) != x.shape or not callable(pullback):
            return bool(np.shape(y) == x.shape)
        return all(np.shape(g) == a.shape for g, a in zip(pullback(x), arrays, strict=True) if g is not None)
    except Exception:  # whatever it raises, it does not take this
        return False
    finally:
        CANONICAL.reset(token)
