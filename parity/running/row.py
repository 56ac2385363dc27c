"""Run a row through its lanes: Hypothesis draws the cases and shrinks what fails."""

import random
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from numpy_cnn.common.spec.errors import UserError
from parity.cases.case import Case, Dtype, Lane
from parity.cases.journal import Journal
from parity.cases.op import Op
from parity.cases.restrict import Supports, as_typed
from parity.cases.state import BUFFERS
from parity.lanes.comparison import Mismatch
from parity.lanes.facts import Difference
from parity.report import Evidence, Failure, RowReport, sentences
from parity.report.rerun import RerunFlags
from parity.rows.row import Row
from parity.running.accept import GUARDS, acceptable, fails
from parity.running.classify import classified
from parity.running.compare import differences_of
from parity.running.declines import Allowed
from parity.running.differentiate import differentiated
from parity.running.first_calls import require_entered
from parity.running.fuzz import fuzz
from parity.running.invalid import invalid_accepted, rejected, still_accepted
from parity.running.investigate import investigate
from parity.running.known import OF_NUMBERS, Known
from parity.running.lane import LaneSearch
from parity.running.probe import probe
from parity.running.progress import Progress
from parity.running.restrictions import check_dtype, check_supports, few, lanes_of, restricted
from parity.running.sandbox import sandboxed
from parity.subjects import Implementation


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
    exitfirst: bool = False,
    seconds: float | None = None,
    rerun: RerunFlags | None = None,
    progress: Progress | None = None,
) -> RowReport:
    """Compare `op` with the row's oracle on `examples` cases per lane.

    After a failure the search continues for the other quantities, so that one mistake does not hide the next. A
    quantity is reported in the first lane that finds it wrong; consequences are not reported again.

    Args:
        row: the row.
        op: an op, or a result of `adapt`.
        examples: cases per lane.
        seed: the same seed draws the same cases.
        lanes: some of the row's; all if omitted.
        dtype: only cases of this precision.
        supports: the cases that the implementation supports; see `parity.cases.restrict`.
        accept: findings that are not failures, by name; see `acceptable`.
        strict: whether `special` and `contract` findings are failures too.
        exitfirst: stop after the first lane with a failure.
        seconds: fuzz each lane for this long, without Hypothesis; see `parity.running.fuzz`.
        rerun: how the check was started, for the failures' "again" line.
        progress: receives the events of the run.

    Raises:
        Unrecognised: it is unknown how to call the implementation.
        ArgumentError: an argument is invalid for the row.
    """
    wanted = [lane for lane in lanes_of(row, lanes) if lane not in Journal.skipped]
    accepted = acceptable(accept) | (frozenset() if strict else GUARDS)
    check_dtype(dtype)
    printed: list[str] = []
    with sandboxed(printed.append):
        check_supports(row, supports)
        run = _RowRun(row, op, supports, dtype, accepted, strict, rerun, progress or Progress())
        run.prepare()
        for lane in wanted:
            run.lanes.append(lane)
            run.lane(lane, examples, seed, seconds)
            if run.stopped or (exitfirst and run.report.failures):
                break
        else:
            if "structure" in wanted and not run.report.failures:  # differences of numbers first
                run.invalid()
    run.progress.finished()
    return run.finished(printed)


