"""Properties for any numbers: purity, memory layouts, dtypes, empty batches."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from parity.cases.case import Case
from parity.cases.inputs import Inputs, inputs_of
from parity.cases.op import Array, Op
from parity.cases.state import BUFFERS, collected
from parity.cases.steps import Between, happening
from parity.lanes import bound, left_out
from parity.lanes.comparison import Quantities, quantities, required, same_form, same_values
from parity.lanes.errors import error_fact
from parity.lanes.facts import (
    ArgumentOverwritten,
    CacheShared,
    Difference,
    Fact,
    GradientAccumulates,
    Layout,
    LayoutChangesResult,
    LayoutRefused,
    MemoryShared,
    OutputOverwritten,
    OutputShared,
    ScheduleIgnored,
    SecondCallRaised,
    SharedState,
    Stage,
    StaleSecondCall,
)
from parity.lanes.reference import Expected, decide
from parity.lanes.rounding import rounded
from parity.rows.row import Row
from parity.subjects import Declined, ImplementationError

ROUNDOFF = ("normwise", "precision")
PROPERTIES = 12  # a multiple of 3 and 4, the numbers of properties of which the seed selects one
SCRIBBLE = 77  # written to returned arrays, to detect shared memory


def _transposed(array: Array) -> Array:
    return array.copy("F")


def _reversed(array: Array) -> Array:
    return np.asarray(np.flip(np.flip(array).copy()))  # np.flip returns a scalar for an array without axes


def _strided(array: Array) -> Array:
    return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array


def _read_only(array: Array) -> Array:
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS: dict[Layout, Callable[[Array], Array]] = {
    Layout.FORTRAN: _transposed,
    Layout.REVERSED: _reversed,
    Layout.STRIDED: _strided,
    Layout.READ_ONLY: _read_only,
}


def compare(row: Row, op: Op, expected: Expected) -> tuple[dict[str, float], list[Difference]]:
    """The quantities compared, and the differences.

    The numbers are small integers, so that equal means equal; a row without an exact lane is held to its bound.
    """
    case, inputs, dy, theirs = expected.case, expected.inputs, expected.dy, expected.theirs
    ours = quantities(op, inputs.private(), dy.copy())
    full = theirs
    theirs = required(op, ours, theirs)
    seen = dict.fromkeys(theirs, 0.0)
    form = same_form(ours, theirs)
    if any(difference.aspect == "form" for difference in form):
        return seen, form

    limits = (
        None if "exact" in row.lanes else bound.referee_and_bounds(row, inputs, dy, full)
    )  # once for all calls

    def compared(found: Quantities) -> list[Difference]:
        if limits is None:
            return rounded(row, expected, found, decide(row, expected, found, same_values(found, theirs)))
        return bound.judge(row, inputs, dy, found, full, theirs.keys(), limits)[1]

    def apart(found: Quantities) -> list[Difference]:
        """The result of another call, if its roundoff is already reported."""
        return [difference for difference in compared(found) if difference.only not in ROUNDOFF]

    differences = compared(ours)
    if any(difference.only not in ROUNDOFF for difference in differences):
        return seen, form + differences
    form += differences
    impure = _purity(row, op, inputs, dy)
    further: list[Callable[[], list[Difference]]] = [
        lambda: [] if impure else _sharing(op, inputs, dy, case, apart) or _reused(row, op, inputs, dy),
        lambda: _layouts(op, inputs, dy, theirs, case.seed, apart),
        lambda: left_out.differences(row, op, case),
    ]
    if row.kind == "optimizer":
        further.append(lambda: _between_steps(row, op, expected))
    # Each of these needs two to four more calls, and one case in three or four shows as much as every case.
    return seen, form + impure + further[case.seed % len(further)]()


def selecting_the_same(case: Case, like: Case) -> Case:
    """The case with a seed that selects the property, and the memory layout, that `like` shows."""
    period = PROPERTIES * len(LAYOUTS)
    return replace(case, seed=case.seed - case.seed % period + like.seed % period)


def _purity(row: Row, op: Op, inputs: Inputs, dy: Array) -> list[Difference]:
    """Call once, overwrite all returned arrays, call the pullback again: no other array may change."""
    own = inputs.private()
    dy_given = dy.copy()
    y, pullback = op(*own.arrays, **own.options)
    differences = _changed(own, inputs, "forward")
    if pullback is None or differences:
        return differences or _shared(row, _named(own, y, ()), _given(own))
    y_before = np.array(y)
    first = pullback(dy_given)
    if not np.array_equal(y, y_before, equal_nan=True):
        differences.append(Difference("output", OutputOverwritten()))
    if not np.array_equal(dy_given, dy, equal_nan=True):
        differences.append(Difference("output", ArgumentOverwritten("dy", "pullback")))
    differences += _changed(own, inputs, "pullback")
    before = [None if gradient is None else np.array(gradient) for gradient in first]
    try:
        second = pullback(dy.copy())
        kept = [None if gradient is None else np.array(gradient) for gradient in second]
        if not all(map(_same, before, kept)):
            calls = zip(inputs.names, before, kept, pullback(dy.copy()), strict=True)
            return differences + [
                Difference(f"grad_{name}", _other_gradient(once, again, np.asarray(more)))
                for name, once, again, more in calls
                if once is not None and again is not None and not _same(once, again)
            ]
        if differences:
            return differences
        again = [(f"the {name} of the next call of the pullback", g) for name, g in _named(own, None, second)]
        shared = _shared(row, _named(own, y, first), [*_given(own), ("dy", dy_given), *again])
        for returned in (*first, *second):
            # The caller may modify a returned gradient; the pullback must not reuse its memory.
            if isinstance(returned, np.ndarray) and returned.flags.writeable:
                returned[...] = SCRIBBLE
        third = pullback(dy.copy())
    except ImplementationError as error:
        name = next((n for n, g in zip(inputs.names, before, strict=True) if g is not None), "input")
        return [*differences, Difference(f"grad_{name}", SecondCallRaised(error_fact(error)))]
    for name, once, again in zip(inputs.names, before, third, strict=True):
        if once is not None and not np.array_equal(once, np.asarray(again), equal_nan=True):
            differences.append(Difference(f"grad_{name}", CacheShared()))
    return differences or shared


def _between_steps(row: Row, op: Op, expected: Expected) -> list[Difference]:
    """An optimizer in a loop that halves the step size after the first step."""
    inputs, dy = expected.inputs, expected.dy
    with happening(Between(lr=inputs.options["lr"] / 2)) as loop:
        theirs = quantities(expected.like, inputs.private())
        found = quantities(op, inputs.private())
        if not loop.changed:
            return []
        if "exact" in row.lanes:
            differences = same_values(found, theirs)
        else:
            differences = bound.judge(row, inputs, dy, found, theirs)[1]
    return [Difference(d.quantity, ScheduleIgnored(d.fact), "undecided") for d in differences]


def _reused(row: Row, op: Op, inputs: Inputs, dy: Array) -> list[Difference]:
    """The memory of each result must not be used again by a later call."""
    results, later = (_results(op, inputs.private(), dy.copy()) for _ in range(2))
    return _shared(row, results, [(f"the {name} of a later call", result) for name, result in later])


def _shared(row: Row, results: list[tuple[str, Any]], others: list[tuple[str, Any]]) -> list[Difference]:
    """The results that share memory with another array, or with each other."""
    found = []
    for place, (name, result) in enumerate(() if row.views else results):
        for other, array in (*others, *results[:place]):
            if (
                isinstance(result, np.ndarray)
                and isinstance(array, np.ndarray)
                and np.shares_memory(result, array)
            ):
                found.append(Difference(name, MemoryShared(other)))
                break
    return found


def _results(op: Op, inputs: Inputs, dy: Array) -> list[tuple[str, Any]]:
    """The output and the gradients of a call, by name."""
    y, pullback = op(*inputs.arrays, **inputs.options)
    return _named(inputs, y, () if pullback is None else pullback(dy))


def _named(inputs: Inputs, y: Any, gradients: Sequence[Any]) -> list[tuple[str, Any]]:
    names = [f"grad_{name}" for name in inputs.names]
    return [("output", y), *zip(names, gradients, strict=False)]


def _given(inputs: Inputs) -> list[tuple[str, Any]]:
    return [*zip(inputs.names, inputs.arrays, strict=True)]


def _sharing(
    op: Op, inputs: Inputs, dy: Array, case: Case, compared: Callable[[Quantities], list[Difference]]
) -> list[Difference]:
    """Call it on other numbers before the pullback, like a layer that a network uses twice."""
    others = inputs_of(replace(case, seed=case.seed ^ 1, values=None), "structure", integer=True)

    def between(*arrays: Array | None, **options: Any) -> Any:
        called = op(*arrays, **options)
        with collected():  # its state belongs to the other call
            op(*others.arrays, **others.options)
        return called

    try:
        found = quantities(between, inputs.private(), dy.copy())
    except (ImplementationError, Declined):  # only on the other numbers: the lanes generate such cases themselves
        return []
    return [
        Difference(d.quantity, OutputShared(d.fact) if d.quantity == "output" else SharedState(d.fact))
        for d in compared(found)
    ]


def _same(once: Array | None, again: Array | None) -> bool:
    return once is None or (again is not None and np.array_equal(once, again, equal_nan=True))


def _other_gradient(once: Array, again: Array, more: Array) -> Fact:
    """Distinguish by three calls: a cache scaled by 2 in place also doubles the second gradient."""
    if (
        once.shape == again.shape == more.shape
        and np.array_equal(2 * once, again)
        and np.array_equal(3 * once, more)
    ):
        return GradientAccumulates(3)
    return StaleSecondCall()


def _layouts(
    op: Op,
    inputs: Inputs,
    dy: Array,
    theirs: Quantities,
    seed: int,
    compared: Callable[[Quantities], list[Difference]],
) -> list[Difference]:
    """Compare the same numbers in another memory layout, including the cotangent."""
    name = [*LAYOUTS][seed // PROPERTIES % len(LAYOUTS)]
    lay = LAYOUTS[name]
    arrays = tuple(
        None
        if array is None
        else array.copy()
        if of in BUFFERS
        else lay(array)  # updated in place, as torch's are
        for of, array in zip(inputs.names, inputs.arrays, strict=True)
    )
    try:
        again = quantities(op, inputs._replace(arrays=arrays), lay(dy))
    except ImplementationError as error:
        return [Difference("output", LayoutRefused(name, error_fact(error)))]
    form = [difference for difference in same_form(again, theirs) if difference.aspect == "form"]
    return [replace(d, fact=LayoutChangesResult(name, d.fact)) for d in form or compared(again)]


def _changed(now: Inputs, before: Inputs, by: Stage) -> list[Difference]:
    pairs: list[tuple[str, Any, Any]] = [*zip(now.names, now.arrays, before.arrays, strict=True)]
    pairs += [(name, now.options[name], before.options[name]) for name in now.options]
    return [
        Difference("output" if by == "forward" else f"grad_{name}", ArgumentOverwritten(name, by))
        for name, a, b in pairs
        if isinstance(b, np.ndarray)
        and name not in BUFFERS
        and not np.array_equal(a, b, equal_nan=b.dtype.kind == "f")
    ]
