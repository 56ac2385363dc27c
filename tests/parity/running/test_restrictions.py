"""Restrictions that no case can satisfy are rejected."""

from typing import Any

import numpy as np
import pytest
import torch

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
        ({"seed": -1}, "seed must be a whole number, at least 0, got -1"),
        ({"seed": "x"}, "seed must be a whole number, at least 0, got 'x'"),
        ({"supports": "rank=2"}, "supports must be a dict or a function of a case, got str 'rank=2'"),
        ({"timeout": 0}, "timeout must be more than 0 seconds, or None for no limit; got 0"),
        ({"timeout": "1"}, "timeout must be more than 0 seconds, or None for no limit; got '1'"),
        ({"like": torch.relu, "shapes": "n c ??"}, "'\\?\\?' is no size or name of an axis"),
        ({"accept": ["everything"]}, "there is no 'everything'"),
    ],
)
def test_invalid_arguments_are_rejected(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parity.check("relu", relu, **how)


def relu(x: Any) -> Any:
    return np.maximum(x, 0), lambda dy: dy * (x > 0)


class Relu:
    def forward(self, x: Any) -> Any:
        return np.maximum(x, 0)


WRONG_TYPES: list[tuple[Any, str]] = [
    (lambda: parity.check(relu), "the first argument is the name of a row"),  # type: ignore[arg-type]  # on purpose
    (lambda: parity.case(relu), "the first argument is the name of a row"),  # type: ignore[arg-type]  # on purpose
    (lambda: parity.check("relu", Relu()), "got an instance of Relu: pass the class Relu"),  # type: ignore[arg-type]  # on purpose
    (lambda: parity.check("relu", relu, like="gelu"), "like must be a function of tensors.*got 'gelu'"),  # type: ignore[arg-type]  # on purpose
    (lambda: parity.case("relu")(relu), "no decorator; write test_relu = parity.case\\('relu', relu\\)"),  # type: ignore[call-arg]  # on purpose
]


@pytest.mark.parametrize(("call", "message"), WRONG_TYPES)
def test_arguments_of_wrong_types_are_rejected(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


def test_without_a_matching_case_the_row_is_not_checked() -> None:
    report = parity.check("SGD", dtype="float32", lanes=["exact"], examples=5)
    assert not report.ok
    assert report.verdict == "not checked: no case ran"
    assert report.rows[0].notes == ["no case of the lanes exact fits dtype='float32'"]


@pytest.mark.parametrize("name", ["instance_norm", "layer_norm", "conv2d", "cross_entropy"])
def test_the_suites_own_rows_have_no_restrictions(name: str) -> None:
    assert parity.check(name, examples=2, lanes=["bound"]).rows[0].notes == []
