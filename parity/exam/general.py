"""Mistakes that every op can have, planted in every row; and one right look-alike of each."""

from functools import partial
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array
from parity.cases.torch_op import Op
from parity.exam import stateful
from parity.exam.bug import alike, plant
from parity.exam.call import Call, Edit, Places, leftover
from parity.exam.changes import in_dtype, option, result, upstream
from parity.rows.registry import ROWS
from parity.rows.row import Row

GRADIENTS = {"conv2d": "dx dw db", "linear": "dx dw db"}  # of other rows the first
# Their gradient depends on no number of the call: a cache of another call of the same shapes is as good.
LINEAR = {"avg_pool2d", "adaptive_avg_pool2d", "pad", "interpolate", "flatten"}

# name, right names, edit: of the output and of each gradient
RESULTS: tuple[tuple[str, str, Edit], ...] = (
    ("negated", "negated", lambda a, _: -a),
    # The gradient of a softmax for an upstream of ones is zero.
    ("zero", "zero upstream-ignored", lambda a, _: np.zeros_like(a)),
    ("constant-factor", "constant-factor", lambda a, _: a / a.dtype.type(3)),
    ("dtype-changed", "dtype-changed", lambda a, _: a.astype(np.float64)),
)


def _in_fortran_order(a: Array, _: Call) -> Array:
    return np.asfortranarray(a) if a.ndim else a


def _without_leftover(a: Array, _: Call) -> Array:
    return np.where(leftover(a), 0, a).astype(a.dtype)


def _plant_in_op(row: Row) -> None:
    prefix, gradients = row.name.replace("_", "-").lower(), GRADIENTS.get(row.name, "dx").split()
    one = partial(plant, row.name)
    for name, names, edit in RESULTS:
        for of in ("y", *gradients):
            one(f"{prefix}-{of}-{name}", names, result(edit), of, factor="1/3")
    for of in gradients:
        ignoring = upstream(lambda dy, _: np.ones_like(dy))
        one(f"{prefix}-{of}-without-upstream", "upstream-ignored zero", ignoring, of)
    one(f"{prefix}-output-in-a-buffer", "shared-state", stateful.in_a_buffer, "y")
    if row.name not in LINEAR:
        one(f"{prefix}-cache-shared", "shared-state", stateful.of_last_call(), gradients[0])
    one(f"{prefix}-accumulates", "accumulates", stateful.by_call(stateful.accumulated), gradients[0])
    one(f"{prefix}-overwrites-upstream", "mutates-upstream", stateful.overwriting_upstream(lambda dy, _: -dy))
    one(f"{prefix}-tail-lost", "", result(_without_leftover), gradients[0],
        "The loop takes eight numbers at a time: those left over at the end are lost.")  # fmt: skip
    alike(row.name, f"{prefix}-in-fortran-order", "The results are laid out column by column in memory.",
          result(_in_fortran_order))  # fmt: skip
    alike(row.name, f"{prefix}-in-double", "Computed in float64, and rounded once.", in_dtype(np.float64))


def _climbs(op: Op, _: Places) -> Op:
    def called(parameter: Array, *gradients: Array | None, **settings: Any) -> Any:
        return op(parameter, *(None if g is None else -g for g in gradients), **settings)

    return called


def _plant_in_optimizer(row: Row) -> None:
    """An optimizer returns the parameter after each step, and has no gradients."""
    prefix, one = row.name.lower(), partial(plant, row.name)
    one(f"{prefix}-climbs", "ascends", _climbs, says="The gradients' sign is wrong, that of the decay is not.")
    one(f"{prefix}-lr-doubled", "option-doubled", option("lr", lambda lr: 2 * lr), option="lr")
    one(f"{prefix}-dtype-changed", "dtype-changed", result(lambda a, _: a.astype(np.float64)))
    one(f"{prefix}-tail-lost", "", result(lambda a, c: np.where(leftover(a[0]), c.x, a)), "y",
        "The loop takes eight numbers at a time: those left over at the end stay as they are.")  # fmt: skip
    alike(row.name, f"{prefix}-in-fortran-order", "The trajectory is laid out column by column in memory.",
          result(_in_fortran_order))  # fmt: skip


for _row in ROWS.values():
    (_plant_in_optimizer if _row.kind == "optimizer" else _plant_in_op)(_row)
