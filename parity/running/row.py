"""Run a row through its lanes: Hypothesis draws the cases and shrinks what fails."""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from numpy_cnn.common.spec.errors import UserError
from parity.cases.case import Case, Dtype, Lane
from parity.cases.primitives import narrowed
from parity.cases.restrict import Supports, known_words, narrow
from parity.cases.sample import sample
from parity.cases.torch_op import Op
from parity.diagnosis.explain import explain
from parity.diagnosis.shrink import with_small_numbers
from parity.lanes.comparison import Mismatch
from parity.lanes.facts import Difference
from parity.lanes.reference import expect
from parity.naming.catalogue import CONVENTIONS
from parity.report import Evidence, Failure, RowReport, sentences
from parity.rows.row import Row
from parity.running.classify import classified
from parity.running.fuzz import fuzz
from parity.running.lane import Known, LaneSearch, differences_of
from parity.running.sandbox import sandboxed
from parity.subjects import Declined, Implementation, ImplementationError

__all__ = ["acceptable", "check_words", "differences_of", "run_case", "run_row"]


ASPECTS = ("dtype", "memory", "layout", "empty", "ties", "special")
PROBES, PROBING_SECONDS = 6, 2.0


def run_row(
    row: Row,
    op: Op,
    *,
    examples: int,
    seed: int,
    lanes: Iterable[Lane] | None = None,
    dtype: Dtype | None = None,
    supports: Supports | None = None,
    accept: Iterable[str] = (),
    strict: bool = False,
    seconds: float | None = None,
    on_case: Callable[[], None] = lambda: None,
    on_found: Callable[[list[Difference]], None] = lambda _: None,
) -> RowReport:
    """Compare `op` with the row's oracle on so many cases a lane.

    After a failure the search goes on for the other quantities, so that one mistake does not hide the next. A
    quantity is reported in the first lane that finds it wrong; what follows from that is not reported again.
    Contract findings and a choice at ties hide only themselves.

    Args:
        row: what is compared.
        op: by the op law, or what `adapt` made of something else.
        examples: cases a lane.
        seed: the same seed draws the same cases.
        lanes: some of the row's; all if left out.
        dtype: cases of this precision alone.
        supports: what cases the implementation takes; see `parity.cases.restrict`.
        accept: what does not fail, by name; see `acceptable`.
        strict: whether special and contract findings fail; those of the row's own op always do.
        seconds: soak each lane for this long, without Hypothesis; see `parity.running.fuzz`.
        on_case: called after each case.
        on_found: called with the first differences of a lane, before they are shrunk.

    Raises:
        Unrecognised: it cannot be told how to call the implementation.
        ValueError: there is nothing of a name in `accept` or `supports`.
    """
    accepted = acceptable(accept)
    if isinstance(supports, dict):
        check_words(row, supports)
    held = op is row.op or getattr(op, "written", None) is row.op
    report = RowReport(row.name, strict=strict or held)
    implementation = op if isinstance(op, Implementation) else None
    note = None if implementation is None else implementation.note
    with sandboxed(note):
        fixed = dict(supports) if isinstance(supports, dict) else {}
        if implementation is not None:
            implementation.fix(fixed)
            _probe(row, implementation, supports, fixed)
        known, declined, stopped = Known(), None, False
        for lane in row.lanes if lanes is None else [lane for lane in row.lanes if lane in lanes]:
            counting: Callable[[], None] | None = on_case
            while not stopped:
                strategy = narrow(row.strategy(lane=lane), supports)
                shown = {} if implementation is None else _all_narrows(implementation, fixed)
                if implementation is not None:
                    strategy = narrow(strategy, shown | fixed)
                if dtype is not None:
                    strategy = narrowed(strategy, lambda case: case.dtype == dtype)
                search = LaneSearch(row, op, lane, strategy, known, report, counting)
                search.on_found = on_found
                soaking = seconds is not None and counting is not None
                own = random.Random(f"{seed} {lane}").getrandbits(32)  # or all lanes would see the same geometry
                found = fuzz(search, seconds or 0.0, own) if soaking else search.run(examples, own)
                declined = search.declined or declined
                if found is None:
                    break
                if implementation is not None and shown != _all_narrows(implementation, fixed):
                    continue  # it has shown only now what it does not take: such a case says nothing of it
                counting = None
                stopped = any(difference.aspect == "time" for difference in found.differences)
                wanted = supports if callable(supports) else _narrows_of(op) | fixed
                first = found
                found, evidence = _followed(row, op, lane, found, wanted, search)
                news = [d for d in found.differences if not known.has(d.quantity, d.aspect)]
                for difference in news or first.differences:  # something is learnt each time: the search ends
                    known.add(difference)
                for difference in news:
                    failure = _failure(row, op, found, difference, evidence.get(difference.quantity))
                    report.add(failure, accepted)
    if stopped:
        report.notes.append("stopped at the time limit: nothing more was checked")
    if report.cases == 0 and not report.failures:
        _nothing_ran(row, report, declined, supports)
    if implementation is not None:
        report.notes[:0] = implementation.notes
        left_out = {
            name: value for name, value in implementation.narrows.items() if name not in ("rank", "upstream")
        }
        if left_out:
            values = ", ".join("no pairs" if n == "pairs" else f"{n}={v!r}" for n, v in left_out.items())
            report.notes.append(f"checked with {values} alone, for it has no more")
    return report


