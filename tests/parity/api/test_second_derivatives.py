"""Second derivatives: Hessian-vector products of an implementation, compared with torch's double backward."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd.function import once_differentiable

import parity
from parity.api.replay import replay
from parity.rows.registry import ROWS
from parity.subjects import Unrecognised

QUICK: Any = {"examples": 30, "second": True}
OPS = [name for name, row in ROWS.items() if row.kind == "op"]
# The functions of these rows have another signature than torch's.
OTHERS: dict[str, Any] = {
    "batch_norm": torch.nn.BatchNorm2d,
    "instance_norm": torch.nn.InstanceNorm2d,
    "layer_norm": torch.nn.functional.layer_norm,
}


def second_failures(name: str, implementation: Any) -> dict[str, str | None]:
    """The explanations by quantity; the first derivatives are correct."""
    report = parity.check(name, implementation, **QUICK)
    assert {failure.row for failure in report.failures} == {f"{name}_double_backward"}
    return {failure.quantity: failure.explanation for failure in report.failures}


@pytest.mark.parametrize("name", OPS)
def test_the_second_derivatives_of_torch_agree(name: str) -> None:
    report = parity.check(name, OTHERS.get(name, ROWS[name].like), examples=8, second=True, lanes=["bound"])
    first, second = report.rows
    assert report.ok, report
    assert second.name == f"{name}_double_backward"
    assert second.lanes["bound"] == first.lanes["bound"] == 8
    assert {"output", "grad_input", "grad_upstream"} <= second.quantities.keys()


def test_an_autograd_function_agrees() -> None:
    assert parity.check("linear", Linear, **QUICK).ok


class Linear(torch.autograd.Function):
    """y = x·wᵀ + b, whose backward can be differentiated."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, b: Any = None) -> Any:
        ctx.save_for_backward(x, w)
        ctx.has_bias = b is not None
        return x @ w.T + (0 if b is None else b)

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        x, w = ctx.saved_tensors
        return Linear.gradients(x, w, dy, ctx.has_bias)

    @staticmethod
    def gradients(x: Any, w: Any, dy: Any, has_bias: bool) -> Any:
        """dx, dw and db."""
        rows = dy.reshape(-1, dy.shape[-1])
        return dy @ w, rows.T @ x.reshape(-1, x.shape[-1]), rows.sum(0) if has_bias else None


class DetachedInput(Linear):
    """Its gradient of the weight does not depend on the input for autograd."""

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        x, w = ctx.saved_tensors
        return Linear.gradients(x.detach(), w, dy, ctx.has_bias)


class WithoutGraph(Linear):
    """Its backward records no graph."""

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        x, w = ctx.saved_tensors
        with torch.no_grad():
            return Linear.gradients(x, w, dy, ctx.has_bias)


class Once(Linear):
    """Its backward may not be differentiated."""

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Any) -> Any:
        x, w = ctx.saved_tensors
        return Linear.gradients(x, w, dy, ctx.has_bias)


def test_a_detached_input_is_found_and_named() -> None:
    assert second_failures("linear", DetachedInput) == {"grad_input": "second-derivative-zero"}


def test_a_backward_without_a_graph_is_found_and_named() -> None:
    found = second_failures("linear", WithoutGraph)
    assert found == dict.fromkeys(("grad_input", "grad_weight", "grad_upstream"), "second-derivative-zero")


@pytest.mark.parametrize("function", [Once, lambda x: (np.maximum(x, 0), lambda dy: np.where(x > 0, dy, 0))])
def test_what_has_no_second_derivatives_is_rejected(function: Any) -> None:
    with pytest.raises(Unrecognised, match=r"once_differentiable|second\(dy, \*directions\)"):
        parity.check("linear" if function is Once else "relu", function, **QUICK)


