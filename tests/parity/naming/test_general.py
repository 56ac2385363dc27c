"""General mistakes, planted by editing the row's own op, are named in every row."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from numpy_cnn import ops
from parity.cases.case import ArraySpec, Case
from parity.exam.changes import option, result, upstream
from parity.naming import Observation, explain
from parity.rows.registry import ROWS
from parity.running.sandbox import sandboxed
from parity.subjects import adapt


def _flipped(a: Any) -> Any:
    return np.flip(a, (-2, -1)).copy()


def _first_sample_only(a: Any) -> Any:
    kept = np.zeros_like(a)
    kept[:1] = a[:1]
    return kept


OF_OUTPUT: dict[str, Callable[[Any], Any]] = {
    "negated": lambda a: -a,
    "doubled": lambda a: 2 * a,
    "zero": np.zeros_like,
    "constant-factor": lambda a: a * a.dtype.type(1.37),
    "result-flipped": _flipped,
    "first-sample-only": _first_sample_only,
}
OF_UPSTREAM: dict[str, Callable[[Any], Any]] = {
    "upstream-ignored": np.ones_like,
    "upstream-squared": np.square,
    "upstream-absolute": np.abs,
}
OF_OPTIONS: list[tuple[str, str, Callable[[Any], Any], str]] = [
    ("elu", "alpha", lambda _: 1.0, "the option alpha is ignored: it counts as 1"),
    ("leaky_relu", "negative_slope", lambda slope: 2 * slope, "the option negative_slope counts twice"),
    ("gelu", "approximate", lambda _: "tanh", "the option approximate is ignored: it counts as tanh"),
    ("avg_pool2d", "ceil_mode", lambda _: False, "the option ceil_mode is ignored: it counts as False"),
    ("conv_transpose2d", "padding", lambda p: p[::-1] if isinstance(p, tuple) else p,
     "the two numbers of the option padding are swapped"),
    ("kl_div", "reduction", lambda r: "mean" if r == "batchmean" else r,
     "the reduction is ignored: it is always the mean"),
    ("batch_norm", "eps", lambda _: 1e-5, "the option eps is ignored: it counts as 1e-05"),
    ("interpolate", "size", lambda s: (s[0],) * len(s),
     "the first number of the option size is used for all axes"),
    ("adaptive_avg_pool2d", "output_size",
     lambda s: tuple(1 if v is None else v for v in s) if isinstance(s, tuple) else s,
     "None in the option output_size counts as 1"),
    ("pad", "pad", lambda widths: tuple(max(width, 0) for width in widths),
     "negative numbers of the option pad count as 0"),
]  # fmt: skip


def explained(row: str, op: Any, quantity: str) -> Any:
    with sandboxed():
        return explain(Observation(ROWS[row], adapt(op), ROWS[row].lanes[0]), quantity)


@pytest.mark.parametrize("row", ["conv1d", "avg_pool2d", "elu"])
@pytest.mark.parametrize("name", OF_OUTPUT)
def test_an_edit_of_the_output_is_named(row: str, name: str) -> None:
    assert explained(row, result(lambda a, _: OF_OUTPUT[name](a))(ROWS[row].op, ("y",)), "output").name == name


@pytest.mark.parametrize("row", ["conv_transpose2d", "softplus", "silu"])
@pytest.mark.parametrize("name", OF_UPSTREAM)
def test_an_edit_of_the_upstream_gradient_is_named(row: str, name: str) -> None:
    assert (
        explained(row, upstream(lambda dy, _: OF_UPSTREAM[name](dy))(ROWS[row].op, ("dx",)), "grad_input").name
        == name
    )


@pytest.mark.parametrize(("axis", "parts"), [(-2, "rows"), (-1, "columns")])
def test_a_loop_over_the_first_rows_or_columns_of_a_weight_is_named(axis: int, parts: str) -> None:
    def unrolled(x: Any, w: Any, b: Any) -> Any:
        used = w.copy()
        np.moveaxis(used, axis, 0)[4:] = 0
        return ops.linear(x, used, b)

    found = explained("linear", unrolled, "output")
    assert found.name == "argument-cut"
    assert found.sentence == f"the weight beyond its first 4 {parts} is left out"


@pytest.mark.parametrize(("row", "of", "edit", "sentence"), OF_OPTIONS)
def test_an_edit_of_an_option_is_named(row: str, of: str, edit: Callable[[Any], Any], sentence: str) -> None:
    assert explained(row, option(of, edit)(ROWS[row].op, ()), "output").sentence == sentence


def test_a_gradient_of_a_normalization_is_named_with_any_epsilon() -> None:
    """With an epsilon of 1, the weight and the upstream gradient magnify the rounding of large inputs."""
    negated = result(lambda a, _: -a)(ROWS["group_norm"].op, ("dx",))
    assert explained("group_norm", negated, "grad_input").name == "negated"


def test_roundoff_of_a_reported_case_far_from_0_does_not_hide_a_name() -> None:
    arrays = (ArraySpec("input", (3, 4), "shifted"), ArraySpec("weight", None), ArraySpec("bias", None))
    case = Case("layer_norm", arrays, {"normalized_shape": (4,), "eps": 1e-5}, "float32", 8, 0)
    row, op = ROWS["layer_norm"], result(lambda a, _: a / 3)(ROWS["layer_norm"].op, ("y",))
    with sandboxed():
        found = explain(Observation(row, adapt(op), "bound"), "output", case, "bound")
    assert found is not None
    assert found.name == "constant-factor"


@pytest.mark.parametrize(
    ("row", "lane", "how"), [("relu", "exact", "to the bit"), ("tanh", "bound", "to the last digits")]
)
def test_the_report_says_how_exactly_an_explanation_reproduces(row: str, lane: Any, how: str) -> None:
    def negated(x: Any) -> Any:
        y, pullback = ROWS[row].op(x)
        return y, lambda dy: (-pullback(dy)[0],)

    (failure,) = parity.check(row, negated, examples=20, lanes=[lane]).failures
    assert "negated" in str(failure.explanation) or "sign" in failure.diagnosis
    assert how in failure.diagnosis
