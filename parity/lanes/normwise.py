"""The error that a fast algorithm may have, beyond the elementwise bound; see `parity.bounds.fast`."""

import numpy as np

from parity.bounds.derived import BoundInputs
from parity.cases.inputs import Inputs
from parity.cases.op import Array
from parity.cases.torch_op import oracle
from parity.rows.row import Row


def allowances(row: Row, inputs: Inputs, dy: Array, u: float) -> dict[str, Array]:
    """Return the error allowed in the output and in the gradients; empty for an op without a fast algorithm.

    Args:
        row: the op.
        inputs: its arrays and options.
        dy: the cotangent, in the shape of the output.
        u: unit roundoff.
    """
    if row.fast is None:
        return {}
    arrays, options = inputs.in_float64()
    return row.fast(BoundInputs(row.like, oracle(row.like), arrays, options, dy.astype(np.float64), u, 0.0))
