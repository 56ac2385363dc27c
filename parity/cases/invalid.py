"""Cases that torch rejects, each made from a valid one by violating one rule.

The rules concern the options and shapes of the op. They are not listed separately: a case is invalid if torch
rejects it.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from parity.cases.case import Case
from parity.cases.inputs import inputs_of
from parity.cases.op import Op

REJECTS = RuntimeError, ValueError, IndexError, TypeError  # torch's ways of rejecting arguments
PROBABILITY, NOT_NEGATIVE = (-0.5, 1.5), (-1.0,)

# Invalid values of options; a function computes them from the case, each with the violated rule.
Broken: TypeAlias = tuple[Any, ...] | Callable[[Case], dict[str, Any]]


class Invalid(NamedTuple):
    """A case that torch rejects."""

    rule: str  # what was changed: "stride=0", "weight with axis 1 longer by 1"
    case: Case
    reason: str  # torch's message


def invalid_cases(case: Case, like: Op, fixed: Collection[str] = ()) -> Iterator[Invalid]:
    """Return the variants of a valid case that torch rejects, one change each.

    Args:
        case: the valid case.
        like: torch's function as an op.
        fixed: options that are not changed.
    """
    for rule, changed in _changed(case, fixed):
        reason = rejection(changed, like)
        if reason is not None:
            yield Invalid(rule, changed, reason)


def rejection(case: Case, like: Op) -> str | None:
    """Return torch's message if it rejects the case, otherwise None."""
    inputs = inputs_of(case, "structure", integer=True)
    try:
        like(*inputs.arrays, **inputs.options)
    except REJECTS as error:
        return next((line.strip()[:200] for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return None


def _changed(case: Case, fixed: Collection[str]) -> Iterator[tuple[str, Case]]:
    for name, broken in OPTIONS.items():
        if name not in case.options or name in fixed:
            continue
        values = broken(case) if callable(broken) else {f"{name}={value!r}": value for value in broken}
        for rule, value in values.items():
            yield rule, replace(case, options=case.options | {name: value})
    for place, spec in enumerate(case.arrays):
        if spec.shape is None:
            continue
        for rule, shape in _other_shapes(spec.shape):
            arrays = (*case.arrays[:place], replace(spec, shape=shape), *case.arrays[place + 1 :])
            yield f"{spec.name} {rule}", replace(case, arrays=arrays)
        if spec.kind == "classes":
            for value in (spec.classes, -1):
                target = np.full(spec.shape, value).tolist()
                rule = "-1" if value < 0 else "the number of classes"
                yield f"{spec.name} all {rule}", replace(case, values={spec.name: target})


def _other_shapes(shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for axis, size in enumerate(shape):
        yield f"with axis {axis} longer by 1", (*shape[:axis], size + 1, *shape[axis + 1 :])
    if shape:
        yield "with one axis less", shape[1:]
    yield "with one axis more", (1, *shape)


def _beyond_the_axes(name: str) -> Callable[[Case], dict[str, Any]]:
    def broken(case: Case) -> dict[str, Any]:
        rank = max(1, len(case.arrays[0].shape or ()))
        return {f"{name} beyond the last axis": rank, f"{name} before the first axis": -rank - 1}

    return broken


def _largest(case: Case, *names: str) -> int:
    sizes = (case.options.get(name) for name in names)
    return max(max(size) if isinstance(size, tuple) else size for size in sizes if isinstance(size, (int, tuple)))


def _padding(case: Case) -> dict[str, Any]:
    if "kernel_size" not in case.options:
        return {"padding=-1": -1}
    return {"padding=-1": -1, "padding above half of the window": _largest(case, "kernel_size") // 2 + 1}


def _groups(case: Case) -> dict[str, Any]:
    channels = (case.arrays[0].shape or (0, 0))[1]
    return {"groups=-1": -1, "more groups than channels": channels + 1}


def _output_padding(case: Case) -> dict[str, Any]:
    most = _largest(case, "stride", "dilation")
    return {"output_padding=-1": -1, "output_padding as large as stride and dilation": most}


OPTIONS: dict[str, Broken] = {
    "stride": (0, -1),
    "padding": _padding,
    "dilation": (0, -1),
    "groups": _groups,
    "kernel_size": (0, -1),
    "output_padding": _output_padding,
    "output_size": (-1,),
    "divisor_override": (0,),
    "num_groups": _groups,
    "dim": _beyond_the_axes("dim"),
    "start_dim": _beyond_the_axes("start_dim"),
    "end_dim": _beyond_the_axes("end_dim"),
    "reduction": ("total",),
    "mode": ("other",),
    "approximate": ("other",),
    "label_smoothing": PROBABILITY,
    "p": PROBABILITY,
    "delta": (0.0, -1.0),
    "beta": NOT_NEGATIVE,
    "lr": NOT_NEGATIVE,
    "momentum": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
    "eps": NOT_NEGATIVE,
    "alpha": NOT_NEGATIVE,
    "lr_decay": NOT_NEGATIVE,
    "betas": ((-0.5, 0.9), (0.9, 1.0)),
}
