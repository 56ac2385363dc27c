"""Restrictions of padding and interpolation give cases that torch accepts."""

from typing import Any

import pytest

from parity.cases.restrict import fits, narrowed
from parity.cases.sample import sample
from parity.rows.registry import ROWS

WORDS: list[tuple[str, dict[str, Any]]] = [
    ("pad", {"pairs": False, "negative": False, "mode": "constant", "value": 2.0}),
    ("pad", {"pad": (1, 2, 0, 1), "mode": "reflect"}),
    ("pad", {"rank": 4, "mode": "circular"}),
    ("interpolate", {"size": None, "scale_factor": 2.0, "mode": "nearest"}),
    ("interpolate", {"size": None, "whole": True, "pairs": False}),
    ("interpolate", {"scale_factor": None, "size": (4, 5), "mode": "bilinear", "align_corners": True}),
    ("interpolate", {"mode": "linear"}),
    ("max_unpool2d", {"kernel_size": 2, "stride": 2, "padding": 0, "output_size": None}),
    ("layer_norm", {"normalized_shape": (3, 4), "weight": None, "bias": False}),
    ("group_norm", {"rank": 4}),
]


@pytest.mark.parametrize(("row", "words"), WORDS, ids=str)
def test_a_narrowed_case_is_valid(row: str, words: dict[str, Any]) -> None:
    for case in sample(ROWS[row].strategy(lane="bound"), 30):
        made = narrowed(case, words)
        assert ROWS[row].valid(made), (case, made)
        assert fits(made, words), (case, made)
