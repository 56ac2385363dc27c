"""Change the smallest case in one place at a time: which changes keep the failure, and which remove it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from parity.cases.case import Case, Dtype
from parity.diagnosis.evidence import Change, Variations

SEEDS = 3


def vary(case: Case, valid: Callable[[Case], bool], fails: Callable[[Case], bool | None]) -> Variations:
    """Run the case with one change at a time.

    Args:
        case: a failing case; its numbers are drawn again if shapes change.
        valid: whether torch accepts a case and answers within bounds; other cases are not run.
        fails: whether a case fails in the same way; None if it cannot be run.
    """
    still: list[Change] = []
    no_more: list[Change] = []
    for change, changed in _changes(case):
        if not valid(changed):
            continue
        drawn = [fails(replace(changed, values=None, magnitude=3, seed=seed)) for seed in range(SEEDS)]
        if (changed.arrays, changed.options) == (case.arrays, case.options):
            drawn.append(fails(changed))
        if None not in drawn:
            (still if any(drawn) else no_more).append(change)
    return Variations(tuple(still), tuple(no_more))


def _changes(case: Case) -> Iterator[tuple[Change, Case]]:
    first = case.arrays[0]
    shape: tuple[int, ...]
    for name, value in case.options.items():
        for other in _others(name, value):
            changed = replace(case, options=case.options | {name: other})
            if name == "padding" and other == 0 and first.shape and len(first.shape) == 4:
                # The image grows by its padding, otherwise no window would fit.
                rows, columns = value if isinstance(value, tuple) else (value, value)
                shape = (*first.shape[:2], first.shape[2] + 2 * rows, first.shape[3] + 2 * columns)
                changed = replace(changed, arrays=(replace(first, shape=shape), *case.arrays[1:]))
            yield Change(name, other), changed
    if first.shape and len(first.shape) == 4:
        for axis, what in ((0, "image"), (2, "row"), (3, "column")):
            shape = tuple(size + (place == axis) for place, size in enumerate(first.shape))
            arrays = (replace(first, shape=shape), *case.arrays[1:])
            yield Change(what), replace(case, arrays=arrays)
    other_dtype: Dtype = "float32" if case.dtype == "float64" else "float64"
    yield Change("dtype", other_dtype), replace(case, dtype=other_dtype)


def _others(name: str, value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int) and name in ("stride", "dilation", "padding"):
        simplest = 0 if name == "padding" else 1
        return [other for other in (simplest, simplest + 1) if other != value]
    if isinstance(value, tuple) and len(value) == 2 and name in ("stride", "dilation", "padding"):
        simplest = 0 if name == "padding" else 1
        return [simplest] if value != (simplest, simplest) else [(simplest + 1, simplest + 1)]
    return []
