"""Checks without a registered row: any torch function as the oracle, and finite differences."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import parity

EXAMPLES = 40


def gelu(x: Any) -> Any:
    normal = (0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))).astype(x.dtype)
    density = (np.exp(-x * x / 2) / math.sqrt(2 * math.pi)).astype(x.dtype)
    return x * normal, lambda dy: (dy * (normal + x * density),)


def gelu_by_tanh(x: Any) -> Any:
    """gelu by its tanh approximation, which differs by 3e-4."""
    c = math.sqrt(2 / math.pi)
    t = np.tanh(c * (x + 0.044715 * x**3)).astype(x.dtype)
    slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)
    return 0.5 * x * (1 + t), lambda dy: ((dy * slope).astype(x.dtype),)


def matmul(a: Any, b: Any) -> Any:
    return np.einsum("ij,jk->ik", a, b), lambda dy: (dy @ b.T, a.T @ dy)


def layer_norm(x: Any, weight: Any, bias: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True, dtype=x.dtype)
    scale = 1 / np.sqrt((centred**2).mean(-1, keepdims=True, dtype=x.dtype) + x.dtype.type(1e-5))
    h = centred * scale

    def pullback(dy: Any) -> Any:
        g = dy * weight
        dx = scale * (g - g.mean(-1, keepdims=True) - h * (g * h).mean(-1, keepdims=True))
        return dx, (dy * h).sum(0), dy.sum(0)

    return h * weight + bias, pullback


def torch_layer_norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], weight, bias)


def logsumexp(x: Any, dim: int) -> Any:
    largest = x.max(axis=dim, keepdims=True)
    e = np.exp(x - largest)
    total = e.sum(axis=dim, keepdims=True)
    return (np.log(total) + largest).squeeze(dim), lambda dy: (np.expand_dims(dy, dim) * e / total,)


LIKE: dict[str, tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]] = {
    "gelu": (gelu, F.gelu, {}),
    "matmul": (matmul, torch.matmul, {"shapes": "n k, k m"}),
    "layer_norm": (layer_norm, torch_layer_norm, {"shapes": [("n", "c"), ("c",), "c"]}),
    "logsumexp": (
        logsumexp,
        lambda x, dim: torch.logsumexp(x, dim),
        {"shapes": [(3, "n")], "options": {"dim": st.sampled_from([0, 1])}},
    ),
    "square": (lambda x: (x * x, lambda dy: (2 * x * dy,)), torch.square, {"strategy": st.just([(2, 3)])}),
}  # fmt: skip


@pytest.mark.parametrize("name", LIKE)
def test_an_equivalent_formula_agrees(name: str) -> None:
    mine, like, how = LIKE[name]
    report = parity.check(name, mine, like=like, examples=EXAMPLES, lanes=["exact", "bound"], **how)
    assert report.ok, f"\n{report}"
    assert set(report.rows[0].lanes) == ({"exact", "bound"} if name in ("matmul", "square") else {"bound"})


def test_an_approximation_is_reported() -> None:
    report = parity.check("gelu", gelu_by_tanh, like=F.gelu, examples=EXAMPLES)
    assert {f.quantity for f in report.failures} >= {"output", "grad_input"}
    assert {f.wrong_side for f in report.failures} <= {"implementation", "undecided"}


def test_the_wrong_one_of_several_gradients_is_reported() -> None:
    def wrong(a: Any, b: Any) -> Any:
        return a @ b, lambda dy: (dy @ b.T, a.T @ dy * 2)

    report = parity.check("matmul", wrong, like=torch.matmul, shapes="n k, k m", examples=EXAMPLES)
    assert {f.quantity for f in report.failures} == {"grad_other"}
    assert report.failures[0].lane == "exact"


def test_contradictory_arguments_are_rejected() -> None:
    with pytest.raises(TypeError, match="belong to like"):
        parity.check("relu", gelu, shapes="n")
    with pytest.raises(TypeError, match="needs an implementation"):
        parity.check("gelu", like=F.gelu)
    report = parity.check("matmul", matmul, like=torch.matmul, shapes="2 3, 2 3", examples=5)
    assert "itself rejects it" in str(report)


def swish(x: Any, w: Any) -> Any:
    s = 1 / (1 + np.exp(-x * w))
    return x * s, lambda dy: (dy * (s + x * w * s * (1 - s)), (dy * x * x * s * (1 - s)).sum(0))


@pytest.mark.parametrize("complex_step", [False, True])
def test_finite_differences_accept_a_right_gradient_and_reject_a_wrong_one(complex_step: bool) -> None:
    generator = np.random.default_rng(0)
    x, w = generator.standard_normal((5, 3)), generator.standard_normal(3)
    report = parity.check_gradients(swish, x, w, names=("input", "slope"), complex_step=complex_step)
    assert report.ok, f"\n{report}"
    assert set(report.rows[0].quantities) == {"grad_input", "grad_slope"}

    def slightly_off(x: Any, w: Any) -> Any:
        y, pullback = swish(x, w)
        return y, lambda dy: (pullback(dy)[0], pullback(dy)[1] * (1 + 1e-6))

    report = parity.check_gradients(slightly_off, x, w, complex_step=complex_step)
    assert [f.quantity for f in report.failures] == ["grad_weight"]


def test_finite_differences_skip_kinks_and_report_it() -> None:
    x = np.array([-1.0, 0.0, 2.0])
    report = parity.check_gradients(lambda x: (np.maximum(x, 0), lambda dy: (dy * (x > 0),)), x)
    assert report.ok, f"\n{report}"
    assert "1 of 3 entries are at a kink" in report.rows[0].notes[0]


def test_finite_differences_report_wrong_shapes_and_exceptions() -> None:
    x = np.ones((2, 3))
    report = parity.check_gradients(lambda x: (x * 2, lambda dy: (dy.sum(0),)), x)
    assert "has the shape (3,), expected (2, 3)" in str(report)
    report = parity.check_gradients(lambda x: (x * 2, lambda dy: 1 / 0), x)
    assert "ZeroDivisionError" in str(report)
    with pytest.raises(TypeError, match="no pullback"):
        parity.check_gradients(lambda x: (x, None), x)
