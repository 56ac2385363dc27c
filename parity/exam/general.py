"""Mistakes that every op can have, planted in every row by wrapping its op."""

from collections.abc import Callable

import numpy as np

from numpy_cnn.arguments import Array
from parity.cases.torch_op import Op
from parity.exam.bug import plant
from parity.exam.edits import results, upstream
from parity.rows.registry import ROWS

# The gradients of each row; an optimizer has none, and a network is planted by its layers.
GRADIENTS = {
    "conv2d": "dx dw db", "max_pool2d": "dx", "relu": "dx", "linear": "dx dw db", "flatten": "dx", "softmax": "dx",
    "log_softmax": "dx", "nll_loss": "dx", "cross_entropy": "dx", "mse_loss": "dx",
}  # fmt: skip


def _negated(a: Array) -> Array:
    return np.asarray(-a)


def _zero(a: Array) -> Array:
    return np.zeros_like(a)


def _third(a: Array) -> Array:
    return np.asarray(a / a.dtype.type(3))


def _late_overwrite(op: Op) -> Op:
    """The output is returned in a buffer that the next call of its shape writes to."""
    buffers: dict[tuple[object, ...], Array] = {}

    def called(*arrays: Array, **options: object) -> object:
        y, pullback = op(*arrays, **options)
        buffer = buffers.setdefault((y.shape, y.dtype), np.empty_like(y))
        buffer[...] = y
        return buffer, pullback

    return called


RESULTS: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    ("negated", _negated),
    ("zero", _zero),
    ("constant-factor", _third),
)


def _plant_all() -> None:
    for row, gradients in GRADIENTS.items():
        op, places = ROWS[row].op, gradients.split()
        for name, edit in RESULTS:
            for place in ("y", *places):
                accepted = f"{name} target-sign" if name == "negated" else name
                plant(
                    row,
                    f"{row.replace('_', '-')}-{place}-{name}",
                    accepted,
                    results(op, **{place: edit}),
                    at=place,
                    factor="1/3",
                )
        for place in places:
            # Where the loss ends the graph the upstream gradient is often forgotten.
            names = "upstream-ignored zero" if row == "softmax" else "upstream-ignored"
            ignoring = upstream(op, np.ones_like, place)
            plant(row, f"{row.replace('_', '-')}-{place}-without-upstream", names, ignoring, at=place)
        plant(row, f"{row.replace('_', '-')}-output-in-a-buffer", "shared-state", _late_overwrite(op), at="y")


_plant_all()
