"""Dropout layers that draw their own mask, from NumPy's or torch's generator.

The numbers that they draw are replaced, so that the mask is that of the case. Whether a layer keeps numbers below
or above its threshold, and whether its p is the fraction dropped (as in torch) or kept, is determined by trying.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import torch

from parity.cases.case import Case
from parity.cases.op import Array
from parity.subjects.arguments import parameters_of
from parity.subjects.errors import Declined
from parity.subjects.implementation import Implementation, Pullback
from parity.subjects.layer import forward_name
from parity.subjects.names import plain

EXACT = frozenset({0.5, 0.75})  # 1/(1 − p) is exact, and some numbers are dropped
LOW, HIGH = 0.0, 1.0 - 2**-24  # below and above each p in (0, 1)


def draws_its_mask(written: Any, case: Case) -> bool:
    """Whether the case is one of dropout and the implementation has no parameter for a mask."""
    if "p" not in case.options or all(spec.name != "mask" for spec in case.arrays):
        return False
    parts = written if isinstance(written, (tuple, list)) else (written,)
    kinds = [type(part) if isinstance(part, torch.nn.Module) else part for part in parts]
    methods = [getattr(kind, forward_name(kind)) for kind in kinds if inspect.isclass(kind)]
    functions = [*kinds, *methods]
    names = {plain(p.name) for function in functions for p in parameters_of(function) or ()}
    takes_anything = any(p.kind is p.VAR_KEYWORD for f in functions for p in parameters_of(f) or ())
    return "mask" not in names and not takes_anything


def given_mask(made: Implementation, *, kept_below: bool, p_keeps: bool) -> Implementation:
    """Wrap an implementation so that it draws the case's mask.

    Args:
        made: an implementation that draws numbers in [0, 1) by `np.random`, or 0 and 1 by `binomial`.
        kept_below: it keeps the entries whose number is below its threshold.
        p_keeps: its p is the fraction kept.
    """

    def op(*arrays: Array | None, **options: Any) -> Any:
        if "p" not in options or "mask" not in options:
            return made.op(*arrays, **options)
        mask, p = options.pop("mask"), options["p"]
        if p not in EXACT:
            raise Declined("with such a p nothing is drawn", {"p": EXACT})
        kept = np.asarray(True if mask is None else mask)
        options["p"] = 1 - p if p_keeps else p
        numbers = np.where(kept == kept_below, LOW, HIGH)
        with _drawn(numbers, kept):
            returned = made.op(*arrays, **options)
        if not (isinstance(returned, tuple) and len(returned) == 2 and callable(returned[1])):
            return returned
        y, pullback = returned

        def back(dy: Array) -> Any:  # autograd repeats the forward
            with _drawn(numbers, kept):
                return pullback(dy)

        return y, Pullback(back, made.takes_upstream, getattr(pullback, "by_torch", False))

    note = "its p is the share that is kept" if p_keeps else None
    return replace(made.around(op, note), lenient=True)


@contextmanager
def _drawn(numbers: Array, kept: Array) -> Iterator[None]:
    """Make the generators return these numbers in the requested shape, and torch's dropout use this mask."""

    class Drawn:
        def random(self, size: Any = None, dtype: Any = np.float64, **_: Any) -> Array:
            return numbers.astype(dtype) if size is None else np.broadcast_to(numbers, size).astype(dtype)

        def rand(self, *size: int) -> Array:
            return self.random(size)

        def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None) -> Array:
            return low + (high - low) * self.random(size)

        def binomial(self, n: int, p: Any, size: Any = None) -> Array:  # noqa: ARG002  # NumPy's signature
            return np.broadcast_to(kept, kept.shape if size is None else size).astype(int) * n

    def dropped(x: torch.Tensor, p: float = 0.5, training: bool = True, *_: Any, **__: Any) -> torch.Tensor:
        given = torch.from_numpy(np.array(kept)).reshape((*kept.shape, *(1,) * (x.ndim - kept.ndim)))
        return x * (given.to(x.dtype) / (1 - p)) if training else x

    def uniform(*size: Any, **options: Any) -> torch.Tensor:
        shape = size[0] if size and not isinstance(size[0], int) else size
        return torch.from_numpy(np.broadcast_to(numbers, shape).copy()).to(options.get("dtype") or torch.float32)

    drawn = Drawn()
    with (
        mock.patch.multiple(
            torch.nn.functional, dropout=dropped, dropout1d=dropped, dropout2d=dropped, dropout3d=dropped
        ),
        mock.patch.multiple(
            torch,
            rand=uniform,
            rand_like=lambda x, **_: uniform(x.shape, dtype=x.dtype),
            bernoulli=lambda x, **_: torch.from_numpy(np.array(kept)).broadcast_to(x.shape).to(x.dtype),
        ),
        mock.patch.multiple(
            np.random,
            rand=drawn.rand,
            random=drawn.random,
            random_sample=drawn.random,
            uniform=drawn.uniform,
            binomial=drawn.binomial,
            default_rng=lambda *_: drawn,
        ),
    ):
        yield
