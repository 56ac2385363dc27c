"""The layers of a network with the row of each."""

import inspect
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import numpy_cnn
from numpy_cnn.common.spec.architecture import Architecture
from parity.rows.registry import ROWS
from parity.rows.row import Row


@dataclass(frozen=True)
class Layer:
    """One layer: the row of its op, the names of its parameters in the network, and its options."""

    name: str
    row: Row
    parameters: dict[str, str]  # {argument of the op: name in the network}
    options: dict[str, Any]  # all options of the op, including defaults


def layers_of(architecture: Architecture) -> list[Layer]:
    """The layers of numpy_cnn's network, followed by its summed loss under the name "the loss"."""
    shapes = architecture.parameter_shapes()
    model = numpy_cnn.SimpleCNN(architecture, parameters={name: np.zeros(s) for name, s in shapes.items()})
    loss = ROWS["mse_loss" if architecture.loss == "mse" else "cross_entropy"]
    return [
        *(_layer(name, op, [*shapes]) for name, op in model.layers),
        Layer("the loss", loss, {"target": "target"}, {"reduction": "sum"}),
    ]


def _layer(name: str, op: Any, shapes: list[str]) -> Layer:
    function, given = (op.func, op.keywords) if isinstance(op, partial) else (op, {})
    row = next(row for row in ROWS.values() if function in (row.op, getattr(row.op, "__wrapped__", None)))
    own = {p.rpartition(".")[2]: p for p in shapes if p.startswith(f"{name}.")}
    arguments = inspect.signature(function).parameters.values()
    # The arrays precede the options; needs_input_grad is not an option of torch's function.
    defaults = {
        p.name: p.default
        for p in arguments
        if p.default is not p.empty and p.name not in ("weight", "bias") and p.name != "needs_input_grad"
    }
    return Layer(name, row, own, defaults | given)
