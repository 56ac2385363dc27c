"""Facts, their verdicts, and which side is wrong."""

from dataclasses import fields
from typing import Any, get_args

import numpy as np
import pytest

import parity
from numpy_cnn import ops
from parity.cases.case import ArraySpec, Case
from parity.lanes import exact, special, structure
from parity.lanes.comparison import same_form, same_values
from parity.lanes.facts import (
    ArgumentOverwritten,
    CacheShared,
    Difference,
    DtypeChanged,
    Explained,
    Fact,
    GradientAccumulates,
    Missing,
    NotNumbers,
    OutputShared,
    SharedState,
    StaleSecondCall,
    Unexpected,
    ValuesDiffer,
    Verdict,
    WrongShape,
)
from parity.lanes.reference import expect
from parity.report import sentences
from parity.rows.registry import ROWS

VALUES = ValuesDiffer(1, 4, (0, 1), 2.0, 1.0)


def explained(convention: bool) -> Explained:
    return Explained("batch-mean", "it is divided by the batch", convention, 5, 7, True)


@pytest.mark.parametrize(
    ("difference", "verdict", "accept"),
    [
        (Difference("output", VALUES), "wrong", None),
        (Difference("output", VALUES, only="special"), "special", "special"),
        (Difference("output", VALUES, only="ties"), "convention", "ties"),
        (Difference("output", VALUES, explained=explained(True)), "convention", "batch-mean"),
        (Difference("output", VALUES, explained=explained(False)), "wrong", None),
        (Difference("output", DtypeChanged("float64", "float32")), "contract", "dtype"),
        (Difference("output", ArgumentOverwritten("input", "forward")), "wrong", None),
        (Difference("grad_input", GradientAccumulates(2)), "wrong", None),
        (Difference("grad_input", StaleSecondCall()), "wrong", None),
        (Difference("grad_input", CacheShared()), "contract", "memory"),
    ],
)
def test_each_fact_has_its_verdict(difference: Difference, verdict: str, accept: str | None) -> None:
    assert (difference.verdict, difference.accept_as) == (verdict, accept)


def test_verdicts_are_ordered_worst_first() -> None:
    assert sorted(Verdict, key=lambda verdict: verdict.severity) == ["wrong", "convention", "special", "contract"]


def test_each_kind_of_fact_has_its_own_sentence() -> None:
    kinds = [kind for kind in get_args(Fact) if isinstance(kind, type)]
    assert len(kinds) > 15
    texts = {sentences.fact(_example(kind)) for kind in kinds}
    assert len(texts) == len(kinds)


def _example(kind: type) -> Any:
    """A fact of this kind with a sample value in each field."""
    filled = {
        "wrong": 1, "total": 4, "index": (0,), "got": 2.0, "expected": 1.0, "values": VALUES, "fraction": 3.0,
        "oracle_fraction": 0.5, "complex_step": False, "problem": "no result", "stage": "forward",
        "exception": "E", "message": "m", "how": "exited with code 3", "where": None, "seconds": 1.0,
        "error": NotNumbers("object", "float32"), "layout": "odd",
        "fact": VALUES, "array": "input", "by": "forward", "calls": 2, "first": VALUES, "other": "dy",
        "rules": ("stride=0",), "reason": "m", "option": "stride", "value": 1,
    }  # fmt: skip
    own = {"DtypeChanged": {"got": "float16"}, "WrongShape": {"got": (1,)}, "NotNumbers": {"got": "str"},
           "LayoutChangesResult": {"layout": "other"}}.get(kind.__name__, {})  # fmt: skip
    return kind(**{field.name: (filled | own)[field.name] for field in fields(kind)})


def test_the_form_of_results() -> None:
    theirs = {"output": np.zeros(2, "float32"), "grad_input": np.zeros(2, "float32"), "grad_bias": np.zeros(1)}
    ours: Any = {"output": np.zeros(2), "grad_bias": np.array(["a"]), "grad_weight": np.zeros(1)}
    facts = {difference.quantity: difference.fact for difference in same_form(ours, theirs)}
    assert facts == {
        "output": DtypeChanged("float64", "float32"),
        "grad_input": Missing(),
        "grad_bias": NotNumbers("<U1", "float64"),
        "grad_weight": Unexpected(),
    }
    assert same_form({"output": np.zeros(3)}, theirs) == [Difference("output", WrongShape((3,), (2,)))]


