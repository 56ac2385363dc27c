"""Mistakes that any op can have, planted in every row, and look-alikes that are correct."""

import inspect
from functools import partial
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array
from parity.cases.op import Op
from parity.exam import stateful
from parity.exam.bug import alike, plant
from parity.exam.call import Call, Change, Edit, Places, leftover
from parity.exam.changes import in_dtype, only, option, result, upstream
from parity.rows.registry import ROWS
from parity.rows.row import Row

GRADIENTS = {"conv2d": "dx dw db", "linear": "dx dw db"}  # other rows: the first one only
# Rows without options, or whose strategy never draws the defaults of all of them.
NEVER_AT_DEFAULTS = (
    "conv2d conv1d conv_transpose2d max_pool2d avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d max_unpool2d "
    "interpolate dropout dropout2d relu leaky_relu sigmoid tanh silu hardswish linear softmax log_softmax "
    "SimpleCNN network"
)
# name, right names, edit; planted in the output and in each gradient
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


def _without_beyond(a: Array, _: Call) -> Array:
    return np.where(np.arange(a.size).reshape(a.shape) > 255, 0, a).astype(a.dtype)


def _at_defaults(c: Call) -> bool:
    """Whether every option with a default has its default."""
    defaults = {
        name: p.default for name, p in inspect.signature(c.op).parameters.items() if p.default is not p.empty
    }
    given = [(c.options[name], default) for name, default in defaults.items() if name in c.options]
    return bool(given) and all(not isinstance(o, np.ndarray) and o in (d, (d, d)) for o, d in given)


# name, right names, change, reach, description, rows that it does not apply to
CHANGES: tuple[tuple[str, str, Change, str, str, str], ...] = (
    ("output-in-a-buffer", "shared-state", stateful.in_a_buffer, "y", "", ""),
    # If the gradient does not depend on the arrays' values, a cache shared between calls is harmless.
    ("cache-shared", "shared-state", stateful.of_last_call(), "{dx}", "",
     "avg_pool2d adaptive_avg_pool2d unfold fold pad interpolate flatten"),
    ("accumulates", "accumulates", stateful.by_call(stateful.accumulated), "{dx}", "", ""),
    ("overwrites-upstream", "mutates-upstream", stateful.overwriting_upstream(lambda dy, _: -dy), "", "", ""),
    ("tail-lost", "tail-lost", result(_without_leftover), "{dx}",
     "A loop over blocks of eight elements loses the remainder.", ""),
    ("index-of-8-bits", "index-overflows", result(_without_beyond), "y",
     "An 8-bit index loses the elements beyond 255.",
     "dropout2d layer_norm group_norm instance_norm nll_loss cross_entropy mse_loss SimpleCNN network"),
    ("wrong-at-defaults", "doubled", only(_at_defaults, result(lambda a, _: 2 * a)), "{dx}",
     "The shortcut for default options doubles the gradient.", NEVER_AT_DEFAULTS),
    # A computed output hardly ever equals an argument.
    ("y-returns-its-argument", "shares-memory", stateful.returning_equals, "y",
     "If y equals an argument, the argument itself is returned.",
     "conv2d conv1d conv_transpose2d max_unpool2d unfold fold sigmoid flatten batch_norm group_norm instance_norm "
     "nll_loss cross_entropy binary_cross_entropy_with_logits kl_div SimpleCNN network"),
    ("dx-returns-its-argument", "shares-memory", stateful.returning_equals, "{dx}",
     "If dx equals an argument, the argument itself is returned.",
     "conv2d conv1d conv_transpose2d max_unpool2d unfold fold linear flatten group_norm SimpleCNN network"),
)  # fmt: skip


def _plant_in_op(row: Row) -> None:
    prefix, gradients = row.name.replace("_", "-").lower(), GRADIENTS.get(row.name, "dx").split()
    one, first = partial(plant, row.name), gradients[0]
    for name, names, edit in RESULTS:
        for of in ("y", *gradients):
            one(f"{prefix}-{of}-{name}", names, result(edit), of, factor="1/3")
    for of in gradients:
        ignoring = upstream(lambda dy, _: np.ones_like(dy))
        one(f"{prefix}-{of}-without-upstream", "upstream-ignored zero", ignoring, of)
    for name, names, change, of, description, without in CHANGES:
        if row.name not in without.split():
            one(f"{prefix}-{name}", names, change, of.format(dx=first), description)
    description = "The results are stored in Fortran order."
    alike(row.name, f"{prefix}-in-fortran-order", description, result(_in_fortran_order))
    alike(row.name, f"{prefix}-in-double", "Computed in float64 and rounded once.", in_dtype(np.float64))


def _climbs(op: Op, _: Places) -> Op:
    def called(parameter: Array, *gradients: Array | None, **settings: Any) -> Any:
        return op(parameter, *(None if g is None else -g for g in gradients), **settings)

    return called


def _plant_in_optimizer(row: Row) -> None:
    """Plant in an optimizer, which returns the parameter after each step and has no gradients."""
    prefix, one = row.name.lower(), partial(plant, row.name)
    one(f"{prefix}-climbs", "ascends", _climbs,
        description="The sign of the gradient is wrong, but not that of the decay.")  # fmt: skip
    one(f"{prefix}-lr-doubled", "option-doubled", option("lr", lambda lr: 2 * lr), option="lr")
    one(f"{prefix}-dtype-changed", "dtype-changed", result(lambda a, _: a.astype(np.float64)))
    one(f"{prefix}-tail-lost", "tail-lost", result(lambda a, c: np.where(leftover(a[0]), c.x, a)), "y",
        "A loop over blocks of eight elements does not update the remainder.")  # fmt: skip
    alike(row.name, f"{prefix}-in-fortran-order", "The trajectory is stored in Fortran order.",
          result(_in_fortran_order))  # fmt: skip


for _row in ROWS.values():
    (_plant_in_optimizer if _row.kind == "optimizer" else _plant_in_op)(_row)
