"""Evidence about a failure from further cases, even if the implementation raises meanwhile."""

from typing import Any

import numpy as np

import parity
from numpy_cnn import ops
from parity.diagnosis.facets import Facet, Kind


def test_a_condition_refers_to_an_array_by_name() -> None:
    def wrong_without_bias(x: Any, w: Any, b: Any = None) -> Any:
        y, pullback = ops.linear(x, w, b)
        return y, lambda dy: (pullback(dy)[0], pullback(dy)[1] * (3 if b is None else 1), pullback(dy)[2])

    def wrong_on_wide_outputs(x: Any, w: Any, b: Any = None) -> Any:
        y, pullback = ops.linear(x, w, b)
        return y + (w.shape[0] > 1), pullback

    for implementation, facet, holds in (
        (wrong_without_bias, Facet(Kind.GIVEN, "bias"), False),
        (wrong_on_wide_outputs, Facet(Kind.HAS, "several outputs"), True),
    ):
        failure = parity.check("linear", implementation, examples=60, lanes=["exact"]).failures[0]
        assert failure.evidence is not None
        first = failure.evidence.dependence.needed[0]
        assert (first.facet, first.holds) == (facet, holds)


class Treacherous:
    """A wrong ReLU that raises after a number of calls, possibly while its failure is being explained."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __call__(self, x: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise KeyError("no more")
        return np.maximum(x, 0) + 1, lambda dy: (np.where(x > 0, dy, 0),)


def test_an_op_that_raises_while_it_is_being_explained() -> None:
    for calls in (1, 2, 5, 20, 60, 200):
        report = parity.check("relu", Treacherous(calls), examples=20, lanes=["exact"])
        assert not report.ok
        assert {failure.verdict.value for failure in report.failures} == {"wrong"}
        assert str(report)


PROMPT = """
class Layer:
    def forward(self, x):
        self.mask = x > 0
        return np.maximum(x, 0)
    def backward(self, dy):
        return 2 * np.where(self.mask, dy, 0)
"""


def test_a_class_without_source_gets_a_script_with_its_result() -> None:
    scope: dict[str, Any] = {"np": np, "__name__": "__main__"}
    exec(compile(PROMPT, "<stdin>", "exec"), scope)
    report = parity.check("relu", scope["Layer"], examples=20, lanes=["exact"])
    failure = report.failures[0]
    assert failure.quantity == "grad_input"
    assert failure.evidence is not None
    assert failure.evidence.script is not None
    assert "the result of your implementation" in failure.evidence.script
    assert "import Layer" not in failure.evidence.script
    done: dict[str, Any] = {}
    exec(failure.evidence.script, done)
    assert not np.array_equal(done["yours"], done["theirs"])


def test_a_failure_on_special_values_of_a_rounded_op_has_no_allowed_error() -> None:
    """No error is derived where the input is not finite."""

    def without_nan(x: Any) -> Any:
        y, pullback = ops.sigmoid(x)
        return np.nan_to_num(y), pullback

    report = parity.check("sigmoid", without_nan, examples=20, lanes=["special"], strict=True)
    (failure,) = report.failures
    assert failure.evidence is not None
    comparison = failure.evidence.comparison
    assert comparison is not None
    assert (comparison.allowed, comparison.yours[comparison.worst]) == (0, 0)
    assert np.isnan(comparison.referee)
