"""Correct formulas with a larger roundoff are not wrong; low precision, noise and wrong constants are."""

import math
from typing import Any

import numpy as np
import pytest

import parity
from numpy_cnn import ops
from parity.naming import roundoff

pytestmark = pytest.mark.usefixtures("named", "few")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try the least number of cases."""
    monkeypatch.setattr("parity.naming.roundoff.MOST", roundoff.LEAST)


def reduced(y: Any, x: Any, reduction: str) -> Any:
    found = y if reduction == "none" else y.sum() if reduction == "sum" else y.mean()
    return np.asarray(found).astype(x.dtype)


def mse(x: Any, t: Any, reduction: str, more: float = 0.0) -> Any:
    return reduced(x * x - 2 * x * t + t * t + x.dtype.type(more), x, reduction), ops.mse_loss(x, t, reduction)[1]


def check(implementation: Any, **how: Any) -> parity.Report:
    return parity.check("mse_loss", implementation, lanes=["bound"], **how)


def test_a_correct_formula_that_loses_digits() -> None:
    report = check(lambda x, t, reduction="mean": mse(x, t, reduction))
    (failure,) = report.failures
    assert (failure.verdict, failure.aspect, failure.explanation) == ("convention", "precision", "digits-lost")
    assert "in all 20 random cases tried" in failure.diagnosis
    assert check(lambda x, t, reduction="mean": mse(x, t, reduction), accept=["precision"]).ok


@pytest.mark.parametrize("more", [1e-12, 1e-7, 1e-3])
def test_a_wrong_constant_is_not_roundoff(more: float) -> None:
    report = check(lambda x, t, reduction="mean": mse(x, t, reduction, more))
    assert [failure.explanation for failure in report.failures] == [None]


@pytest.mark.parametrize("narrow", [np.float16, np.float32])
def test_a_lower_precision_inside_is_not_roundoff(narrow: Any) -> None:
    def loses(x: Any, t: Any, reduction: str = "mean") -> Any:
        d = (x - t).astype(narrow).astype(x.dtype)
        return reduced(d * d, x, reduction), ops.mse_loss(x, t, reduction)[1]

    assert [failure.verdict for failure in check(loses, dtype="float64").failures] == ["wrong"]


def test_noise_is_not_roundoff() -> None:
    generator = np.random.default_rng(0)

    def noisy(x: Any, t: Any, reduction: str = "mean") -> Any:
        y, pullback = ops.mse_loss(x, t, reduction)
        return (y * (1 + 1e-4 * generator.standard_normal(y.shape))).astype(x.dtype), pullback

    assert [failure.verdict for failure in check(noisy).failures] == ["wrong"]


def gelu(x: Any, approximate: str = "none", more: float = 0.0) -> Any:
    """By formula 7.1.26 of Abramowitz and Stegun, whose error is below 1.5e-7."""
    if approximate == "tanh":
        raise NotImplementedError
    a = np.abs(x) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * a)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    phi = (1 + np.sign(x) * (1 - series * np.exp(-a * a)) + more) / 2
    slope = phi + x * np.exp(-a * a) / math.sqrt(2 * math.pi)
    return (x * phi).astype(x.dtype), lambda dy: ((dy * slope).astype(x.dtype),)


def test_an_approximation_of_single_precision() -> None:
    report = parity.check("gelu", gelu, lanes=["bound"])
    notes = [note for note in report.notes if not isinstance(note, str)]
    assert report.ok
    assert {(note.quantity, note.aspect, note.explanation, note.case.dtype) for note in notes} == {
        (quantity, "precision", "single-accuracy", "float64") for quantity in ("output", "grad_input")
    }


def test_a_worse_approximation_is_wrong() -> None:
    report = parity.check("gelu", lambda x, approximate="none": gelu(x, approximate, 1e-5), lanes=["bound"])
    assert {failure.verdict for failure in report.failures} == {"wrong"}


def test_a_cache_that_is_found_by_the_shape_is_not_roundoff() -> None:
    seen: dict[Any, Any] = {}

    def elu(x: Any, alpha: float = 1.0) -> Any:
        key = x.shape
        if key not in seen or seen[key].dtype != x.dtype:  # so that the same numbers agree when called again
            seen[key] = x
        return ops.elu(seen[key], alpha)[0], ops.elu(x, alpha)[1]

    failures = parity.check("elu", elu, lanes=["bound"]).failures
    assert failures
    assert not any(failure.explanation for failure in failures)
