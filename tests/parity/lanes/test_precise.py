"""The referee without rounding errors: exact on real numbers, and the one that decides who is wrong in float64."""

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from numpy_cnn import ops
from parity.cases.case import ArraySpec, Case
from parity.cases.primitives import draw_plainly
from parity.lanes import bound
from parity.lanes.precise import added, exact_results, slices
from parity.lanes.reference import Expected, expect
from parity.rows.registry import ROWS

LINEAR = [name for name, row in ROWS.items() if row.bilinear]


def double(name: str, generator: random.Random) -> Expected:
    while True:
        case, _ = draw_plainly(ROWS[name].strategy(lane="bound"), generator)
        if case.dtype == "float64":
            expected = expect(ROWS[name], case, "bound")
            if all(array.any() for array in expected.theirs.values()):
                return expected


def test_slices_lose_nothing() -> None:
    x = np.random.default_rng(0).standard_normal(500) * 10.0 ** np.arange(-4, 6).repeat(50)
    parts = slices(x, 20)
    assert all(len(np.unique(np.abs(part))) > 1 for part in parts)
    assert [sum(Fraction(part[i]) for part in parts) for i in range(500)] == [Fraction(v) for v in x]


def test_what_an_addition_rounds_off_is_kept() -> None:
    total = added([np.array([1.0]), np.array([2.0**-60]), np.array([-1.0])])
    assert (total.high, total.low) == (0.0, 2.0**-60)


def test_the_result_is_that_of_fractions() -> None:
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
def test_both_sides_are_near_it(name: str) -> None:
    generator = random.Random(0)
    for _ in range(8):
        expected = double(name, generator)
        found = exact_results(expected.like, expected.inputs, expected.dy)
        assert found is not None
        _, allowed = bound.referee_and_bounds(ROWS[name], expected.inputs, expected.dy, expected.theirs)
        for quantity, exact in found.items():
            assert (exact.distance(expected.theirs[quantity]) <= allowed[quantity] / 2).all()


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("wrong", ["implementation", "oracle", "both"])
def test_it_decides_who_is_wrong_in_float64(name: str, wrong: str) -> None:
    row, expected = ROWS[name], double(name, random.Random(1))
    right, sides = expected.theirs, {"implementation": [0], "oracle": [1], "both": [0, 1]}[wrong]
    for quantity in right:
        off: dict[str, Any] = right | {quantity: right[quantity] * (1 + 1e-9)}
        further: dict[str, Any] = right | {quantity: right[quantity] * (1 - 1e-9)}
        ours, theirs = (off if 0 in sides else right), (further if 1 in sides else right)
        _, found = bound.judge(row, expected.inputs, expected.dy, ours, theirs)
        assert [(d.quantity, d.wrong_side) for d in found] == [(quantity, wrong)]


def test_elsewhere_it_stays_undecided() -> None:
    row, expected = ROWS["softmax"], double("softmax", random.Random(1))
    off = expected.theirs | {"output": expected.theirs["output"] * (1 + 1e-9)}
    _, found = bound.judge(row, expected.inputs, expected.dy, off, expected.theirs)
    assert {d.wrong_side for d in found} == {"undecided"}
    assert row.op is ops.softmax
