"""The bounds: wide enough for rounding, too narrow for a mistake."""

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import parity
from numpy_cnn import ops
from parity.bounds.derived import FUNCTION_ERROR, SQRT_ERROR, gamma
from parity.bounds.running import WithError
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
def test_functions_keep_to_the_stated_error(function: str) -> None:
    generator = np.random.default_rng(0)
    x = (-80 * generator.random(200_000) if function == "exp" else 1 + 1000 * generator.random(200_000)).astype(
        np.float32
    )
    exact = getattr(np, function)(x.astype(np.float64))
    error = np.abs(getattr(np, function)(x) - exact) / np.abs(exact) / U
    assert error.max() <= FUNCTION_ERROR
    assert error.max() > 1, "were it rounded correctly, no allowance would be needed"


def test_square_root_keeps_to_the_stated_error() -> None:
    import torch

    x = (1000 * np.random.default_rng(0).random(200_000)).astype(np.float32)
    exact = np.sqrt(x.astype(np.float64))
    for root in (np.sqrt(x), torch.from_numpy(x).sqrt().numpy()):
        assert (np.abs(root - exact) / exact / U).max() <= SQRT_ERROR


@settings(max_examples=200)
@given(st.lists(st.sampled_from("+-*/"), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_running_error_bounds_single_precision(operations: list[str], seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.standard_normal(len(operations) + 1).astype(np.float32)
    single = values[0]
    tracked = WithError.exact(np.asarray(float(values[0])), U)
    for sign, value in zip(operations, values[1:], strict=True):
        other = WithError.exact(np.asarray(float(value)), U)
        with np.errstate(all="ignore"):
            match sign:
                case "+":
                    single, tracked = single + value, tracked + other
                case "-":
                    single, tracked = single - value, tracked - other
                case "*":
                    single, tracked = single * value, tracked * other
                case "/":
                    single, tracked = single / value, tracked / other
    assert abs(float(single) - float(tracked.value)) <= float(tracked.error)
    # … and not by being idle: some operations on numbers of order 1 do not lose half of the digits.
    if math.isfinite(float(tracked.error)) and "-" not in operations and "+" not in operations:
        assert float(tracked.error) <= 100 * len(operations) * U * abs(float(tracked.value))


SLIGHT = 3e-5  # a relative mistake of this size lies far above roundoff and far below any tolerance in use


def slightly_off(op: Any, place: int | None) -> Any:
    """The op with its output (None) or one gradient off by a factor 1 + 3e-5."""

    def wrong(*arrays: Any, **options: Any) -> Any:
        y, pullback = op(*arrays, **options)
        factor = y.dtype.type(1 + SLIGHT)

        def wrong_pullback(dy: Any) -> Any:
            gradients = enumerate(pullback(dy))
            return tuple(g * factor if i == place and g is not None else g for i, g in gradients)

        return (y * factor if place is None else y), None if pullback is None else wrong_pullback

    return wrong


def _quantities() -> list[tuple[str, int | None, str]]:
    gradients: dict[str, Iterable[int]] = {
        "conv2d": range(3), "linear": range(3), "batch_norm": (0, 3, 4), "mse_loss": range(2),
        "SimpleCNN": range(5), "SGD": (), "Adam": (), "AdamW": (),
    }  # fmt: skip
    return [
        (name, place, "output" if place is None else f"gradient {place}")
        for name in ROWS
        for place in [None, *gradients.get(name, (0,))]
    ]


@pytest.mark.parametrize(("name", "place", "told"), _quantities())
def test_a_relative_mistake_of_3e5_does_not_hide_in_single_precision(
    name: str, place: int | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parity.running.classify.explain", lambda *_: None)  # only whether it is found
    report = parity.check(name, slightly_off(ROWS[name].op, place), examples=60, lanes=["bound"], dtype="float32")
    assert {failure.aspect for failure in report.failures} == {"values"}, (
        f"{told} of {name} may be wrong by {SLIGHT} and nobody sees it"
    )


def test_float32_inside_float64_does_not_hide() -> None:
    def single(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
        y, pullback = ops.conv2d(*(None if a is None else a.astype(np.float32) for a in (x, w, b)), **options)
        return y.astype(x.dtype), lambda dy: tuple(None if g is None else g.astype(x.dtype) for g in pullback(dy))

    report = parity.check("conv2d", single, examples=60, lanes=["bound"])
    assert {failure.quantity for failure in report.failures} == {
        "output",
        "grad_input",
        "grad_weight",
        "grad_bias",
    }
    assert {failure.case.dtype for failure in report.failures} == {"float64"}
