"""Memory shared between results, and pullbacks that return different results when called again."""

from itertools import count
from typing import Any

import numpy as np
import pytest

import parity
from numpy_cnn import ops
from numpy_cnn.optim import SGD
from parity.cases.case import ArraySpec, Case
from parity.lanes import structure
from parity.lanes.facts import (
    ArgumentOverwritten,
    Fact,
    GradientAccumulates,
    InvalidAccepted,
    MemoryShared,
    ScheduleIgnored,
    StaleSecondCall,
)
from parity.lanes.reference import expect
from parity.rows.optimizers import by_hand
from parity.rows.registry import ROWS


def facts(op: Any, name: str = "relu", *arrays: ArraySpec) -> list[Fact]:
    case = Case(name, arrays or (ArraySpec("input", (9,)),), seed=3)
    _, found = structure.compare(ROWS[name], op, expect(ROWS[name], case, "structure"))
    return [difference.fact for difference in found]


def scaling(factors: list[int]) -> Any:
    """A ReLU whose pullback multiplies the gradient by the next factor at each call."""

    def relu(x: Any) -> Any:
        y, pullback = ops.relu(x)
        left = [*factors]
        return y, lambda dy: (pullback(dy)[0] * x.dtype.type(left.pop(0)),)

    return relu


@pytest.mark.parametrize(
    ("factors", "fact"),
    [([1, 2, 3], GradientAccumulates(3)), ([1, 2, 4], StaleSecondCall()), ([1, 3, 9], StaleSecondCall())],
)
def test_accumulation_is_confirmed_by_a_third_call(factors: list[int], fact: Fact) -> None:
    assert facts(scaling(factors)) == [fact]


def test_a_gradient_in_the_memory_of_another_result() -> None:
    def linear(x: Any, w: Any, b: Any) -> Any:
        y, pullback = ops.linear(x, w, b)
        return y, lambda dy: (*pullback(dy)[:2], dy[0] if len(dy) == 1 else pullback(dy)[2])

    arrays = ArraySpec("input", (1, 3)), ArraySpec("weight", (2, 3)), ArraySpec("bias", (2,))
    assert facts(linear, "linear", *arrays) == [MemoryShared("dy")]
    assert facts(ops.linear, "linear", *arrays) == []


def test_a_gradient_in_a_buffer_that_the_next_call_of_the_pullback_reuses() -> None:
    def relu(x: Any) -> Any:
        y, pullback = ops.relu(x)
        kept = np.empty_like(x)

        def back(dy: Any) -> Any:
            kept[...] = pullback(dy)[0]
            return (kept,)

        return y, back

    assert facts(relu) == [MemoryShared("the grad_input of the next call of the pullback")]


def test_a_gradient_in_a_buffer_that_a_later_call_reuses() -> None:
    buffers: dict[Any, Any] = {}

    def relu(x: Any) -> Any:
        y, pullback = ops.relu(x)
        calls = count()

        def into_the_buffer(dy: Any) -> Any:
            buffer = buffers.setdefault((x.shape, x.dtype, next(calls)), np.empty_like(x))
            buffer[...] = pullback(dy)[0]
            return (buffer,)

        return y, into_the_buffer

    assert MemoryShared("the grad_input of a later call") in facts(relu)


def test_a_view_of_the_argument_is_allowed_if_torch_returns_one() -> None:
    def reshaped(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:  # of a 1-d array
        return x.reshape(x.shape), lambda dy: (dy.reshape(x.shape),)

    x = np.ones(3)
    assert np.shares_memory(x, ops.flatten(x)[0])
    assert facts(reshaped, "flatten") == []


class Momentum:
    """A correct SGD with momentum."""

    def __init__(self, params: Any, lr: float, momentum: float) -> None:
        self.params, self.lr, self.momentum, self.buffers = params, lr, momentum, dict[str, Any]()

    def step(self, grads: Any) -> None:
        for name, g in grads.items():
            if g is not None:
                old = self.buffers.get(name)
                self.buffers[name] = g.copy() if old is None else self.momentum * old + g
                self.params[name] -= self.lr * self.buffers[name]


class FixedRate(Momentum):
    """Momentum that ignores later changes of the step size."""

    def step(self, grads: Any) -> None:
        self.first = getattr(self, "first", self.lr)
        self.lr = self.first
        super().step(grads)


@pytest.mark.parametrize(
    ("kind", "fact"),
    [
        (Momentum, None),
        (FixedRate, ScheduleIgnored),
    ],
)
def test_an_optimizer_must_follow_a_changing_step_size(kind: Any, fact: Any) -> None:
    report = parity.check("SGD", kind, examples=20, lanes=["structure"])
    assert report.ok, report
    found = {type(note.fact) for note in report.notes} - {InvalidAccepted}
    assert found == (set() if fact is None else {fact})


def test_an_overwritten_argument_is_found_also_if_the_op_has_options() -> None:
    def softmax(x: Any, dim: int) -> Any:
        y, pullback = ops.softmax(x, dim)
        x[...] = y
        return y, pullback

    case = Case("softmax", (ArraySpec("input", (2, 3)),), {"dim": 1}, seed=3)
    _, (first, *_) = structure.compare(ROWS["softmax"], softmax, expect(ROWS["softmax"], case, "structure"))
    assert first.fact == ArgumentOverwritten("input", "forward")


class FixedRateByHand(SGD):
    """numpy_cnn's SGD with a step size that cannot be changed."""

    lr = property(lambda self: self.first, lambda self, lr: vars(self).setdefault("first", lr))


@pytest.mark.parametrize(("kind", "found"), [(SGD, []), (FixedRateByHand, [ScheduleIgnored])])
def test_our_own_optimizers_must_follow_a_changing_step_size(kind: Any, found: Any) -> None:
    arrays = [ArraySpec(name, (3,)) for name in ("parameter", "gradient0", "gradient1")]
    case = Case("SGD", tuple(arrays), {"lr": 0.5}, seed=3)
    _, differences = structure.compare(ROWS["SGD"], by_hand(kind), expect(ROWS["SGD"], case, "structure"))
    assert [type(difference.fact) for difference in differences] == found
