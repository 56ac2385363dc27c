"""Calls that torch rejects: numpy_cnn rejects them too, and an implementation that accepts them gets a note."""

import random
from typing import Any

import numpy as np
import pytest
import torch

import parity
from numpy_cnn import ops
from numpy_cnn.common.spec.errors import UserError
from parity.cases.inputs import inputs_of
from parity.cases.invalid import invalid_cases
from parity.cases.primitives import draw_plainly
from parity.cases.torch_op import oracle
from parity.lanes.facts import InvalidAccepted
from parity.rows.registry import ROWS
from parity.running.sandbox import sandboxed

WITHOUT_RULES = {"relu", "leaky_relu", "elu", "sigmoid", "tanh", "silu", "softplus", "hardswish"}


@pytest.mark.parametrize("name", ROWS)
def test_numpy_cnn_rejects_what_torch_rejects(name: str) -> None:
    row, generator, rules = ROWS[name], random.Random(0), set()
    with sandboxed():
        for _ in range(10):
            case, _ = draw_plainly(row.strategy(lane="structure"), generator)
            for rule, invalid, _reason in invalid_cases(case, oracle(row.like)):
                rules.add(rule)
                inputs = inputs_of(invalid, "structure", integer=True)
                with pytest.raises((ValueError, UserError)):  # a network raises its own error
                    row.op(*inputs.arrays, **inputs.options)
    assert bool(rules) == (name not in WITHOUT_RULES)


def rules_of(name: str) -> set[str]:
    generator, rules = random.Random(0), set()
    for _ in range(20):
        case, _ = draw_plainly(ROWS[name].strategy(lane="structure"), generator)
        rules |= {invalid.rule for invalid in invalid_cases(case, oracle(ROWS[name].like))}
    return rules


def test_the_rules_are_those_of_the_op() -> None:
    of_conv = {
        "stride=0",
        "padding=-1",
        "dilation=0",
        "more groups than channels",
        "weight with axis 1 longer by 1",
    }
    assert of_conv <= rules_of("conv2d")
    assert {"padding above half of the window", "kernel_size=0"} <= rules_of("max_pool2d")
    assert {"output_padding=-1", "output_padding as large as stride and dilation"} <= rules_of("conv_transpose2d")
    of_loss = {"target all the number of classes", "reduction='total'", "input with axis 0 longer by 1"}
    assert of_loss <= rules_of("cross_entropy")
    assert {"dim beyond the last axis", "dim before the first axis"} <= rules_of("softmax")
    assert {"lr=-1.0", "momentum=-1.0"} <= rules_of("SGD")


def unchecked_nll(x: Any, t: Any) -> Any:
    """An nll_loss where a class of -1 selects the last class; torch raises an error."""
    rows = np.arange(len(t))

    def pullback(dy: Any) -> Any:
        dx = np.zeros_like(x)
        dx[rows, t] = -dy / len(t)
        return dx, None

    return np.asarray(-x[rows, t].mean(), x.dtype), pullback


HOW: Any = {"examples": 20, "lanes": ["structure"], "supports": {"rank": 2, "reduction": "mean"}}


def test_an_implementation_that_accepts_invalid_calls_gets_a_note() -> None:
    report = parity.check("nll_loss", unchecked_nll, **HOW)
    assert report.ok, f"\n{report}"
    (note,) = [note for note in report.notes if isinstance(note.fact, InvalidAccepted)]
    assert (note.verdict, note.aspect, note.lane) == ("contract", "invalid", "structure")
    assert "target all -1" in note.fact.rules
    assert "target all the number of classes" not in note.fact.rules  # IndexError in NumPy
    assert not {rule for rule in note.fact.rules if rule.startswith("reduction")}  # excluded by `supports`
    assert not parity.check("nll_loss", unchecked_nll, strict=True, **HOW).ok
    assert parity.check("nll_loss", unchecked_nll, strict=True, accept=["invalid", "empty"], **HOW).ok


def test_the_note_can_be_replayed() -> None:
    from parity.api.replay import replay

    case = next(
        n.case for n in parity.check("nll_loss", unchecked_nll, **HOW).notes if isinstance(n.fact, InvalidAccepted)
    )
    how: Any = {"lane": "structure", "case": case, "supports": HOW["supports"]}
    assert [d.aspect for d in replay("nll_loss", unchecked_nll, strict=True, **how)] == ["invalid"]
    assert replay("nll_loss", unchecked_nll, **how) == []
    assert replay("nll_loss", ops.nll_loss, strict=True, lane="structure", case=case) == []


def test_what_a_users_oracle_rejects() -> None:
    def dot(a: Any, b: Any) -> Any:
        part = b[: len(a)]
        return np.asarray(np.sum(a * part)), lambda dy: (dy * part, dy * a)

    how: Any = {"like": torch.dot, "shapes": "n, n", "examples": 20, "lanes": ["structure"]}
    report = parity.check("dot", dot, **how)
    rules = [rule for note in report.notes if isinstance(note.fact, InvalidAccepted) for rule in note.fact.rules]
    assert report.ok
    assert any("longer by 1" in rule for rule in rules), report

    def checked(a: Any, b: Any) -> Any:
        if a.shape != b.shape or a.ndim != 1:
            raise ValueError(f"dot: expected two vectors of one length, got {a.shape} and {b.shape}")
        return dot(a, b)

    report = parity.check("dot", checked, **how)
    assert not any(isinstance(note.fact, InvalidAccepted) for note in report.notes)


def test_compiled_code_is_not_called_with_invalid_arguments() -> None:
    import ctypes  # not at the top, where it would mark the whole file as calling compiled code

    called: list[Any] = []
    scope = {"library": ctypes.CDLL(None), "called": called, "unchecked": unchecked_nll}
    exec("def nll(x, t):\n    called.append(t)\n    return unchecked(x, t)", scope)
    report = parity.check("nll_loss", scope["nll"], **HOW)
    assert any("compiled code" in note for note in report.rows[0].notes)
    assert not any(isinstance(note.fact, InvalidAccepted) for note in report.notes)
    assert called
    assert not any((t < 0).any() for t in called)


def test_shapes_that_the_constructor_cannot_build_count_as_rejected() -> None:
    class Conv2D:
        def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
            self.W = np.zeros((out_channels, in_channels, kernel_size, kernel_size))
            self.b = np.zeros(out_channels)

        def forward(self, x: Any) -> Any:
            self.x = x
            return ops.conv2d(x, self.W, self.b)[0]

        def backward(self, dy: Any) -> Any:
            dx, self.dW, self.db = ops.conv2d(self.x, self.W, self.b)[1](dy)
            return dx

    report = parity.check("conv2d", Conv2D, examples=10, lanes=["structure"])
    assert report.ok, f"\n{report}"
