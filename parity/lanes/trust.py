"""Decides which cases are evidence: agreement on zeros, or on results that no input changes, proves nothing.

A case is MISTRUSTED if the oracle's output or one of its gradients

- is zero everywhere, or has no entry: a zero gradient may also mean that the input does not matter;
- has fewer than half as many nonzero entries as the same geometry has on normal random numbers. Zeros due to the
  geometry (pixels skipped by a stride, classes that are not the target) therefore do not count;
- for a row without gradients: stays the same when all arrays but the first are changed.

The second derivatives of an op that is linear in an array are zero, so for a backward pass only the output and the
gradient with respect to the upstream gradient must be nonzero.

Only the lanes that compare numbers, exact and bound, count such cases. A lane fails if it ran twenty or more cases
and fewer than an eighth of them can be trusted.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from parity.cases.case import UPSTREAM, Lane
from parity.cases.inputs import inputs_of

if TYPE_CHECKING:  # the report needs the rule above, without torch
    from parity.lanes.reference import Expected

WEIGHED: tuple[Lane, ...] = ("exact", "bound")
LEAST_SHARE, LEAST_CASES = 1 / 8, 20


def trustworthy(expected: "Expected") -> bool:
    """Whether agreement on this case is evidence."""
    theirs = expected.theirs
    if (of_upstream := f"grad_{UPSTREAM}") in theirs:
        theirs = {name: theirs[name] for name in ("output", of_upstream)}
    filled = {name: int(np.count_nonzero(array)) for name, array in theirs.items()}
    if not all(filled.values()):
        return False
    if len(theirs) == 1 and _insensitive(expected):
        return False
    sparse = [name for name, count in filled.items() if 2 * count < theirs[name].size]
    if not sparse:
        return True
    typical = _on_normal_numbers(expected)
    return all(2 * filled[name] >= typical[name] for name in sparse)


def too_few(trusted: int, cases: int) -> bool:
    """Whether `trusted` of `cases` cases are too few."""
    return cases >= LEAST_CASES and trusted < LEAST_SHARE * cases


def _on_normal_numbers(expected: "Expected") -> dict[str, int]:
    """Count the nonzero entries of each quantity for normal random numbers."""
    inputs = inputs_of(replace(expected.case, values=None), "bound", integer=False)
    y, pullback = expected.like(*inputs.arrays, **inputs.options)
    found = {"output": int(np.count_nonzero(y))}
    for name, gradient in zip(inputs.names, pullback(inputs.cotangent(y)), strict=True):
        if gradient is not None:
            found[f"grad_{name}"] = int(np.count_nonzero(gradient))
    return found


def _insensitive(expected: "Expected") -> bool:
    first, *others = expected.inputs.arrays
    # −g − 1 differs from g for every integer g, in its sign too.
    changed = [array if array is None or array.dtype.kind != "f" else -array - 1 for array in others]
    y, _ = expected.like(first, *changed, **expected.inputs.options)
    return bool(others) and np.array_equal(y, expected.theirs["output"], equal_nan=True)
