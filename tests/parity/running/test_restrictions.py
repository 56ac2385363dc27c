"""Restrictions that no case can satisfy are rejected."""

from typing import Any

import pytest

import parity


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"dtype": "float16"}, "dtype must be float32 or float64, got 'float16'"),
        ({"lanes": ["exakt"]}, "there is no lane 'exakt'; there are exact, bound, structure, special"),
        ({"lanes": []}, "relu has only exact, bound, structure, special, got"),
        ({"supports": {"stryde": 1}}, "relu has no 'stryde'; it has"),
        ({"supports": 3}, "supports must be a dict or a function of a case, got int"),
        ({"supports": {"rank": "two"}}, "relu has no case with rank='two'"),
        ({"examples": 0}, "examples must be at least 1, got 0"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"accept": ["everything"]}, "there is no 'everything'"),
    ],
)
def test_invalid_arguments_are_rejected(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parity.check("relu", **how)


def test_without_a_matching_case_the_row_is_not_checked() -> None:
    report = parity.check("SGD", dtype="float32", lanes=["exact"], examples=5)
    assert not report.ok
    assert report.verdict == "not checked: no case ran"
    assert report.rows[0].notes == ["no case of the lanes exact fits dtype='float32'"]


@pytest.mark.parametrize("name", ["instance_norm", "layer_norm", "conv2d", "cross_entropy"])
def test_the_suites_own_rows_have_no_restrictions(name: str) -> None:
    assert parity.check(name, examples=2, lanes=["bound"]).rows[0].notes == []
