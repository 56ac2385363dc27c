"""A network as rows: what parity does with a network it does with the row of each of its layers."""

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
    """One layer: its op's row, the network's names of the parameters it takes, and its options."""

    name: str
    row: Row
    parameters: dict[str, str]  # {the op's argument: the network's name for it}
    options: dict[str, Any]  # all that the op has, defaults included


def layers_of(architecture: Architecture) -> list[Layer]:
    """The layers of numpy_cnn's network, and its summed loss as the last one, called "the loss"."""
    shapes = architecture.parameter_shapes()
    model = numpy_cnn.SimpleCNN(architecture, parameters={name: np.zeros(s) for name, s in shapes.items()})
    loss = ROWS["mse_loss" if architecture.loss == "mse" else "cross_entropy"]
    return [
        *(_layer(name, op, [*shapes]) for name, op in model.layers),
        Layer("the loss", loss, {"target": "target"}, {"reduction": "sum"}),
    ]


def _layer(name: str, op: Any, shapes: list[str]) -> Layer:
    function, given = (op.func, op.keywords) if isinstance(op, partial) else (op, {})
    row = next(row for row in ROWS.values() if row.op is function)
    own = {p.rpartition(".")[2]: p for p in shapes if p.startswith(f"{name}.")}
    arguments = inspect.signature(function).parameters.values()
    # Arrays come before the options; a keyword of the implementation alone is no option of torch's.
    defaults = {
        p.name: p.default
        for p in arguments
        if p.default is not p.empty and p.name not in ("weight", "bias") and p.name != "needs_input_grad"
    }
    return Layer(name, row, own, defaults | given)
