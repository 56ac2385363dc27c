"""Verdicts are reported separately, and so are declined, slow and endless calls."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import parity
from numpy_cnn import ops
from parity.__main__ import main
from parity.cases.case import ArraySpec, Case
from parity.cases.restrict import fits, narrow
from parity.lanes.comparison import Mismatch
from parity.lanes.facts import (
    ArgumentOverwritten,
    Difference,
    EmptyRefused,
    GradientAccumulates,
    LayoutRefused,
    NonDeterministic,
    ValuesDiffer,
)
from parity.lanes.reference import expect
from parity.naming import Observation, explain
from parity.report import Failure
from parity.rows.registry import ROWS
from parity.running.classify import classified
from parity.running.sandbox import sandboxed
from parity.subjects import adapt

pytestmark = pytest.mark.usefixtures("named")

EXAMPLES = 50


def by_quantity(name: str, implementation: Any, **how: Any) -> dict[str, Failure]:
    report = parity.check(name, implementation, examples=EXAMPLES, **how)
    return {f"{failure.quantity} {failure.aspect}": failure for failure in (*report.failures, *report.notes)}


def in_double(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
    wide = [None if a is None else a.astype(np.float64) for a in (x, w, b)]
    y, pullback = ops.conv2d(*wide, **options)
    return y, lambda dy: pullback(dy.astype(np.float64))


def in_double_and_negated(*arrays: Any, **options: Any) -> Any:
    y, pullback = in_double(*arrays, **options)

    def back(dy: Any) -> Any:
        dx, dw, db = pullback(dy)
        return dx, -dw, db

    return y, back


# ---- contract and purity


@pytest.mark.usefixtures("as_found")
def test_a_changed_dtype_breaks_the_contract_and_hides_no_wrong_value() -> None:
    found = by_quantity("conv2d", in_double, lanes=["exact"])
    assert {(f.verdict, f.aspect) for f in found.values()} == {("contract", "dtype")}
    found = by_quantity("conv2d", in_double_and_negated, accept=["dtype"])
    assert {(key, f.verdict) for key, f in found.items()} == {("grad_weight values", "wrong")}


def relu_that_writes(x: Any) -> Any:
    mask = x > 0
    x[~mask] = 0
    return x.copy(), lambda dy: (np.where(mask, dy, 0),)


def relu_that_writes_to_dy(x: Any) -> Any:
    mask = x > 0

    def back(dy: Any) -> Any:
        dy[~mask] = 0
        return (dy,)

    return np.maximum(x, 0), back


def relu_of_contiguous(x: Any) -> Any:
    if not x.flags.c_contiguous:
        raise ValueError("contiguous arrays, please")
    return np.maximum(x, 0), lambda dy: (np.where(x > 0, dy, 0),)


def relu_of_something(x: Any) -> Any:
    y = np.maximum(x, 0)
    y.max()
    return y, lambda dy: (np.where(x > 0, dy, 0),)


class ReluThatAccumulates:
    def forward(self, x: Any) -> Any:
        self.mask, self.dx = x > 0, np.zeros_like(x)
        return np.maximum(x, 0)

    def backward(self, dy: Any) -> Any:
        self.dx += np.where(self.mask, dy, 0)
        return self.dx.copy()


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize(
    ("implementation", "verdict", "aspect", "fact"),
    [
        (relu_that_writes, "wrong", "purity", ArgumentOverwritten("input", "forward")),
        (relu_that_writes_to_dy, "wrong", "purity", ArgumentOverwritten("dy", "pullback")),
        (relu_of_contiguous, "contract", "layout", LayoutRefused),
        (relu_of_something, "contract", "empty", EmptyRefused),
        (ReluThatAccumulates, "wrong", "purity", GradientAccumulates(3)),
    ],
)
def test_broken_contracts(implementation: Any, verdict: str, aspect: str, fact: Any) -> None:
    report = parity.check("relu", implementation, examples=EXAMPLES, lanes=["exact", "bound", "structure"])
    found = [*report.failures, *report.notes]
    worst = report.failures or [f for f in report.notes if f.aspect != "layout" or aspect == "layout"]
    assert {(f.verdict, f.aspect) for f in worst} == {(verdict, aspect)}, f"\n{report}"
    assert report.ok == (verdict == "contract")
    assert any(f.fact == fact or (isinstance(fact, type) and isinstance(f.fact, fact)) for f in found)
    assert all("test_classify.py" in (f.place or "") for f in found)


# ---- conventions


def batch_mean(x: Any, w: Any, b: Any = None) -> Any:
    y, pullback = ops.linear(x, w, b)
    n = np.asarray(max(len(x), 1), x.dtype) if x.ndim else 1

    def back(dy: Any) -> Any:
        dx, dw, db = pullback(dy)
        return dx, dw / n, None if db is None else db / n

    return y, back


def scaled_mse(factor: Any) -> Any:
    def loss(x: Any, t: Any) -> Any:
        y, pullback = ops.mse_loss(x, t, "mean")
        c = x.dtype.type(factor(x))
        return y * c, lambda dy: tuple(g * c for g in pullback(dy))

    return loss


def softmax_that_passes(x: Any, dim: int) -> Any:
    return ops.softmax(x, dim)[0], lambda dy: (dy.copy(),)


@pytest.mark.parametrize(
    ("name", "implementation", "convention", "quantities"),
    [
        ("linear", batch_mean, "rows-mean", {"grad_weight", "grad_bias"}),
        ("softmax", softmax_that_passes, "softmax-passes-dy", {"grad_input"}),
        (
            "mse_loss",
            scaled_mse(lambda x: x.size / len(x)),
            "feature-sum",
            {"output", "grad_input", "grad_target"},
        ),
        ("mse_loss", scaled_mse(lambda x: 0.5), "half", {"output", "grad_input", "grad_target"}),
    ],
)
def test_conventions_are_named_and_accepted(
    name: str, implementation: Any, convention: str, quantities: set[str]
) -> None:
    lanes: Any = [lane for lane in ROWS[name].lanes if lane in ("exact", "bound")]
    how = {"examples": EXAMPLES, "lanes": lanes, "supports": {"rank": 2}}
    report = parity.check(name, implementation, **how)
    assert {(f.quantity, f.verdict, f.convention) for f in report.failures} == {
        (q, "convention", convention) for q in quantities
    }, f"\n{report}"
    assert not report.ok
    assert all("a convention: " in f.diagnosis for f in report.failures)
    accepted = parity.check(name, implementation, accept=[convention], **how)
    assert accepted.ok
    assert {f.quantity for f in accepted.rows[0].accepted} == quantities


def test_a_factor_in_one_gradient_only_is_wrong() -> None:
    def only_the_weight(x: Any, w: Any, b: Any = None) -> Any:
        y, pullback = batch_mean(x, w, b)
        _, right = ops.linear(x, w, b)
        return y, lambda dy: (*pullback(dy)[:2], right(dy)[2])

    def only_the_gradient(x: Any, t: Any) -> Any:
        y, pullback = ops.mse_loss(x, t, "mean")
        return y, lambda dy: tuple(g * x.dtype.type(x.size) for g in pullback(dy))

    for name, implementation, explanation in (
        ("linear", only_the_weight, "rows-mean"),
        ("mse_loss", only_the_gradient, "sum"),
    ):
        how: Any = {"examples": EXAMPLES, "lanes": ["exact"], "supports": {"rank": 2}}
        failures = parity.check(name, implementation, accept=[explanation], **how).failures
        assert {f.verdict for f in failures} == {"wrong"}
        assert {f.explanation for f in failures} == {explanation}


@pytest.mark.parametrize("factor", [0.75, -1.0, 3.0])
def test_a_wrong_factor_is_not_a_convention(factor: float) -> None:
    found = by_quantity("mse_loss", scaled_mse(lambda x: factor), supports={"rank": 2}, lanes=["exact"])
    assert {f.verdict for f in found.values()} == {"wrong"}


def test_unknown_names_are_rejected() -> None:
    with pytest.raises(ValueError, match="'batchmean'; did you mean batch-mean"):
        parity.check("relu", accept=["batchmean"])
    with pytest.raises(ValueError, match="no 'stryde'; it has"):
        parity.check("conv2d", supports={"stryde": 1})


# ---- ties


def pool_that_shares(x: Any, kernel_size: Any, stride: Any = None) -> Any:
    """Each maximum of a window receives its whole gradient."""
    y, _ = ops.max_pool2d(x, kernel_size, stride)
    k = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,) * 2
    s = k if stride is None else stride if isinstance(stride, tuple) else (stride, stride)

    def back(dy: Any) -> Any:
        dx = np.zeros_like(x)
        for i, j in np.ndindex(y.shape[2:]):
            rows, columns = slice(i * s[0], i * s[0] + k[0]), slice(j * s[1], j * s[1] + k[1])
            window = x[:, :, rows, columns]
            dx[:, :, rows, columns] += (window == y[:, :, i, j, None, None]) * dy[:, :, i, j, None, None]
        return (dx,)

    return y, back


def test_autograds_choice_at_a_kink_is_a_note_and_hides_no_bug() -> None:
    def slope_at_zero(factor: float) -> Any:
        return lambda x, negative_slope=0.01: torch.where(x >= 0, x, factor * negative_slope * x)

    right = parity.check("leaky_relu", slope_at_zero(1), examples=EXAMPLES)
    assert right.ok, f"\n{right}"
    assert [n.verdict for n in right.notes if (n.quantity, n.aspect) == ("grad_input", "ties")] == ["special"]
    assert not parity.check("leaky_relu", slope_at_zero(1), examples=EXAMPLES, strict=True).ok

    wrong = parity.check("leaky_relu", slope_at_zero(2), examples=EXAMPLES)
    assert {f.quantity for f in wrong.failures} == {"output", "grad_input"}


@pytest.mark.usefixtures("unexplained")
def test_a_rule_for_ties_is_reported_separately_and_hides_no_bug() -> None:
    lanes = ["exact", "bound", "structure"]
    found = by_quantity("relu", lambda x: (np.maximum(x, 0), lambda dy: (np.where(x >= 0, dy, 0),)), lanes=lanes)
    assert [*found] == ["grad_input ties"], found
    assert "this geometry agrees on distinct nonzero values" in found["grad_input ties"].diagnosis

    supports = {"padding": 0, "dilation": 1, "ceil_mode": False}
    found = by_quantity("max_pool2d", pool_that_shares, supports=supports, lanes=lanes)
    assert [*found] == ["grad_input ties"], found

    def wrong_too(x: Any, kernel_size: Any, stride: Any = None) -> Any:
        y, pullback = pool_that_shares(x, kernel_size, stride)
        return y, lambda dy: (pullback(dy)[0] * (1 if x.shape[1] == 1 else 2),)

    found = by_quantity("max_pool2d", wrong_too, supports=supports, lanes=["exact"])
    assert "grad_input values" in found, found


# ---- names


def test_an_explanation_must_hold_for_the_reported_case() -> None:
    with sandboxed():
        row = ROWS["conv2d"]
        observation = Observation(row, adapt(flipped), "exact")
        assert getattr(explain(observation, "grad_weight"), "name", None) == "kernel-flipped"
        arrays = (ArraySpec("input", (1, 1, 3, 3)), ArraySpec("weight", (1, 1, 2, 2)), ArraySpec("bias", None))
        options = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        case = Case("conv2d", arrays, options, seed=3)
        assert explain(observation, "grad_weight", case, "exact") is not None
        reported = expect(row, case, "exact").inputs.arrays[0]

        def other(x: Any, *rest: Any, **options: Any) -> Any:
            y, pullback = flipped(x, *rest, **options)
            more = float(np.array_equal(x, reported))
            return y, lambda dy: tuple(None if g is None else g + g.dtype.type(more) for g in pullback(dy))

        assert explain(Observation(row, adapt(other), "exact"), "grad_weight", case, "exact") is None
        assert observation.entry(case, "exact", "output") is None  # this implementation is right


def flipped(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
    y, pullback = ops.conv2d(x, w, b, **options)

    def back(dy: Any) -> Any:
        dx, dw, db = pullback(dy)
        return dx, dw[:, :, ::-1, ::-1], db

    return y, back


def test_an_exception_has_no_explanation() -> None:
    def raises_for_batches(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
        if x.shape[0] > 1:
            raise IndexError("one image at a time")
        return flipped(x, w, b, **options)

    failures = parity.check("conv2d", raises_for_batches, examples=EXAMPLES, lanes=["exact"]).failures
    by_quantity = {f.quantity: (type(f.fact).__name__, f.explanation) for f in failures}
    assert by_quantity["output"] == ("Raised", None)
    assert by_quantity["grad_weight"] == ("ValuesDiffer", "kernel-flipped")


# ---- declining


def test_declined_cases_are_counted_separately() -> None:
    def of_even_sizes(x: Any) -> Any:
        if x.size % 2:  # cannot be expressed as a restriction
            raise NotImplementedError("an odd number of entries")
        return ops.relu(x)

    report = parity.check("relu", of_even_sizes, examples=EXAMPLES)
    assert report.ok, f"\n{report}"
    assert min(report.rows[0].declined.values()) > 0
    assert min(report.rows[0].lanes.values()) >= EXAMPLES


def test_a_row_without_a_case_is_not_checked() -> None:
    def nothing(x: Any) -> Any:
        raise NotImplementedError("not yet")

    report = parity.check("relu", nothing, examples=10, lanes=["exact", "bound"])
    assert not report.ok
    assert report.rows[0].verdict == "not checked"
    assert report.failures == []
    assert "declined all" in report.rows[0].notes[-1]
    assert "not yet" in report.rows[0].notes[-1]
    report = parity.check("relu", supports=lambda case: False, examples=10, lanes=["exact"])
    assert not report.ok
    assert report.rows[0].verdict == "not checked"
    assert "fits supports=" in report.rows[0].notes[-1]


WANTED: list[tuple[str, dict[str, Any]]] = [
    ("conv2d", {"groups": 1, "stride": 1, "padding": 0, "dilation": 1, "square": True}),
    ("conv2d", {"pairs": False, "bias": True}),
    ("conv2d", {"input": (1, 28, 28), "batch": 1}),
    ("conv2d", {"kernel_size": 3, "padding": {0, 1}}),
    ("max_pool2d", {"kernel_size": 2, "stride": None, "square": True}),
    ("linear", {"rank": 2, "bias": False, "batch": 3}),
    ("cross_entropy", {"rank": 2, "weight": None, "reduction": "mean"}),
    ("mse_loss", {"rank": 2, "upstream": 1, "reduction": "sum"}),
]


@given(st.sampled_from(WANTED), st.sampled_from(["bound", "structure"]), st.data())
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_narrowed_cases_fit_the_restriction_and_are_accepted_by_torch(
    wanted: tuple[str, dict[str, Any]], lane: Any, data: st.DataObject
) -> None:
    name, supports = wanted
    case: Case = data.draw(narrow(ROWS[name].strategy(lane=lane), supports))
    assert fits(case, supports)
    theirs = expect(ROWS[name], case, lane).theirs
    shapes = {spec.name: spec.shape for spec in case.arrays}
    if supports.get("square"):
        assert theirs["output"].shape[2] == theirs["output"].shape[3]
    if "bias" in supports:
        assert (shapes["bias"] is not None) == supports["bias"]
    if "input" in supports:
        assert shapes["input"] == (1, 1, 28, 28)


# ---- time, and other trouble


def test_an_endless_loop_is_stopped_and_located() -> None:
    def endless(x: Any) -> Any:
        while True:
            with suppress(Exception):  # an implementation that catches every exception
                time.sleep(0.01)

    report = parity.check("relu", endless, examples=20, timeout=0.2)  # without a limit it would not end
    (failure,) = report.failures
    assert failure.aspect == "time"
    assert "did not finish within 0.2 s (test_classify.py:" in failure.diagnosis
    assert any("stopped at the time limit" in note for note in report.rows[0].notes)


def test_a_slow_implementation_gets_fewer_cases_and_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parity.running.lane.SECONDS", 0.1)
    monkeypatch.setattr("parity.running.lane.SECONDS_A_CASE", 0.0)

    def slow(x: Any) -> Any:
        until = time.process_time() + 0.02
        while time.process_time() < until:
            pass
        return ops.relu(x)

    report = parity.check("relu", slow, examples=100, lanes=["exact", "bound"])
    assert report.ok, f"\n{report}"
    assert 1 <= report.rows[0].lanes["exact"] < 30
    assert any("slow: " in note for note in report.rows[0].notes)


def test_a_non_deterministic_result_is_reported() -> None:
    generator = np.random.default_rng()
    report = parity.check("relu", lambda x: (x + generator.random(), None), examples=20, lanes=["exact"])
    assert not report.ok


TROUBLE = """
import sys, time
import numpy as np

