"""Mistakes that every op can have, planted in every row by wrapping its op; and one right look-alike of each."""

from collections.abc import Callable

import numpy as np

from numpy_cnn.arguments import Array
from parity.cases.torch_op import Op
from parity.exam.bug import CORRECT, Correct, plant
from parity.exam.edits import option, results, upstream
from parity.rows.registry import ROWS

GRADIENTS = {"conv2d": "dx dw db", "linear": "dx dw db"}  # of other rows the first


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


def _in_fortran_order(a: Array) -> Array:
    return np.asfortranarray(a) if a.ndim else a


def _plant_all(row: str, op: Op) -> None:
    prefix, places = row.replace("_", "-"), GRADIENTS.get(row, "dx").split()
    for name, edit in RESULTS:
        for place in ("y", *places):
            op_with = results(op, **{place: edit})
            # The gradient of a softmax for an upstream of ones is zero.
            names = f"{name} upstream-ignored" if name == "zero" else name
            plant(row, f"{prefix}-{place}-{name}", names, op_with, at=place, factor="1/3")
    for place in places:
        ignoring = upstream(op, np.ones_like, place)
        plant(row, f"{prefix}-{place}-without-upstream", "upstream-ignored zero", ignoring, at=place)
    plant(row, f"{prefix}-output-in-a-buffer", "shared-state", _late_overwrite(op), at="y")
    says = "The results are laid out column by column in memory."
    ordered = results(op, y=_in_fortran_order, dx=_in_fortran_order)
    CORRECT.append(Correct(row, f"{prefix}-in-fortran-order", says, ordered))


def _plant_in_optimizer(row: str, op: Op) -> None:
    """An optimizer returns the parameter after each step, and has no gradients."""

    def climbs(parameter: Array, *gradients: Array | None, **settings: object) -> object:
        return op(parameter, *(None if g is None else -g for g in gradients), **settings)

    prefix = row.lower()
    plant(
        row, f"{prefix}-climbs", "ascends", climbs, says="The gradients' sign is wrong, that of the decay is not."
    )
    twice = option(op, "lr", lambda lr: 2 * lr)
    plant(row, f"{prefix}-lr-doubled", "option-doubled", twice, option="lr")
    says = "The trajectory is laid out column by column in memory."
    CORRECT.append(Correct(row, f"{prefix}-in-fortran-order", says, results(op, y=_in_fortran_order)))


for _row in ROWS.values():
    if _row.kind == "op":
        _plant_all(_row.name, _row.op)
    elif _row.kind == "optimizer":
        _plant_in_optimizer(_row.name, _row.op)
