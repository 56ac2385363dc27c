"""Functions over the tensors of a small autograd engine in their own file, among other classes."""

from typing import Any

import numpy as np
import pytest
import torch

import parity
from numpy_cnn import ops
from parity.subjects.autograd import engine_of

pytestmark = pytest.mark.usefixtures("named")


class Layer:
    """Not the engine: it has no data."""

    def backward(self, dy: Any) -> Any:
        return dy


class Sized:
    """Not the engine: it cannot be constructed from an array."""

    def __init__(self, rows: int, columns: int) -> None:
        self.data, self.grad = np.zeros((rows, columns)), None

    def backward(self) -> None: ...


class Module(torch.nn.Module):
    """Not the engine: torch's."""

    def backward(self) -> None: ...


class Value:
    """The engine: `data`, `grad`, and a backward that receives the upstream gradient."""

    def __init__(self, data: Any, parents: Any = ()) -> None:
        self.data, self.grad, self.parents = np.asarray(data), None, parents

    def backward(self, dout: Any) -> None:
        self.grad = dout
        for parent, local in self.parents:
            parent.backward(local(dout))


def mse_loss(prediction: Any, target: Any, reduction: Any = "mean") -> Any:
    """Differentiated with respect to the prediction only."""
    y, pullback = ops.mse_loss(prediction.data, target.data, reduction)
    return Value(y, [(prediction, lambda dy: pullback(np.asarray(dy, y.dtype))[0])])


def test_the_engine_is_found_among_other_classes() -> None:
    engine = engine_of(mse_loss)
    assert engine is not None
    assert engine.note == "it takes tensors of its own class Value"


def test_a_loss_over_an_engine_needs_no_gradient_of_its_target() -> None:
    report = parity.check("mse_loss", mse_loss, examples=6, lanes=["exact"])
    assert report.ok, f"\n{report}"
    assert "grad_input" in report.rows[0].quantities
    assert not [note for note in report.rows[0].notes if "target" in note], report.rows[0].notes
