"""Referees more precise than float64: exact for sums of products, extended precision for functions."""

import random
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import torch

from parity.bounds import extended as extended_module
from parity.bounds.derived import BoundInputs
from parity.bounds.extended import extended, is_available
from parity.bounds.with_error import NoRule
from parity.cases.case import ArraySpec, Case
from parity.cases.primitives import draw_plainly
from parity.cases.torch_op import oracle
from parity.lanes import bound
from parity.lanes.precise import added, exact_results, precise_results, slices
from parity.lanes.reference import Expected, expect
from parity.rows.registry import ROWS
from parity.running.sandbox import sandboxed

LINEAR = [name for name, row in ROWS.items() if row.bilinear]


def double(name: str, generator: random.Random) -> Expected:
    while True:
        case, _ = draw_plainly(ROWS[name].strategy(lane="bound"), generator)
        if case.dtype == "float64":
            expected = expect(ROWS[name], case, "bound")
            if all(array.any() for array in expected.theirs.values()):
                return expected


def test_slices_add_up_exactly() -> None:
    x = np.random.default_rng(0).standard_normal(500) * 10.0 ** np.arange(-4, 6).repeat(50)
    parts = slices(x, 20)
    assert all(len(np.unique(np.abs(part))) > 1 for part in parts)
    assert [sum(Fraction(part[i]) for part in parts) for i in range(500)] == [Fraction(v) for v in x]


def test_the_rounding_error_of_an_addition_is_kept() -> None:
    total = added([np.array([1.0]), np.array([2.0**-60]), np.array([-1.0])])
    assert (total.high, total.low) == (0.0, 2.0**-60)


def test_the_exact_result_equals_that_of_fractions() -> None:
    generator = np.random.default_rng(0)
    x, w, b, dy = (generator.standard_normal(shape) for shape in ((3, 7), (5, 7), (5,), (3, 5)))
    values = {n: a.tolist() for n, a in {"input": x, "weight": w, "bias": b, "dy": dy}.items()}
    arrays = ArraySpec("input", (3, 7)), ArraySpec("weight", (5, 7)), ArraySpec("bias", (5,))
    expected = expect(ROWS["linear"], Case("linear", arrays, dtype="float64", values=values), "bound")
    found = exact_results(expected.like, expected.inputs, expected.dy)
    assert found is not None
    y = sum((Fraction(x[1, i]) * Fraction(w[2, i]) for i in range(7)), Fraction(b[2]))
    dw = sum(Fraction(dy[n, 4]) * Fraction(x[n, 6]) for n in range(3))
    for exact, place, value in ((found["output"], (1, 2), y), (found["grad_weight"], (4, 6), dw)):
        error = Fraction(exact.high[place]) + Fraction(exact.low[place]) - value
        assert abs(error) <= abs(value) * Fraction(2) ** -98


@pytest.mark.parametrize("name", LINEAR)
def test_both_sides_are_close_to_the_exact_result(name: str) -> None:
    generator = random.Random(0)
    for _ in range(8):
        expected = double(name, generator)
        found = exact_results(expected.like, expected.inputs, expected.dy)
        assert found is not None
        _, allowed = bound.referee_and_bounds(ROWS[name], expected.inputs, expected.dy, expected.theirs)
        for quantity, exact in found.items():
            assert exact.within(expected.theirs[quantity], allowed[quantity] / 2)


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("wrong", ["implementation", "oracle", "both"])
def test_the_exact_result_decides_who_is_wrong_in_float64(name: str, wrong: str) -> None:
    row, expected = ROWS[name], double(name, random.Random(1))
    right, sides = expected.theirs, {"implementation": [0], "oracle": [1], "both": [0, 1]}[wrong]
    for quantity in right:
        off: dict[str, Any] = right | {quantity: right[quantity] * (1 + 1e-9)}
        further: dict[str, Any] = right | {quantity: right[quantity] * (1 - 1e-9)}
        ours, theirs = (off if 0 in sides else right), (further if 1 in sides else right)
        _, found = bound.judge(row, expected.inputs, expected.dy, ours, theirs)
        assert [(d.quantity, d.wrong_side) for d in found] == [(quantity, wrong)]


EXTENDED = [
    "softmax", "log_softmax", "nll_loss", "cross_entropy", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss",
    "binary_cross_entropy_with_logits", "kl_div", "batch_norm", "layer_norm", "group_norm", "instance_norm",
    "sigmoid", "tanh", "silu", "softplus", "gelu", "SGD", "Adam", "RMSprop",
]  # fmt: skip
NEEDS_DIGITS = pytest.mark.skipif(not is_available(), reason="numpy.longdouble is float64 on this machine")


