"""Investigate a mismatch: classify it, simplify its numbers, and find what it depends on."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st

from parity.cases.case import Case, Lane
from parity.cases.op import Op
from parity.cases.restrict import Supports
from parity.diagnosis.explain import explain
from parity.diagnosis.shrink import with_small_numbers
from parity.lanes.comparison import Mismatch
from parity.lanes.facts import Difference
from parity.lanes.reference import expect
from parity.report import Evidence
from parity.rows.row import Row
from parity.running.classify import classified
from parity.running.compare import differences_of
from parity.running.known import Known
from parity.subjects import Declined


def investigate(
    row: Row,
    op: Op,
    lane: Lane,
    found: Mismatch,
    supports: Supports,
    known: Known,
    strategy: st.SearchStrategy[Case],
    *,
    slow: bool,
    fails: Callable[[Difference], bool],
) -> tuple[Mismatch, dict[str, Evidence]]:
    """Return the classified mismatch on the simplest numbers, and the evidence.

    If no difference `fails`, it is only classified, because a note shows neither.
    """
    if any(difference.aspect == "time" for difference in found.differences):
        return found, {}
    try:
        found = classified(row, op, found, supports)
        if not any(map(fails, found.differences)):
            return found, {}
        # The classification also holds for smaller cases; the lane itself does not detect ties.
        kinds: dict[tuple[str, str], Difference] = {
            (d.quantity, "values" if d.aspect == "ties" else d.aspect): d for d in found.differences
        }

        def run(case: Case) -> list[Difference]:
            again = differences_of(row, op, lane, case)[1]
            same = [(d, kinds.get((d.quantity, d.aspect))) for d in again]
            return [
                d if k is None else replace(k, fact=d.fact, wrong_side=d.wrong_side)
                for d, k in same
                if not known.hides(d, lane)
            ]

        if not slow:
            found = with_small_numbers(found, expect(row, found.case, lane), run)

        def everything(case: Case) -> list[Difference]:
            return differences_of(row, op, lane, case)[1]

        return found, explain(row, op, lane, found.case, found.differences, everything, strategy, further=not slow)
    except (RuntimeError, ValueError, IndexError, Declined):  # torch or the implementation rejects the case
        return found, {}
