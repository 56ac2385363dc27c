"""Simplify the numbers of a failing case to as many zeros and ones as still fail in the same way.

Hypothesis has shrunk the geometry, but the numbers come from a seed, which cannot be shrunk. So they are stored in
the case and set to 0 block by block, then one by one, as in delta debugging (A. Zeller and R. Hildebrandt,
Simplifying and isolating failure-inducing input, 2002); the remaining ones are set to 1.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from parity.cases.case import Case
from parity.cases.op import Array
from parity.lanes.comparison import Mismatch
from parity.lanes.facts import Difference
from parity.lanes.reference import Expected

ATTEMPTS = 250  # cases run, counted and not timed, so that the same seed gives the same report
MOST = 2000  # numbers; larger cases are not simplified


def with_small_numbers(
    found: Mismatch,
    expected: Expected,
    differences: Callable[[Case], list[Difference]],
    attempts: int = ATTEMPTS,
) -> Mismatch:
    """Return the same mismatch on the simplest numbers found.

    Args:
        found: the differences of a case; numbers are accepted if each difference remains, of the same kind.
        expected: the arrays of that case.
        differences: runs a case.
        attempts: the largest number of cases to run.
    """
    given = found.case.values or {}  # fixed by `supports`: an upstream of 1 for a loss that takes none
    numbers = {name: array for name, array in _numbers(found.case, expected).items() if name not in given}
    if sum(array.size for array in numbers.values()) > MOST:
        return found
    kinds = {(d.quantity, d.wrong_side, d.verdict, d.aspect) for d in found.differences}

    def attempt(values: dict[str, Array]) -> Mismatch | None:
        case = replace(found.case, values=given | {name: _nested(array) for name, array in values.items()})
        try:
            again = differences(case)
        except Exception:  # torch or the lane rejects these numbers
            return None
        same = [d for d in again if (d.quantity, d.wrong_side, d.verdict, d.aspect) in kinds]
        return Mismatch(found.lane, case, same) if len(same) == len(kinds) else None

    best = attempt(numbers)
    if best is None:  # it depends on something besides the numbers
        return found
    floors = {spec.name: 1 if spec.kind == "weights" else 0 for spec in found.case.arrays}
    signs = {spec.name: -1 if spec.kind == "log" else 1 for spec in found.case.arrays}
    improved = True
    while improved:
        improved = False
        for name, place, target in _steps(numbers, floors, signs):
            flat = numbers[name].ravel()
            if _simplicity(flat[place]) <= _simplicity(np.full_like(flat[place], target)):
                continue
            if attempts <= 0:
                return best
            attempts -= 1
            changed = flat.copy()
            changed[place] = target
            values = numbers | {name: changed.reshape(numbers[name].shape)}
            smaller = attempt(values)
            if smaller is not None:
                best, numbers, improved = smaller, values, True
    return best


def _numbers(case: Case, expected: Expected) -> dict[str, Array]:
    inputs = expected.inputs
    named = {name: array for name, array in zip(inputs.names, inputs.arrays, strict=True) if array is not None}
    for spec in case.arrays:
        if spec.keyword and spec.shape is not None:
            named[spec.name] = inputs.options[spec.name]
    return named | {"dy": expected.dy}


def _steps(
    numbers: dict[str, Array], floors: dict[str, int], signs: dict[str, int]
) -> Iterator[tuple[str, slice, int]]:
    """The order of changes: large blocks before small ones, 0 before 1 before other small integers."""
    for name, array in numbers.items():
        floor, sign = floors.get(name, 0), signs.get(name, 1)
        block = array.size
        while block >= 1:
            for start in range(0, array.size, block):
                yield name, slice(start, start + block), floor
            block = block // 2 if block != 1 else 0
        for start in range(array.size):
            for target in (1, 2, 3) if array.dtype.kind == "i" else (1, -1, 2, -2, 3):
                yield name, slice(start, start + 1), sign * abs(target) if sign < 0 else target


def _simplicity(values: Array) -> tuple[float, ...]:
    """Smaller is simpler: special values last, then fractions, large numbers, negative ones."""
    finite = np.isfinite(values)
    if not finite.all():
        return (2.0, float((~finite).sum()))
    whole = values == np.round(values)
    return (
        0.0,
        float((~whole).sum()),
        float(np.abs(values).sum()),
        float((values < 0).sum()),
        float(((values == 0) & np.signbit(values)).sum()),
    )


def _nested(array: Array) -> Any:
    return _tuples(array.tolist())


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
