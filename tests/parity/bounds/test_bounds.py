"""The bounds are wide enough for rounding and too narrow for a mistake."""

import random
import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import parity
from parity.bounds.derived import FUNCTION_ERROR, SQRT_ERROR, gamma
from parity.cases.primitives import draw_plainly
from parity.lanes import bound
from parity.lanes.reference import expect
from parity.rows.registry import ROWS

U = 2.0**-24


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_gamma_bounds_a_dot_product_in_any_order(n: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    x, w = generator.standard_normal((2, n)).astype(np.float32)
    exact = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(x, w, strict=True))
    size = sum(abs(Fraction(float(a)) * Fraction(float(b))) for a, b in zip(x, w, strict=True))
    for order in (range(n), reversed(range(n)), generator.permutation(n)):
        total = np.float32(0)
        for i in order:
            total = np.float32(total + np.float32(x[i] * w[i]))
        assert abs(Fraction(float(total)) - exact) <= Fraction(gamma(n, U)) * size


@pytest.mark.parametrize("function", ["exp", "log"])
def test_functions_have_at_most_the_stated_error(function: str) -> None:
    generator = np.random.default_rng(0)
    x = (-80 * generator.random(200_000) if function == "exp" else 1 + 1000 * generator.random(200_000)).astype(
        np.float32
    )
    exact = getattr(np, function)(x.astype(np.float64))
    error = np.abs(getattr(np, function)(x) - exact) / np.abs(exact) / U
    assert error.max() <= FUNCTION_ERROR
    assert error.max() > 1, "correctly rounded functions need no allowance"


def test_square_roots_have_at_most_the_stated_error() -> None:
    import torch

    x = (1000 * np.random.default_rng(0).random(200_000)).astype(np.float32)
    exact = np.sqrt(x.astype(np.float64))
    for root in (np.sqrt(x), torch.from_numpy(x).sqrt().numpy()):
        assert (np.abs(root - exact) / exact / U).max() <= SQRT_ERROR


SLIGHT = 3e-5  # far above roundoff and far below common tolerances


@pytest.mark.parametrize("name", ROWS)
def test_a_relative_mistake_of_3e5_is_found_in_single_precision_in_every_quantity(name: str) -> None:
    row, generator = ROWS[name], random.Random(name)
    compared: set[str] = set()
    found: set[str] = set()
    cases = 0
    while not compared or compared - found:
        case = replace(draw_plainly(row.strategy(lane="bound"), generator)[0], dtype="float32")
        expected = expect(row, case, "bound")
        slightly_off = {n: a * a.dtype.type(1 + SLIGHT) for n, a in expected.theirs.items()}
        fractions, _ = bound.judge(row, expected.inputs, expected.dy, slightly_off, expected.theirs)
        # The quantities of a network contain the number of the layer: conv2 and conv4 count as one.
        compared |= {re.sub(r"\d+", "", name) for name in fractions}
        found |= {re.sub(r"\d+", "", name) for name, fraction in fractions.items() if fraction > 1}
        cases += 1
        assert cases <= 60, f"{name}: no case reports a relative error of {SLIGHT} in {compared - found}"


def test_float32_inside_float64_is_found() -> None:
    row, generator, found, cases = ROWS["conv2d"], random.Random(0), set[str](), 0
    while found != {"output", "grad_input", "grad_weight", "grad_bias"}:
        case = replace(draw_plainly(row.strategy(lane="bound"), generator)[0], dtype="float64")
        expected = expect(row, case, "bound")
        single = {n: a.astype(np.float32).astype(np.float64) for n, a in expected.theirs.items()}
        fractions, _ = bound.judge(row, expected.inputs, expected.dy, single, expected.theirs)
        found |= {n for n, fraction in fractions.items() if fraction > 1}
        cases += 1
        assert cases <= 20, f"found only in {found}"


def test_a_sigmoid_by_tanh_is_within_the_bound() -> None:
    def by_tanh(x: Any) -> Any:
        y = (0.5 * (1 + np.tanh(0.5 * x))).astype(x.dtype)
        return y, lambda dy: (dy * y * (1 - y),)

    report = parity.check("sigmoid", by_tanh, examples=100)
    assert report.ok, report
