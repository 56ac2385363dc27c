"""Activations: a row for each."""

import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops
from parity.bounds.derived import copies
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.primitives import composite
from parity.cases.sizes import numbers, shape
from parity.rows.row import Row


@composite
def relu(draw: st.DrawFn, lane: Lane) -> Case:
    """Any shape of up to four axes."""
    array = ArraySpec("input", shape(draw, lane, 0, 4))
    return Case("relu", (array,), {}, *numbers(draw))


ROWS = (
    Row(
        "relu",
        ops.relu,
        F.relu,
        relu,
        copies,
        formulas={"output": "y = max(x, 0)", "grad_input": "dx = dy where x > 0, and 0 elsewhere"},
        selects=True,
        elementwise=True,
    ),
)
