"""The restrictions of a run, checked before any case runs: dtypes, lanes, and the keywords of `supports`."""

import random
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from hypothesis import strategies as st

from parity.cases.case import LANES, Case, Dtype, Lane
from parity.cases.errors import ArgumentError
from parity.cases.primitives import Nothing, draw_plainly, draws_plainly, narrowed
from parity.cases.restrict import Supports, known_words, narrow
from parity.cases.sample import sample
from parity.lanes.reference import expect
from parity.rows.row import Row
from parity.subjects import Declined

TRIALS = 20


def words_of(row: Row) -> frozenset[str]:
    """The keywords of `supports` that apply to the row."""
    (case,) = sample(row.strategy(lane=row.lanes[0]), 1)
    return known_words(case)


def lanes_of(row: Row, wanted: Iterable[str] | None) -> list[Lane]:
    """The lanes to run, in the row's order.

    Raises:
        ArgumentError: there is no such lane, or the row has none of them.
    """
    if wanted is None:
        return [*row.lanes]
    names = {wanted} if isinstance(wanted, str) else {*wanted}
    for name in names:
        if name not in LANES:
            raise ArgumentError(f"lanes: there is no lane {name!r}; there are {', '.join(LANES)}")
    lanes = [lane for lane in row.lanes if lane in names]
    if not lanes:
        raise ArgumentError(f"lanes: {row.name} has only {', '.join(row.lanes)}, got {', '.join(sorted(names))}")
    return lanes


def check_dtype(dtype: str | None) -> None:
    """Raise ArgumentError if no lane draws the dtype."""
    if dtype is not None and dtype not in get_args(Dtype):
        raise ArgumentError(f"dtype must be {' or '.join(get_args(Dtype))}, got {dtype!r}: no lane draws others")


def check_supports(row: Row, supports: Supports | None) -> None:
    """Try the restrictions on a few cases of each lane.

    Raises:
        ArgumentError: a keyword is unknown, or torch accepts no matching case; the message has the values.
    """
    if not isinstance(supports, Mapping):
        if supports is not None and not callable(supports):
            raise ArgumentError(f"supports must be a dict or a function of a case, got {type(supports).__name__}")
        return
    known = words_of(row)
    for name in supports:
        if name not in known:
            raise ArgumentError(f"supports: {row.name} has no {name!r}; it has {', '.join(sorted(known))}")
    if supports:
        _try(row, supports)


def _try(row: Row, supports: Mapping[str, Any]) -> None:
    values = ", ".join(f"{name}={value!r}" for name, value in supports.items())
    reason = "no case of the row fits"
    for lane in row.lanes:
        # A value may have any type, so strategies and torch may raise any exception.
        try:
            cases = few(narrow(row.strategy(lane=lane), supports))
        except Exception as error:
            raise ArgumentError(f"supports: {row.name} has no case with {values}: {_first_line(error)}") from error
        for case in cases:
            try:
                expect(row, case, lane)
            except Exception as error:
                reason = f"torch rejects {case}: {_first_line(error)}"
            else:
                return
    raise ArgumentError(f"supports: {row.name} has no case with {values}: {reason}")


def few(strategy: st.SearchStrategy[Case]) -> list[Case]:
    """The first cases of a strategy."""
    if not draws_plainly(strategy):
        return sample(strategy, TRIALS)
    generator, cases = random.Random(0), []
    try:
        for _ in range(TRIALS):
            cases.append(draw_plainly(strategy, generator)[0])
    except Nothing:
        pass
    return cases


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()] or ["no message"]
    return f"{type(error).__name__}: {lines[0].strip()[:200]}"


def restricted(
    row: Row, lane: Lane, supports: Supports | None, learnt: Mapping[str, Any], dtype: Dtype | None
) -> st.SearchStrategy[Case]:
    """The lane's cases that the caller selects and the implementation supports."""
    strategy = narrow(row.strategy(lane=lane), supports)
    own = dict(supports) if isinstance(supports, Mapping) else {}
    strategy = narrow(strategy, {**learnt, **own})
    if dtype is not None:
        strategy = narrowed(strategy, lambda case: case.dtype == dtype)
    op = row.backward_of or row  # the upstream gradient of a backward pass is added to the case last
    return narrowed(strategy, lambda case: _valid(op, case)) if supports or learnt else strategy


def _valid(row: Row, case: Case) -> bool:
    try:
        return row.valid(case)
    except Declined:  # a user's oracle: the lane counts the case
        return True
