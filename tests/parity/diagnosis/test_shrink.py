"""Shrinking reduces the numbers of a failing case, including those of keyword arrays."""

import random

import numpy as np

from parity.cases.primitives import draw_plainly
from parity.diagnosis.shrink import _simplicity, with_small_numbers
from parity.lanes.comparison import Mismatch
from parity.lanes.facts import Difference, ValuesDiffer
from parity.lanes.reference import expect
from parity.rows.registry import ROWS


def test_class_weights_become_one_and_scores_zero() -> None:
    row, generator = ROWS["cross_entropy"], random.Random(0)
    cases = (draw_plainly(row.strategy(lane="bound"), generator)[0] for _ in range(200))
    case = next(case for case in cases if 2 <= np.prod(case.arrays[2].shape or 0) <= 6 and case.arrays[0].shape)
    expected = expect(row, case, "bound")
    assert np.max(expected.inputs.options["weight"]) > 1
    difference = Difference("output", ValuesDiffer(1, 4, (0,), 2.0, 1.0))
    small = with_small_numbers(
        Mismatch("bound", case, [difference]), expected, lambda _: [difference], attempts=5000
    )
    assert small.case.values is not None
    assert np.unique(small.case.values["weight"]).tolist() == [1]  # a weight of 0 would change the failure
    assert not np.any(small.case.values["input"])


def test_small_numbers_are_ordered_by_kind_size_and_sign() -> None:
    ordered = [[0, 0], [1, 0], [-1, 0], [1, 1], [2, 0], [1, -1], [0.5, 0], [np.nan, 0], [np.nan, np.inf]]
    keys = [_simplicity(np.array(values)) for values in ordered]
    assert keys == sorted(keys)
    assert keys[3] == keys[4], "a zero is not a negative number"
