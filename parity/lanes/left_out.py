"""Omits options, one at a time: a wrong default is visible only if the option is omitted."""

import inspect
import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from parity.cases.case import Case
from parity.cases.torch_op import Op
from parity.lanes.comparison import comparable, quantities, same_form, same_values
from parity.lanes.facts import DefaultDiffers, Difference
from parity.lanes.reference import expect
from parity.rows.row import Row
from parity.subjects import Declined, ImplementationError, Unrecognised
from parity.subjects.names import DEFAULTS

# torch's softmax has no default; the defaults of its module Flatten and its function differ; its normalizations
# default to evaluation, but a layer with a single mode to training; the targets depend on log_target; and
# learning rates differ from author to author.
NOT_TRIED = {"dim", "start_dim", "training", "log_target", "lr"}
SMALL = 300  # numbers: in a larger case only one option is omitted, to save time


def differences(row: Row, op: Op, case: Case) -> list[Difference]:
    """Omit one option of the case at a time, and compare with the result for torch's default.

    An implementation without a default, or one that does not support the case, is not compared.
    """
    defaults = _defaults(row)
    names = sorted(case.options.keys() & defaults.keys() - NOT_TRIED)
    if not names or any(0 in (spec.shape or ()) for spec in case.arrays):
        return []  # for example, the mean of an empty batch has no bound
    if sum(math.prod(spec.shape or ()) for spec in case.arrays) > SMALL:
        names = [names[case.seed % len(names)]]
    return next((found for name in names if (found := _without(name, defaults[name], row, op, case))), [])


def _defaults(row: Row) -> dict[str, Any]:
    """torch's defaults, by the names of the options."""
    if row.kind == "optimizer":
        settings = inspect.signature(getattr(torch.optim, row.name)).parameters.values()
        return {setting.name: setting.default for setting in settings}
    return DEFAULTS if row.kind == "op" else {}


def _without(name: str, default: Any, row: Row, op: Op, case: Case) -> list[Difference]:
    """The differences between omitting the option and passing torch's default; there should be none."""
    default = None if name == "stride" and "kernel_size" in case.options else default
    case = replace(case, options=case.options | {name: default})
    try:
        expected = expect(row, case, "structure") if row.valid(case) else None
    except (RuntimeError, ValueError, IndexError, Declined):  # torch rejects these numbers with the default
        return []
    if expected is None or expected.dy.size == 0:
        return []
    inputs = expected.inputs
    left = {option: value for option, value in inputs.options.items() if option != name}
    try:
        passed = quantities(op, inputs.private(), expected.dy.copy())
        ours = quantities(op, inputs.private()._replace(options=left), expected.dy.copy())
    except (ImplementationError, Declined, Unrecognised, KeyError):
        return []
    passed = {quantity: np.asarray(value) for quantity, value in passed.items()}
    form = [difference for difference in same_form(ours, passed) if difference.aspect == "form"]
    found = [*form, *same_values(ours, comparable(passed, form))]
    return [Difference(d.quantity, DefaultDiffers(name, default, d.fact), "undecided") for d in found][:1]
