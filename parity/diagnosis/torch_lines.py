"""The oracle's half of a script: lines that set `theirs` with torch alone."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from numpy_cnn.common.spec.architecture import Architecture
from parity.cases.torch_op import Array
from parity.diagnosis.literals import keyword
from parity.rows.row import Row


def of_function(
    row: Row,
    arrays: Mapping[str, Array | None],
    leaves: Collection[str],
    options: Mapping[str, Any],
    quantity: str,
    of: str,
) -> list[str] | None:
    """A function of torch's and its gradient by autograd; None where the row's oracle has no name.

    Args:
        row: whose oracle it is.
        arrays: by the names that the script has for them.
        leaves: those of them that have a gradient.
        options: keywords.
        quantity: what is asked for.
        of: the array, by its name in the script, whose gradient that is.
    """
    name = row.torch_name
    if name is None:
        return None
    lines = [f"t_{leaf} = torch.tensor({leaf}, requires_grad=True)" for leaf in leaves]
    given = [
        *(
            f"t_{name}" if name in leaves else "None" if array is None else f"torch.tensor({name})"
            for name, array in arrays.items()
        ),
        *(f"{n}=torch.tensor({n})" if isinstance(v, np.ndarray) else keyword(n, v) for n, v in options.items()),
    ]
    return [*lines, f"y_torch = {name}({', '.join(given)})", *_theirs(quantity, f"t_{of}")]


def of_network(architecture: Architecture, quantity: str, place: int) -> list[str]:
    """The layers of a SimpleCNN, with its loss; arrays are `x` and the list `parameters`."""
    has_bias = not architecture.fixed_edges
    bias = "p[1]" if has_bias else "None"
    conv = f"F.conv2d(t, p[0], {bias}, stride={architecture.stride}, padding={architecture.padding})"
    dense = 2 if has_bias else 1
    scores = f"F.linear(h, p[{dense}], p[{dense + 1}])"
    if architecture.hidden:
        scores = f"F.linear(F.relu({scores}), p[{dense + 2}], p[{dense + 3}])"
    loss = "F.mse_loss" if architecture.loss == "mse" else "F.cross_entropy"
    leaf = "t" if place == 0 else f"p[{place - 1}]"
    return [
        "t, *p = (torch.tensor(a, requires_grad=True) for a in (x, *parameters))",
        f"h = F.max_pool2d(F.relu({conv}), {architecture.pool}).flatten(1)",
        f'y_torch = {loss}({scores}, torch.tensor(target), reduction="sum")',
        *_theirs(quantity, leaf),
    ]


def _theirs(quantity: str, leaf: str) -> list[str]:
    if quantity == "output":
        return ["theirs = y_torch.detach().numpy()"]
    return ["y_torch.backward(torch.tensor(dy))", f"theirs = {leaf}.grad.numpy()"]
