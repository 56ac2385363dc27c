"""Constants that authors write into the code instead of a parameter: determined by the output."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from parity.cases.case import Case, Lane
from parity.lanes.reference import Expected, expect
from parity.naming.catalogue import explanations_of
from parity.naming.explanation import Explanation
from parity.naming.probe import NotApplicable, Probe
from parity.rows.row import Row
from parity.subjects import Declined, Implementation, ImplementationError

# Likely values, by torch's option.
CONSTANTS: dict[str, tuple[Any, ...]] = {
    "eps": (1e-5, 1e-8, 1e-7, 1e-6, 1e-3, 1e-4, 1e-10, 1e-12, 1e-9, 1e-2),
    "betas": ((0.9, 0.999), (0.9, 0.99), (0.9, 0.98), (0.9, 0.95), (0.5, 0.999)),
    "alpha": (0.9, 0.99, 0.95, 0.999, 1.0, 0.1),
    "negative_slope": (0.01, 0.1, 0.2, 0.05, 0.3, 1e-3),
    "nesterov": (False, True),
    "approximate": ("none", "tanh"),
    "kernel_size": (2, 3),
    "align_corners": (None, True),
}
MODES = {"pad": ("constant", "reflect", "replicate", "circular"), "interpolate": ("nearest", "bilinear", "linear")}
CLOSE = 1e-9  # a relative error in float64: far above rounding, below the effect of another constant


def likely(row: Row, name: str) -> tuple[Any, ...]:
    """The likely values of an option of the row."""
    return MODES.get(row.name, ()) if name == "mode" else CONSTANTS.get(name, ())


def constants(
    row: Row, made: Implementation, lane: Lane, case: Case, names: Sequence[str]
) -> dict[str, Any] | None:
    """The values for which the output is torch's, or that of a known mistake of an optimizer; None if none is.

    Args:
        row: the row.
        made: the implementation, for which these options are fixed.
        lane: of the case.
        case: in float64 and of moderate size, so that an eps added to a variance is visible.
        names: the options that it does not read.
    """
    drawn = _expected(row, lane, case, names)
    if not drawn:
        return None
    inputs = drawn[0][1].inputs.private()
    try:
        y, _ = made(*inputs.arrays, **inputs.options)
    except (Declined, ImplementationError):
        return None
    for explanation in (None, *_formulas(row, drawn[0][1])):
        for chosen, expected in drawn:
            try:
                theirs = expected.theirs["output"] if explanation is None else explanation.result(_probe(expected))
            except NotApplicable:
                break
            if np.shape(y) == theirs.shape and np.allclose(y, theirs, rtol=CLOSE, atol=CLOSE, equal_nan=True):
                return chosen
    return None


def _expected(row: Row, lane: Lane, case: Case, names: Sequence[str]) -> list[tuple[dict[str, Any], Expected]]:
    """torch's results for each combination of values, beginning with those of the case."""
    found = []
    for values in itertools.product(*((case.options[name], *likely(row, name)) for name in names)):
        chosen = dict(zip(names, values, strict=True))
        try:
            found.append((chosen, expect(row, replace(case, options=case.options | chosen), lane)))
        except (RuntimeError, ValueError, IndexError, Declined):  # torch rejects the combination
            continue
    return found


def _formulas(row: Row, expected: Expected) -> Iterator[Explanation]:
    """Other formulas of an optimizer, in which a constant may also be: conventions first."""
    if row.kind == "optimizer":
        found = [e for e in explanations_of(row.name, _probe(expected)) if e.formula is not None]
        yield from sorted(found, key=lambda explanation: not explanation.convention)


def _probe(expected: Expected) -> Probe:
    return Probe.of(expected, "output")