def test_the_worst_entry_is_given() -> None:
    found = same_values({"output": np.array([1.0, 9.0, np.nan])}, {"output": np.array([1.0, 2.0, np.nan])})
    assert found == [Difference("output", ValuesDiffer(1, 3, (1,), 9.0, 2.0), "undecided")]


def relu_case(dtype: Any, *numbers: float) -> Case:
    values = {"input": numbers, "dy": (1.0,) * len(numbers)}
    return Case("relu", (ArraySpec("input", (len(numbers),)),), dtype=dtype, values=values)


def doubled(x: Any) -> Any:
    return 2 * np.maximum(x, 0), lambda dy: (np.where(x > 0, dy, 0),)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_oracle_in_the_other_precision_decides_who_is_wrong(dtype: str) -> None:
    row = ROWS["relu"]
    _, found = exact.compare(row, doubled, expect(row, relu_case(dtype, 1.0, 2.0), "exact"))
    assert [(d.quantity, d.wrong_side) for d in found] == [("output", "implementation")]


def test_the_special_lane_leaves_the_wrong_side_undecided() -> None:
    def drops_nan(x: Any) -> Any:
        return np.where(x > 0, x, 0), lambda dy: (np.where(x > 0, dy, 0),)

    row = ROWS["relu"]
    _, found = special.compare(row, drops_nan, expect(row, relu_case("float32", np.nan, 2.0), "special"))
    assert {d.quantity: (d.only, d.wrong_side, d.verdict.value) for d in found} == {
        "output": ("special", "undecided", "special"),
        "grad_input": ("special", "undecided", "special"),
    }
    _, found = special.compare(row, doubled, expect(row, relu_case("float32", 1.0, 2.0), "special"))
    assert [(d.only, d.verdict.value) for d in found] == [(None, "wrong")]  # a difference in finite numbers


def test_a_sign_of_zero_is_special_on_finite_numbers_too() -> None:
    row = ROWS["relu"]
    _, found = special.compare(
        row, lambda x: (np.where(x > 0, x, -0.0).astype(x.dtype), lambda dy: (np.where(x > 0, dy, 0),)),
        expect(row, relu_case("float32", -1.0, 2.0), "special"),
    )  # fmt: skip
    assert [(d.quantity, d.only) for d in found] == [("output", "special")]


SCRATCH = np.empty(100, "float32")


def in_scratch(x: Any) -> Any:
    """A ReLU whose output and cache are overwritten by the next call."""
    y = SCRATCH[: x.size].reshape(x.shape)
    np.maximum(x, 0, out=y)
    return y, lambda dy: (np.where(y > 0, dy, 0),)


def test_memory_shared_between_calls_breaks_the_contract() -> None:
    row = ROWS["relu"]
    arrays = (ArraySpec("input", (9,)),)
    _, found = structure.compare(row, in_scratch, expect(row, Case("relu", arrays, seed=3), "structure"))
    assert {(d.quantity, type(d.fact), d.verdict.value) for d in found} == {
        ("output", OutputShared, "contract"),
        ("grad_input", SharedState, "contract"),
    }


def test_an_exception_on_other_numbers_does_not_end_the_structure_lane() -> None:
    """The lane calls the op with other numbers too; an exception there is not a failure of the case."""

    def only_small(x: Any, t: Any) -> Any:
        if (t >= 2).any() or (t < 0).any():
            raise IndexError("class out of range")
        return ops.nll_loss(x, t, reduction="sum")

    report = parity.check("nll_loss", only_small, examples=10, lanes=["structure"], supports={"reduction": "sum"})
    assert all(type(failure.fact).__name__ in ("Raised", "EmptyRefused") for failure in report.failures)