def run_case(
    row: Row, op: Op, lane: Lane, case: Case, *, supports: Supports | None = None, accept: Iterable[str] = ()
) -> list[Difference]:
    """The differences on one case, those left out that are accepted.

    Raises:
        Declined: the implementation does not do it.
        UserError: the case is not valid.
        ValueError: there is nothing of a name in `accept`.
    """
    accepted = acceptable(accept)
    if not row.valid(case):
        raise UserError(f"torch rejects this case, or answers it out of bounds: {case}")
    if isinstance(op, Implementation) and isinstance(supports, dict):
        op.fix(supports)
    with sandboxed():
        found = Mismatch(lane, case, differences_of(row, op, lane, case)[1])
        if accepted and found.differences:
            found = classified(row, op, found, supports)
    return [d for d in found.differences if d.accept_as not in accepted]


def acceptable(names: Iterable[str]) -> frozenset[str]:
    """The names: those of conventions, of contract findings (dtype, memory, layout, empty), and ties and special.

    Raises:
        ValueError: one of them is neither.
    """
    known = [*CONVENTIONS, *ASPECTS]
    names = [names] if isinstance(names, str) else [*names]
    names = ["memory" if name == "purity" else name for name in names]  # what of purity is not wrong, in schema 1
    for name in names:
        if name not in known:
            raise ValueError(f"accept: there is no {name!r}; there are {', '.join(known)}")
    return frozenset(names)


def check_words(row: Row, supports: dict[str, Any]) -> None:
    """Raise ValueError where `supports` names what cases of the row do not have."""
    (case,) = sample(row.strategy(lane=row.lanes[0]), 1)
    for name in supports:
        if name not in known_words(case):
            raise ValueError(
                f"supports: {row.name} has no {name!r}; it has {', '.join(sorted(known_words(case)))}"
            )


def _probe(row: Row, implementation: Implementation, supports: Supports | None, fixed: dict[str, Any]) -> None:
    """Call it a few times to learn which options it has; what fails, fails again under the lanes' eyes."""
    lane: Lane = "bound" if "bound" in row.lanes else row.lanes[0]
    until = time.monotonic() + PROBING_SECONDS
    for round_ in range(3):
        before = dict(implementation.narrows)
        strategy = narrow(narrow(row.strategy(lane=lane), supports), _all_narrows(implementation, fixed))
        for case in sample(strategy, PROBES, seed=round_):
            try:
                expected = expect(row, case, lane)
                y, pullback = implementation(
                    *expected.inputs.private().arrays, **expected.inputs.private().options
                )
                if pullback is not None and y.shape == expected.dy.shape:
                    pullback(expected.dy.copy())
            except Declined as reason:
                for name, value in reason.narrows.items():
                    implementation.narrows.setdefault(name, value)
            except (
                ImplementationError,
                RuntimeError,
                ValueError,
                IndexError,
            ):  # torch's are for the lanes as well
                pass
            if time.monotonic() > until:
                return
        if implementation.narrows == before:
            return


def _narrows_of(op: Op) -> dict[str, Any]:
    return _all_narrows(op, {}) if isinstance(op, Implementation) else {}


def _all_narrows(implementation: Implementation, fixed: dict[str, Any]) -> dict[str, Any]:
    upstream = {} if implementation.takes_upstream else {"upstream": 1}
    return {name: value for name, value in implementation.narrows.items() if name not in fixed} | upstream


def _followed(
    row: Row, op: Op, lane: Lane, found: Mismatch, supports: Supports, search: LaneSearch
) -> tuple[Mismatch, dict[str, Evidence]]:
    """The mismatch classified, on the simplest numbers, and what is known of it."""
    if any(difference.aspect == "time" for difference in found.differences):
        return found, {}
    slow = search.stopped
    try:
        found = classified(row, op, found, supports)
        # What was learnt of a difference holds for smaller cases too; the lane itself knows nothing of ties.
        kinds: dict[tuple[str, str], Difference] = {
            (d.quantity, "values" if d.aspect == "ties" else d.aspect): d for d in found.differences
        }

        def run(case: Case) -> list[Difference]:
            again = differences_of(row, op, lane, case)[1]
            same = [(d, kinds.get((d.quantity, d.aspect))) for d in again]
            return [
                d if k is None else replace(k, fact=d.fact, wrong_side=d.wrong_side)
                for d, k in same
                if not search.known.hides(d, lane)
            ]

        if not slow:
            found = with_small_numbers(found, expect(row, found.case, lane), run)

        def everything(case: Case) -> list[Difference]:
            return differences_of(row, op, lane, case)[1]

        return found, explain(row, op, lane, found.case, found.differences, everything, further=not slow)
    except (RuntimeError, ValueError, IndexError, Declined):  # torch, or the implementation, takes no such case
        return found, {}


def _failure(row: Row, op: Op, found: Mismatch, difference: Difference, evidence: Evidence | None) -> Failure:
    return Failure(
        row.name,
        found.lane,
        found.case,
        difference,
        sentences.diagnosis(difference),
        op.place(difference.quantity) if isinstance(op, Implementation) else None,
        evidence=evidence,
    )


def _nothing_ran(
    row: Row, report: RowReport, declined: tuple[Case, str] | None, supports: Supports | None
) -> None:
    """A note on why no case ran."""
    if declined is not None:
        _, reason = declined
        count = sum(report.declined.values())
        report.notes.append(
            f"not checked: it accepted none of {count} cases, and declined the last because: {reason}"
        )
    elif supports is not None:
        (case,) = sample(row.strategy(lane=row.lanes[0]), 1)
        report.notes.append(f"not checked: supports=… leaves no case; {case} is one that it leaves out")
