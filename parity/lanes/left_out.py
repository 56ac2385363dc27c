"""Omits options: a wrong default is visible only if the option is omitted."""

import inspect
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from parity.cases.case import Case
from parity.cases.op import Op
from parity.lanes.comparison import comparable, quantities, same_form, same_values
from parity.lanes.facts import DefaultDiffers, Difference
from parity.lanes.reference import expect
from parity.rows.row import Row
from parity.subjects import Declined, ImplementationError, Unrecognised
from parity.subjects.names import DEFAULTS

# torch's softmax and poolings have no default; the defaults of its module Flatten and its function differ; its
# normalizations default to evaluation, but a layer with a single mode to training; the targets depend on
# log_target; and learning rates differ from author to author.
NOT_TRIED = {"dim", "kernel_size", "start_dim", "training", "log_target", "lr"}


def differences(row: Row, op: Op, case: Case) -> list[Difference]:
    """Omit all options of the case, and compare with the result for torch's defaults.

    If they differ, or if the case has no result without its options, the options are omitted one at a time. An
    implementation without a default, or one that does not support the case, is not compared.
    """
    defaults = _defaults(row)
    names = sorted(case.options.keys() & defaults.keys() - NOT_TRIED)
    if not names or any(0 in (spec.shape or ()) for spec in case.arrays):
        return []  # for example, the mean of an empty batch has no bound
    if len(names) > 1 and _without(names, defaults, row, op, case) == []:
        return []
    return next((found for name in names if (found := _without([name], defaults, row, op, case))), [])


def _defaults(row: Row) -> dict[str, Any]:
    """torch's defaults, by the names of the options."""
    if row.kind == "optimizer":
        settings = inspect.signature(getattr(torch.optim, row.name)).parameters.values()
        return {setting.name: setting.default for setting in settings}
    return DEFAULTS if row.kind == "op" else {}


def _without(names: list[str], defaults: dict[str, Any], row: Row, op: Op, case: Case) -> list[Difference] | None:
    """The differences between omitting the options and passing torch's defaults; None if there is no result."""
    values = {name: defaults[name] for name in names}
    if "stride" in values and "kernel_size" in case.options:
        values["stride"] = None
    case = replace(case, options=case.options | values)
    try:
        expected = expect(row, case, "structure") if row.valid(case) else None
    except (RuntimeError, ValueError, IndexError, Declined):  # torch rejects these numbers with the defaults
        return None
    if expected is None or expected.dy.size == 0:
        return None
    inputs = expected.inputs
    left = {option: value for option, value in inputs.options.items() if option not in values}
    try:
        passed = quantities(op, inputs.private(), expected.dy.copy())
        ours = quantities(op, inputs.private()._replace(options=left), expected.dy.copy())
    except (ImplementationError, Declined, Unrecognised, KeyError):
        return None
    passed = {quantity: np.asarray(value) for quantity, value in passed.items()}
    form = [difference for difference in same_form(ours, passed) if difference.aspect == "form"]
    found = [*form, *same_values(ours, comparable(passed, form))]
    option = names[0]
    return [Difference(d.quantity, DefaultDiffers(option, values[option], d.fact), "undecided") for d in found][:1]