def test_numpy_cnn_has_no_second_derivatives() -> None:
    with pytest.raises(Unrecognised, match="numpy_cnn's own relu"):
        parity.check("relu", second=True)
    with pytest.raises(ValueError, match="only to ops; the kind of SGD is optimizer"):
        parity.check("SGD", torch.optim.SGD, second=True)


class Sigmoid:
    """The pullback of a sigmoid, and a pullback of that; a mistake replaces `of_x` or `of_upstream`."""

    def __init__(self, x: Any, of_x: Any = None, of_upstream: Any = None) -> None:
        s = 1 / (1 + np.exp(-x))
        self.s, self.slope, self.of_x, self.of_upstream = s, s * (1 - s), of_x, of_upstream

    def __call__(self, dy: Any) -> Any:
        return dy * self.slope

    def second(self, dy: Any, v: Any) -> Any:
        """The gradients of Σ v·dy·s·(1 − s) with respect to x and dy."""
        found = v * dy * self.slope * (1 - 2 * self.s), v * self.slope
        return tuple(
            of if edit is None else edit(of, self, dy, v)
            for of, edit in zip(found, (self.of_x, self.of_upstream), strict=True)
        )


def sigmoid(**mistakes: Any) -> Any:
    """A sigmoid whose pullback offers second derivatives."""

    def op(x: Any) -> Any:
        pullback = Sigmoid(x, **mistakes)
        return pullback.s, pullback

    return op


def test_a_pullback_with_second_derivatives_agrees() -> None:
    assert parity.check("sigmoid", sigmoid(), **QUICK).ok


@pytest.mark.parametrize(
    ("edit", "name"),
    [
        (lambda found, *_: 2 * found, "doubled"),
        (lambda found, *_: -found, "negated"),
        (lambda _, pullback, dy, v: v * pullback.slope, "second-is-first"),
        (lambda found, pullback, dy, v: found / (1 - 2 * pullback.s) * (1 - pullback.s), None),
    ],
)
def test_a_wrong_second_derivative_is_found(edit: Any, name: str | None) -> None:
    assert second_failures("sigmoid", sigmoid(of_x=edit)) == {"grad_input": name}


def test_a_wrong_gradient_of_the_upstream_is_found() -> None:
    found = second_failures("sigmoid", sigmoid(of_upstream=lambda found, *_: 0 * found))
    assert found == {"grad_upstream": "second-derivative-zero"}


def softmax(x: Any, dim: int, *, diagonal: bool = False) -> Any:
    """dx = s·(dy − ⟨dy, s⟩), and its pullback; optionally only the diagonal of the second derivatives."""
    e = np.exp(x - x.max(dim, keepdims=True))
    s = e / e.sum(dim, keepdims=True)

    def mean(a: Any) -> Any:
        return (a * s).sum(dim, keepdims=True)

    def pullback(dy: Any) -> Any:
        return s * (dy - mean(dy))

    def second(dy: Any, v: Any) -> Any:
        centered = dy - mean(dy)
        of_x = s * (v * centered - mean(v * centered) - centered * mean(v))
        if diagonal:
            of_x = v * s * centered * (1 - 2 * s)
        return of_x, s * (v - mean(v))

    pullback.second = second  # type: ignore[attr-defined]  # an attribute of a function
    return s, pullback


def test_only_the_diagonal_is_named() -> None:
    how: Any = {"examples": 30, "second": True, "supports": {"numbers": 60}}
    assert parity.check("softmax", softmax, **how).ok
    report = parity.check("softmax", lambda x, dim: softmax(x, dim, diagonal=True), **how)
    assert [(f.quantity, f.explanation) for f in report.failures] == [("grad_input", "second-diagonal")]