def raises(x):
    raise KeyError("lost")

def leaves(x):
    sys.exit(3)

def lists(x):
    return [x], None

def one_too_many(x):
    print("hello")
    return np.maximum(x, 0), lambda dy: (dy, dy)

def endless(x):
    while True:
        time.sleep(0.01)

def forward(x):
    return np.where(x <= 0, 0 * x, x), x

def backward(dout, cache):
    return np.where(cache <= 0, 0, dout)

class Asks:
    def __init__(self, mystery): pass
    def forward(self, x): return x
    def backward(self, dy): return dy
"""


@pytest.fixture
def trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trouble.py").write_text(TROUBLE)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raises", "the forward raised KeyError: 'lost' (trouble.py:6)"),
        ("leaves", "the forward raised SystemExit: 3 (trouble.py:9)"),
        ("lists", "returned a list as the output, expected a NumPy array (trouble.py:11)"),
        ("one_too_many", "the pullback returned 2 gradients for 1 array (trouble.py:14)"),
        ("endless", "did not finish within 0.3 s (trouble.py:20)"),
    ],
)
def test_an_exception_gives_one_line_with_its_location(
    name: str, words: str, trouble: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = "0.3" if name == "endless" else "60"
    assert main(["check", "relu", "--impl", f"trouble.py:{name}", "--examples", "5", "--timeout", limit]) == 1
    out, err = capsys.readouterr()
    assert words in out
    assert "hello\n" not in out
    assert "Traceback" not in out + err


def test_flags_of_the_command(trouble: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = ["check", "relu", "--impl", "trouble.py:forward,backward", "--examples", "10"]
    assert main([*pair, "--accept", "special"]) == 0
    assert main([*pair, "--supports", "rank=2", "batch=1", "--accept", "dtype", "special"]) == 0
    for arguments, words in (
        ([*pair, "--supports", "rank"], "expected NAME=VALUE"),
        ([*pair, "--supports", "stride=1"], "relu has no 'stride'"),
        ([*pair, "--accept", "everything"], "there is no 'everything'"),
        ([*pair, "--timeout", "0"], "must be more than 0"),
        (["check", "relu", "--impl", "trouble.py:Asks"], "'mystery'"),
        (["check", "relu", "--impl", "trouble.py:a,b,c"], "FORWARD,BACKWARD"),
    ):
        assert main(arguments) == 2
        assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_loss_narrowed_to_its_mean_stays_exact() -> None:
    def mse(x: Any, target: Any) -> Any:
        error = x - target
        return np.asarray(np.mean(error**2, dtype=x.dtype)), lambda dy: (
            dy * (2 / error.size) * error,  # divides in another order, which is inexact for a size of 3
            -dy * (2 / error.size) * error,
        )

    report = parity.check(
        "mse_loss", mse, examples=200, lanes=["exact"], supports={"reduction": "mean"}, accept=["dtype"]
    )
    assert report.ok, f"\n{report}"


def hardswish_with(slope_at_3: float) -> Any:
    def hardswish(x: Any) -> Any:
        y, pullback = ops.hardswish(x)
        return y, lambda dy: (np.where(x == 3, dy * dy.dtype.type(slope_at_3), pullback(dy)[0]),)

    return hardswish


@pytest.mark.parametrize(("slope", "verdict"), [(1.5, "convention"), (1.25, "convention"), (0.5, "wrong")])
def test_a_slope_between_those_beside_a_kink_is_a_convention(slope: float, verdict: str) -> None:
    found = by_quantity("hardswish", hardswish_with(slope), lanes=["structure"])
    assert {f.verdict for f in found.values() if f.quantity == "grad_input"} == {verdict}


def test_a_result_that_changes_from_call_to_call_is_no_choice_at_ties() -> None:
    arrays = ArraySpec("input", (1, 1, 1, 1)), ArraySpec("weight", (1, 1, 1, 1)), ArraySpec("bias", None)
    case = Case("conv2d", arrays, {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}, seed=1)
    values = ValuesDiffer(1, 1, (0,), 1.0, 2.0)
    found = Mismatch("exact", case, [Difference("grad_weight", NonDeterministic(values))])
    (difference,) = classified(ROWS["conv2d"], adapt(ops.conv2d), found, None).differences
    assert difference.verdict == "wrong"