class _RowRun:
    """The state of a row's run: known differences, and what the implementation does not support."""

    def __init__(
        self,
        row: Row,
        op: Op,
        supports: Supports | None,
        dtype: Dtype | None,
        accepted: frozenset[str],
        strict: bool,
        rerun: RerunFlags | None,
        progress: Progress,
    ) -> None:
        self.row, self.op, self.supports, self.dtype = row, op, supports, dtype
        self.accepted, self.rerun, self.progress = accepted, rerun, progress
        self.implementation = op if isinstance(op, Implementation) else None
        self.report, self.known = RowReport(row.name, strict=strict), Known()
        self.learnt: dict[str, Any] = {}  # unsupported forms, found by probing
        self.reason = ""  # why it declined the last declined case
        self.lanes: list[Lane] = []  # those that were run
        self.stopped = False

    def prepare(self) -> None:
        """Determine what the implementation does not support."""
        if self.implementation is not None:
            row = self.row.backward_of or self.row
            self.op = self.implementation = implementation = probe(row, self.implementation, self.supports)
            self._learn(implementation.capabilities.narrows)
            require_entered(row, self.implementation, self.supports, self.learnt)
        if self.row.backward_of is not None:
            self.op = differentiated(self.row, self.op, self.supports, self.learnt)

    def lane(self, lane: Lane, examples: int, seed: int, seconds: float | None) -> None:
        """Search until the lane finds nothing new."""
        own = random.Random(f"{seed} {lane}").getrandbits(32)  # or all lanes would draw the same geometry
        if "numbers" in self.learnt and lane in HALVED:
            examples = max(1, examples // 2)
        before, counting = deepcopy(self.report), True
        while not self.stopped:
            search = self._search(lane, counting)
            fuzzing = seconds is not None and counting
            found = fuzz(search, seconds or 0.0, own) if fuzzing else search.run(examples, own)
            self.reason = search.reason or self.reason
            if self._learn(search.learnt):
                if counting:  # restart the lane with supported cases only
                    self.report = deepcopy(before)
                continue
            if found is None:
                break
            failures = len(self.report.failures)
            self.stopped = any(difference.aspect == "time" for difference in found.differences)
            self._record(lane, found, search)
            if counting and len(self.report.failures) == failures and not self.stopped and not fuzzing:
                self.report = _counted_again(before, self.report)  # after a note, the remaining cases still run
                continue
            counting = False
        self.progress.lane(lane, self.report)

    def invalid(self) -> None:
        """Call it with arguments that torch rejects, after all other calls, because the effects are unknown."""
        cases = few(restricted(self.row, "structure", self.supports, self.learnt, self.dtype))
        fixed = {*self.learnt, *(self.supports if isinstance(self.supports, dict) else ())}
        found = invalid_accepted(self.row, self.op, cases, fixed)
        if isinstance(found, str):
            self.report.notes.append(found)
        elif found is not None:
            self._file(found, found.differences[0], None)

    def finished(self, printed: list[str]) -> RowReport:
        """Return the report with notes on how it was called, what was excluded and what it printed."""
        report = self.report
        if self.stopped:
            report.notes.append("stopped at the time limit: nothing more was checked")
        if report.cases == 0 and report.declined:
            count = sum(report.declined.values())
            report.notes.append(f"the implementation declined all {count} cases; the last one: {self.reason}")
        elif report.cases == 0 and (self.supports is not None or self.dtype is not None):
            limits = [f"supports={self.supports!r}"] if self.supports is not None else []
            limits += [f"dtype={self.dtype!r}"] if self.dtype is not None else []
            report.notes.append(f"no case of the lanes {', '.join(self.lanes)} fits {' and '.join(limits)}")
        if self.implementation is not None:
            report.notes[:0] = [*self.implementation.notes, *printed]
            if self.row.state_bound is not None and not any(self._has_state(name) for name in BUFFERS):
                report.notes.append("its running statistics are not compared")
        if "numbers" in self.learnt and report.cases:
            limit = self.learnt["numbers"]
            report.notes.append(
                f"large arrays need much time or memory: checked on arrays of at most {limit} numbers in total, "
                f"and the {' and '.join(HALVED)} lanes on half as many cases; "
                f"for larger ones: --supports numbers={10 * limit}"
            )
        if report.cases:
            report.notes += support_notes(self.learnt)
        return report

    def _has_state(self, name: str) -> bool:
        return name in self.report.quantities or any(self.known.has(name, aspect) for aspect in OF_NUMBERS)

    def _search(self, lane: Lane, counting: bool) -> LaneSearch:
        settled = {*self.learnt, *(self.supports if isinstance(self.supports, dict) else ())}
        dtype = self.dtype or self._exact_dtype(lane)
        strategy, rare = restricted(self.row, lane, self.supports, self.learnt, dtype), None
        if "numbers" in self.learnt:  # an index of 8 bits overflows only in an array of more numbers than that
            larger = {**self.learnt, "numbers": RARE * self.learnt["numbers"]}
            rare = restricted(self.row, lane, self.supports, larger, dtype)
        return LaneSearch(
            self.row, self.op, lane, strategy, self.known, self.report, self.progress,
            rare=rare, settled=settled, restricted=self.supports is not None, counting=counting, fails=self._fails,
        )  # fmt: skip

    def _exact_dtype(self, lane: Lane) -> Dtype | None:
        """float64 where a constant of the implementation, such as 0.2, would round differently in float32."""
        constants = [value for value in self.learnt.values() if isinstance(value, float)]
        rounded = any(not (value * 2**DYADIC).is_integer() for value in constants)
        return "float64" if rounded and lane in ("exact", "structure") else None

    def _fails(self, difference: Difference) -> bool:
        return fails(difference, self.accepted, self.report.strict)

    def _learn(self, learnt: Mapping[str, Any]) -> bool:
        """Add new restrictions; return whether there are any."""
        before = dict(self.learnt)
        for word, value in learnt.items():
            self.learnt.setdefault(word, value)
        return self.learnt != before

    def _record(self, lane: Lane, found: Mismatch, search: LaneSearch) -> None:
        wanted = self.supports if callable(self.supports) else {**self.learnt, **(self.supports or {})}
        first = found
        found, evidence = investigate(
            self.row,
            self.op,
            lane,
            found,
            wanted,
            self.known,
            search.strategy,
            slow=search.slow,
            fails=self._fails,
        )
        news = [d for d in found.differences if not self.known.has(d.quantity, d.aspect)]
        for difference in news or first.differences:  # each restart adds a restriction, so the search ends
            self.known.add(difference)
        for difference in news:
            self._file(found, difference, evidence.get(difference.quantity))

    def _file(self, found: Mismatch, difference: Difference, evidence: Evidence | None) -> None:
        """Add a finding to the failures or the notes."""
        failure = Failure(
            self.row.name,
            found.lane,
            found.case,
            difference,
            sentences.diagnosis(difference),
            None if self.implementation is None else self.implementation.place(difference.quantity),
            rerun=self.rerun,
            evidence=evidence,
        )
        self.report.add(failure, self.accepted)


def _probed(row: Row, op: Op, supports: Supports | None) -> Op:
    if isinstance(op, Implementation):
        op = probe(row.backward_of or row, op, supports)
    return op if row.backward_of is None else differentiated(row, op, supports, {})


HALVED: tuple[Lane, ...] = ("structure", "special")  # lanes that call an implementation several times per case
RARE = 10  # times as many numbers in the few cases of rare sizes as in the others, for slow implementations
DYADIC = 16  # bits after the binary point of a constant in either precision


def _counted_again(before: RowReport, found: RowReport) -> RowReport:
    """The report from before the lane, with the findings of the lane."""
    return replace(deepcopy(before), failures=found.failures, accepted=found.accepted, tolerated=found.tolerated)


# Not listed here: upstream and numbers have separate notes, and torch converts a padding in words to a number.
QUIET = ("upstream", "same", "numbers")


def support_notes(learnt: Mapping[str, Any]) -> list[str]:
    """Notes on the only values that the implementation supports, and on values that it does not support."""
    only, excluded = [], []
    for word, value in learnt.items():
        if word in QUIET:
            continue
        if not isinstance(value, Allowed):
            only += as_typed({word: value})
        elif value.excluded is None:
            only.append(f"{word}={value}")
        elif value.excluded:
            excluded.append(f"{word}={value}")
    notes = []
    if only:
        notes.append(f"checked only with {' '.join(only)}: the implementation supports nothing else")
    if excluded:
        notes.append(f"not checked with {', '.join(excluded)}: the implementation does not support it")
    return notes


def run_case(
    row: Row,
    op: Op,
    lane: Lane,
    case: Case,
    *,
    supports: Supports | None = None,
    accept: Iterable[str] = (),
    strict: bool = False,
) -> list[Difference]:
    """Return the differences on one case that are failures.

    Raises:
        Declined: the implementation does not support it.
        UserError: the case is not valid.
        ValueError: a name in `accept` is unknown.
    """
    accepted = acceptable(accept) | (frozenset() if strict else GUARDS)
    check_supports(row, supports)
    if lane == "structure" and rejected(row, case) is not None:
        with sandboxed():
            op = _probed(row, op, supports)
            return [d for d in still_accepted(row, op, case) if fails(d, accepted, strict)]
    if not row.valid(case):
        raise UserError(f"torch rejects this case, or answers it out of bounds: {case}")
    with sandboxed():
        op = _probed(row, op, supports)
        found = Mismatch(lane, case, differences_of(row, op, lane, case)[1])
        if accepted and found.differences:
            found = classified(row, op, found, supports)
    return [d for d in found.differences if fails(d, accepted, strict)]