@NEEDS_DIGITS
@pytest.mark.parametrize("name", EXTENDED)
def test_the_error_of_extended_precision_is_far_below_the_bound(name: str) -> None:
    row, generator, decided = ROWS[name], random.Random(0), 0
    with sandboxed():
        for _ in range(5):
            expected = double(name, generator)
            found = precise_results(row, expected.like, expected.inputs, expected.dy)
            _, allowed = bound.referee_and_bounds(row, expected.inputs, expected.dy, expected.theirs)
            for quantity, precise in (found or {}).items():
                finite = np.isfinite(expected.theirs[quantity])
                assert precise.within(expected.theirs[quantity], allowed[quantity] / 2)
                # 1e-300: the bound of a tiny result may be the smallest number.
                assert (20 * precise.error <= allowed[quantity] + 1e-300)[finite].all()
                decided += 1
    assert decided >= 4


@NEEDS_DIGITS
@pytest.mark.parametrize("name", EXTENDED)
def test_extended_precision_decides_who_is_wrong_in_functions(name: str) -> None:
    row = ROWS[name]
    with sandboxed():
        expected = double(name, random.Random(3))
        right = expected.theirs
        off: dict[str, Any] = right | {"output": right["output"] * (1 + 1e-9) + 1e-9}
        _, found = bound.judge(row, expected.inputs, expected.dy, off, right)
        assert [(d.quantity, d.wrong_side) for d in found] == [("output", "implementation")]
        _, found = bound.judge(row, expected.inputs, expected.dy, right, off)
        assert [(d.quantity, d.wrong_side) for d in found] == [("output", "oracle")]


@NEEDS_DIGITS
def test_extended_functions_agree_with_mpmath() -> None:
    x = np.random.default_rng(0).standard_normal(6) * 3
    expected = of("softmax", {"input": x, "dy": np.ones(6)}, dim=-1)
    found = precise_results(ROWS["softmax"], expected.like, expected.inputs, expected.dy)
    assert found is not None
    with mpmath.workprec(200):
        exponentials = [mpmath.exp(mpmath.mpf(v)) for v in x]
        for place, e in enumerate(exponentials):
            p, y = e / sum(exponentials), found["output"]
            error = abs(mpmath.mpf(y.high[place]) + mpmath.mpf(y.low[place]) - p)
            assert error <= np.asarray(y.error)[place] <= p * 2**-55


@NEEDS_DIGITS
def test_the_normal_distribution_function_is_accurate_to_all_digits() -> None:
    expected = of("gelu", {"input": np.array([0.7, -5.5])}, approximate="none")
    found = precise_results(ROWS["gelu"], expected.like, expected.inputs, expected.dy)
    assert found is not None
    with mpmath.workprec(200):
        for place, v in enumerate([0.7, -5.5]):
            y = mpmath.mpf(v) * (1 + mpmath.erf(mpmath.mpf(v) * mpmath.mpf(2**-0.5))) / 2  # torch's constant
            error = abs(mpmath.mpf(found["output"].high[place]) + mpmath.mpf(found["output"].low[place]) - y)
            assert error <= np.asarray(found["output"].error)[place]


def test_a_comparison_that_rounding_may_decide_is_rejected() -> None:
    near = np.nextafter(1.0, 2.0)
    with pytest.raises(NoRule, match=r"rounding may decide|no more digits"):
        extended(
            BoundInputs(
                lambda x: torch.where(x * 0.1 > 0.1, x, -x), oracle(torch.relu), (np.array([near]),), {},
                np.ones(1), 2.0**-53, 0.0,
            )
        )  # fmt: skip


def test_an_operation_without_a_rule_stays_undecided() -> None:
    row, expected = ROWS["avg_pool2d"], double("avg_pool2d", random.Random(1))
    assert precise_results(row, expected.like, expected.inputs, expected.dy) is None
    off = expected.theirs | {"output": expected.theirs["output"] * (1 + 1e-9)}
    _, found = bound.judge(row, expected.inputs, expected.dy, off, expected.theirs)
    assert {d.wrong_side for d in found} == {"undecided"}


def test_without_digits_beyond_float64_it_stays_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extended_module, "LONG", np.float64)
    row, expected = ROWS["softmax"], double("softmax", random.Random(1))
    assert precise_results(row, expected.like, expected.inputs, expected.dy) is None


def of(name: str, values: dict[str, Any], **options: Any) -> Expected:
    arrays = ArraySpec("input", values["input"].shape)
    given = {key: value.tolist() for key, value in values.items()}
    return expect(ROWS[name], Case(name, (arrays,), options, dtype="float64", values=given), "bound")
