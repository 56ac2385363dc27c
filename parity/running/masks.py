"""Dropout layers that draw their own mask: determine how they interpret random numbers and p."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from parity.cases.case import Case, Lane
from parity.lanes.reference import expect
from parity.rows.row import Row
from parity.running.roughly import roughly_equal
from parity.subjects import Declined, Implementation, ImplementationError, Unrecognised
from parity.subjects.dropout import given_mask

P = 0.75  # not 0.5, where dropped and kept fractions are equal


def with_mask(row: Row, made: Implementation, lane: Lane, cases: Sequence[Case]) -> Implementation:
    """Wrap the implementation so that it uses the case's mask.

    Args:
        row: of dropout.
        made: it has no parameter for a mask.
        lane: of the cases.
        cases: in training, with a mask, several numbers and p = P.
    """
    best: tuple[int, Implementation] | None = None
    for p_keeps, kept_below in product((False, True), repeat=2):
        candidate = given_mask(made, kept_below=kept_below, p_keeps=p_keeps)
        score = sum(
            _agreement(row, candidate, lane, replace(case, seed=seed)) for case in cases for seed in range(3)
        )
        if best is None or score > best[0]:
            best = score, candidate
    return made if best is None else best[1]


def _agreement(row: Row, made: Implementation, lane: Lane, case: Case) -> int:
    """2 if the output is correct, 1 if the correct numbers are dropped."""
    expected = expect(row, case, lane)
    try:
        y, _ = made(*expected.inputs.private().arrays, **expected.inputs.options)
    except (Declined, ImplementationError, Unrecognised):
        return 0
    theirs = expected.theirs["output"]
    if np.shape(y) != theirs.shape:
        return 0
    return 2 if roughly_equal(y, theirs) else int(np.array_equal(y != 0, theirs != 0))
