"""The oracle's half of a script: lines that set `theirs` with torch."""

import inspect
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from numpy_cnn.common.spec.architecture import Architecture
from parity.cases.op import Array
from parity.cases.state import BUFFERS
from parity.diagnosis.literals import keyword
from parity.rows.layers import Layer, layers_of
from parity.rows.row import Row


def of_function(
    row: Row,
    arrays: Mapping[str, Array | None],
    leaves: Collection[str],
    options: Mapping[str, Any],
    quantity: str,
    of: str,
) -> list[str] | None:
    """Lines for a torch function and its gradient by autograd; None if the row's oracle has no name.

    Args:
        row: the row of the oracle.
        arrays: by their names in the script.
        leaves: the arrays that have a gradient.
        options: keywords.
        quantity: the one that differs.
        of: the array, by its name in the script, whose gradient that is.
    """
    name = row.torch_name
    if name is None:
        return None
    lines = [f"t_{leaf} = torch.tensor({leaf}, requires_grad=True)" for leaf in leaves]
    state = quantity in BUFFERS  # torch overwrites this tensor
    lines += [f"t_{of} = torch.tensor({of})"] if state else []
    given = [
        *(
            f"t_{name}"
            if name in leaves or (state and name == of)
            else "None"
            if array is None
            else f"torch.tensor({name})"
            for name, array in arrays.items()
        ),
        *(f"{n}=torch.tensor({n})" if isinstance(v, np.ndarray) else keyword(n, v) for n, v in options.items()),
    ]
    theirs = [f"theirs = t_{of}.numpy()"] if state else _theirs(quantity, f"t_{of}")
    return [*lines, f"y_torch = {name}({', '.join(given)})", *theirs]


def of_network(architecture: Architecture, quantity: str, place: int) -> list[str]:
    """The layers of a network, with its loss; arrays are `x` and the list `parameters`.

    One line for each layer that has parameters, and for those without that follow it.
    """
    names = [*architecture.parameter_shapes()]
    lines, expression = [], "t"
    for layer in layers_of(architecture):
        if layer.parameters and expression not in ("t", "h"):
            lines.append(f"h = {expression}")
            expression = "h"
        own = {argument: f"p[{names.index(p)}]" for argument, p in layer.parameters.items() if p in names}
        if "target" in layer.parameters:
            own = {"target": "torch.tensor(target)"}
        function = (layer.row.torch_name or layer.row.name).replace("torch.nn.functional.", "F.")
        arguments = [expression, *own.values(), *(keyword(n, v) for n, v in _changed(layer).items())]
        expression = f"{function}({', '.join(arguments)})"
    leaf = "t" if place == 0 else f"p[{place - 1}]"
    return [
        "t, *p = (torch.tensor(a, requires_grad=True) for a in (x, *parameters))",
        *lines,
        f"y_torch = {expression}",
        *_theirs(quantity, leaf),
    ]


def _changed(layer: Layer) -> dict[str, Any]:
    """The options that differ from the op's (and torch's) defaults."""
    defaults = {p.name: p.default for p in inspect.signature(layer.row.op).parameters.values()}
    return {name: value for name, value in layer.options.items() if value != defaults.get(name)}


def _theirs(quantity: str, leaf: str) -> list[str]:
    if quantity == "output":
        return ["theirs = y_torch.detach().numpy()"]
    return ["y_torch.backward(torch.tensor(dy))", f"theirs = {leaf}.grad.numpy()"]