def test_a_term_that_is_missing_is_named() -> None:
    def mixed(x: Any, weight: Any, bias: Any = None) -> Any:
        y = x @ weight.T + (0 if bias is None else bias)

        def back(dy: Any) -> Any:
            rows = dy.reshape(-1, dy.shape[-1])
            return dy @ weight, rows.T @ x.reshape(-1, x.shape[-1]), None if bias is None else rows.sum(0)

        def second(dy: Any, of_x: Any, of_w: Any, of_b: Any) -> Any:
            rows, lines = dy.reshape(-1, dy.shape[-1]), of_x.reshape(-1, x.shape[-1])
            of_dy = of_x @ weight.T + (0 if of_b is None else of_b)  # without x·of_wᵀ
            return dy @ of_w, rows.T @ lines, None if bias is None else np.zeros_like(bias), of_dy

        back.second = second  # type: ignore[attr-defined]  # as above
        return y, back

    assert second_failures("linear", mixed) == {"grad_upstream": "second-term-missing"}


class MSE(torch.autograd.Function):
    """The mean squared error; its gradient of the input does not depend on the target for autograd."""

    @staticmethod
    def forward(ctx: Any, input: Any, target: Any) -> Any:
        ctx.save_for_backward(input, target)
        return ((input - target) ** 2).mean()

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        x, t = ctx.saved_tensors
        scale = 2 * dy / x.numel()
        return scale * (x - t.detach()), scale * (t - x)


def test_missing_mixed_derivatives_are_named() -> None:
    assert second_failures("mse_loss", MSE) == {"grad_target": "second-own-direction"}


def test_replay_reproduces_a_failure() -> None:
    failure = parity.check("linear", DetachedInput, **QUICK).failures[0]
    again = replay(failure.row, DetachedInput, lane=failure.lane, case=failure.case)
    assert [difference.quantity for difference in again] == ["grad_input"]
    assert replay(failure.row, Linear, lane=failure.lane, case=failure.case) == []


def test_an_op_without_a_row() -> None:
    report = parity.check("mine", sigmoid(), like=torch.sigmoid, **QUICK)
    assert report.ok
    assert [row.name for row in report.rows] == ["mine", "mine_double_backward"]


def test_a_wrong_first_derivative_is_reported_alone() -> None:
    report = parity.check("sigmoid", lambda x: (1 / (1 + np.exp(-x)), lambda dy: dy), examples=10, second=True)
    (row,) = report.rows
    assert not report.ok
    assert any("second derivatives are not compared" in note for note in row.notes)


def test_the_flag_exits_with_2_if_there_are_no_second_derivatives(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import numpy as np\n\n\ndef relu(x):\n    return np.maximum(x, 0), lambda dy: dy * (x > 0)\n")
    options = ["--impl", f"{file}:relu", "--second", "--examples", "5"]
    command = [sys.executable, "-m", "parity", "check", "relu", *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "it offers no second derivatives" in ran.stderr


def gradient(x: torch.Tensor, dy: torch.Tensor) -> torch.Tensor:
    """The gradient of the sigmoid by autograd, which can be differentiated again."""
    return torch.autograd.grad(torch.sigmoid(x), x, dy, create_graph=True)[0]


def sigmoid_backward(x: Any, dy: Any) -> Any:
    """dx = dy·s·(1 − s) and its pullback v → (v·dy·s·(1 − s)·(1 − 2s), v·s·(1 − s))."""
    s = 1 / (1 + np.exp(-x))
    slope = s * (1 - s)
    return dy * slope, lambda v: (v * dy * slope * (1 - 2 * s), v * slope)


HOW: Any = {"like": gradient, "shapes": "n m, n m", "examples": 40}


def test_a_pullback_with_a_pullback_is_checked_against_double_backward() -> None:
    assert parity.check("sigmoid_backward", sigmoid_backward, **HOW).ok


def test_a_wrong_pullback_of_a_pullback_fails() -> None:
    def wrong(x: Any, dy: Any) -> Any:
        dx, pullback = sigmoid_backward(x, dy)
        return dx, lambda v: (-pullback(v)[0], pullback(v)[1])

    failures = parity.check("sigmoid_backward", wrong, **HOW).failures
    assert {failure.quantity for failure in failures} == {"grad_input"}
