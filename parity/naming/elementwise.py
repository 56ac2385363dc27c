"""Mistakes in ReLU: the mask, and the behaviour at 0, NaN and infinity."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import Explanation, Formula, mistake

SLOPES = (0.01, 0.1, 0.2, 0.3)
LIMITS = (6, 1)

# x → y
_OUTPUTS: tuple[tuple[str, Callable[[Array], Any]], ...] = (
    ("relu-passes-all", lambda x: x),
    ("absolute", np.abs),
    ("negative-part", lambda x: np.minimum(x, 0)),
    ("sign-only", lambda x: np.where(x > 0, 1.0, 0.0)),
    ("multiplies-by-mask", lambda x: x * (x > 0)),
    ("nan-swallowed", lambda x: np.where(x > 0, x, 0)),
    ("nan-swallowed", lambda x: np.fmax(x, 0)),
    ("infinity-replaced", lambda x: np.nan_to_num(np.maximum(x, 0))),
)

# x, dy → dx
_GRADIENTS: tuple[tuple[str, Callable[[Array, Array], Any]], ...] = (
    ("relu-passes-all", lambda _, dy: dy),
    ("relu-at-zero", lambda x, dy: np.where(x < 0, 0, dy)),
    ("relu-half-at-zero", lambda x, dy: np.where(x < 0, 0, np.where(x == 0, dy / 2, dy))),
    ("mask-inverted", lambda x, dy: np.where(x < 0, dy, 0)),
    ("mask-of-nonzero", lambda x, dy: np.where(x != 0, dy, 0)),
    ("mask-complement", lambda x, dy: np.where(x > 0, 0, dy)),
    ("mask-of-upstream", lambda _, dy: np.where(dy > 0, dy, 0)),
    ("mask-of-both", lambda x, dy: np.where((x > 0) & (dy > 0), dy, 0)),
    ("multiplies-by-output", lambda x, dy: dy * np.maximum(x, 0)),
    ("multiplies-by-input", lambda x, dy: dy * x),
    ("sign-of-input", lambda x, dy: dy * np.sign(x)),
    ("nan-blocks", lambda x, dy: np.where(x > 0, dy, 0)),
    ("nan-becomes-nan", lambda x, dy: np.where(np.isnan(x), x, np.where(x > 0, dy, 0))),
)


def _output(of: Callable[[Array], Any]) -> Formula:
    return lambda probe: np.asarray(of(probe.first))


def _gradient(of: Callable[[Array, Array], Any]) -> Formula:
    return lambda probe: np.asarray(of(probe.first, probe.dy))


def _capped(most: float) -> Iterator[Explanation]:
    yield mistake("capped", "output", formula=_output(lambda x: np.clip(x, 0, most)), limit=most)
    yield mistake(
        "capped", "grad_", formula=_gradient(lambda x, dy: np.where((x > 0) & (x < most), dy, 0)), limit=most
    )


def _leaky(slope: float) -> Iterator[Explanation]:
    yield mistake("leaky", "output", formula=_output(lambda x: np.where(x > 0, x, slope * x)), slope=slope)
    yield mistake("leaky", "grad_", formula=_gradient(lambda x, dy: np.where(x > 0, dy, slope * dy)), slope=slope)


RELU = (
    *(mistake(name, "output", formula=_output(of)) for name, of in _OUTPUTS),
    *(mistake(name, "grad_", formula=_gradient(of)) for name, of in _GRADIENTS),
    *(explanation for most in LIMITS for explanation in _capped(most)),
    *(explanation for slope in SLOPES for explanation in _leaky(slope)),
)
