"""The exam: find every planted bug as specified, without naming it wrongly, and flag nothing correct.

Cases are drawn without Hypothesis and failures are not shrunk: the first failure ends a search. The same seed
draws the same cases, so an exam is reproducible.
"""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from parity.cases.case import Case, Lane
from parity.cases.op import Op
from parity.cases.primitives import draw_plainly
from parity.cases.torch_op import own_kernels
from parity.exam import CORRECT, PLANTED, Correct, Planted
from parity.exam.bug import BY_LANE
from parity.lanes.comparison import Mismatch
from parity.lanes.facts import Difference
from parity.naming import Observation, explain
from parity.report.sentences import diagnosis
from parity.rows.registry import ROWS
from parity.rows.row import Row
from parity.running.compare import differences_of
from parity.running.invalid import invalid_accepted
from parity.running.sandbox import sandboxed
from parity.subjects import Declined, adapt

Naming = Literal["rightly", "wrongly", "by its lane", "not"]
SPEAK_FOR_THEMSELVES = {
    "dtype",
    "purity",
    "memory",
    "invalid",
}  # aspects that need no explanation besides their message


@dataclass(frozen=True)
class Caught:
    """The first case that fails."""

    lane: Lane
    case: Case
    differences: list[Difference]
    cases: int  # compared so far, in all lanes


@dataclass(frozen=True)
class Outcome:
    """The result for one implementation."""

    row: str
    name: str
    description: str
    wrong: bool  # whether it is a planted bug
    source: str = ""
    expected: tuple[str, ...] = ()
    lane: Lane | None = None  # the first that found a difference
    quantities: tuple[str, ...] = ()
    aspects: tuple[str, ...] = ()
    message: str = ""
    case: str = ""
    cases: int = 0
    names: dict[str, str] = field(default_factory=dict)  # quantity → the explanation given
    seconds: float = 0.0  # processor time of the search for names, after the bug was found

    @property
    def caught(self) -> bool:
        """Whether it was found to differ from torch."""
        return self.lane is not None

    @property
    def named(self) -> Naming:
        """Rightly if every part of every explanation is one of the expected ones."""
        if not self.names:
            return "by its lane" if self.aspects and {*self.aspects} <= SPEAK_FOR_THEMSELVES else "not"
        parts = {part for name in self.names.values() for part in name.split("+")}
        return "rightly" if parts <= {*self.expected} else "wrongly"

    @property
    def passed(self) -> bool:
        """A bug that was found and not misnamed, or a correct implementation that was not flagged."""
        return (self.caught and self.named != "wrongly") if self.wrong else not self.caught

    def to_json(self) -> dict[str, Any]:
        """Plain values without the seconds, so that the same exam gives the same file."""
        values = asdict(self) | {"named": self.named, "passed": self.passed}
        del values["seconds"]
        return values


def first_failure(
    row: Row,
    op: Op,
    examples: int,
    seed: int,
    counts: Callable[[list[Difference]], bool] = bool,
    lanes: Sequence[Lane] = (),
) -> tuple[Caught | None, int]:
    """The first failing case, lane by lane, and the number of cases compared.

    Args:
        row: the row that defines the comparison.
        op: the implementation.
        examples: cases per lane.
        seed: the same seed draws the same cases.
        counts: decides whether differences are a failure; by default any difference is.
        lanes: the lanes in order; by default the row's.
    """
    op, compared = adapt(op), 0
    for lane in lanes or row.lanes:
        strategy = row.strategy(lane=lane)
        generator = random.Random(f"{seed} {lane}")  # each lane draws its own cases
        with sandboxed(), nullcontext() if lane == "bound" else own_kernels():  # as in a check
            for _ in range(examples):
                case, _ = draw_plainly(strategy, generator)
                try:
                    with nullcontext() if lane == "bound" else own_kernels():
                        _, differences = differences_of(row, op, lane, case)
                except Declined:
                    continue
                compared += 1
                if counts(differences):
                    return Caught(lane, case, differences, compared), compared
    return None, compared


def as_written(bug: Planted) -> Callable[[list[Difference]], bool]:
    """Return a test for the differences that the bug specifies: in its quantities and aspects, no crash."""

    def counts(differences: list[Difference]) -> bool:
        return any(d.aspect in bug.aspects and (not bug.reaches or d.quantity in bug.reaches) for d in differences)

    return counts


def find(entry: Planted | Correct, examples: int, seed: int) -> tuple[Caught | None, int]:
    """The first case that fails as specified by the author, and the number of cases compared."""
    row = ROWS[entry.row]
    if not isinstance(entry, Planted):
        return first_failure(row, entry.op, examples, seed)
    if entry.explanations == {"accepts-invalid"}:
        return _accepted(row, entry.op, examples, seed)
    return first_failure(row, entry.op, examples, seed, as_written(entry), lanes_for(entry))


def _accepted(row: Row, op: Op, examples: int, seed: int) -> tuple[Caught | None, int]:
    """The first case that torch rejects and the op accepts."""
    strategy, generator = row.strategy(lane="structure"), random.Random(f"{seed} invalid")
    with sandboxed():
        cases = (draw_plainly(strategy, generator)[0] for _ in range(examples))
        found = invalid_accepted(row, adapt(op), cases, ())
    if not isinstance(found, Mismatch):
        return None, examples
    return Caught("structure", found.case, found.differences, examples), examples


def lanes_for(entry: Planted | Correct) -> tuple[Lane, ...]:
    """The row's lanes; the structure lane first for a bug that only it can find."""
    first = "structure" if isinstance(entry, Planted) and entry.aspects == BY_LANE else ROWS[entry.row].lanes[0]
    return tuple(sorted(ROWS[entry.row].lanes, key=lambda lane: lane != first))


def sit(entry: Planted | Correct, examples: int, seed: int, naming: bool = True) -> Outcome:
    """Search for the mistake of one implementation, then for its name."""
    row, seconds = ROWS[entry.row], 0.0
    caught, compared = find(entry, examples, seed)
    found_values: dict[str, Any] = {"wrong": isinstance(entry, Planted), "cases": compared}
    if isinstance(entry, Planted):
        found_values |= {"source": entry.source, "expected": tuple(sorted(entry.explanations))}
    if caught is not None:
        quantities = tuple(dict.fromkeys(difference.quantity for difference in caught.differences))
        found_values |= {
            "lane": caught.lane,
            "quantities": quantities,
            "aspects": tuple(dict.fromkeys(difference.aspect for difference in caught.differences)),
            "message": diagnosis(caught.differences[0]),
            "case": str(caught.case),
        }
        if naming and found_values["wrong"]:
            begun = time.process_time()
            unnamed = {d.quantity for d in caught.differences if d.aspect not in SPEAK_FOR_THEMSELVES}
            found_values["names"] = _names(row, entry.op, caught, [q for q in quantities if q in unnamed])
            seconds = time.process_time() - begun
    return Outcome(entry.row, entry.name, entry.description, **found_values, seconds=seconds)


def _names(row: Row, op: Op, caught: Caught, quantities: Sequence[str]) -> dict[str, str]:
    with sandboxed():
        observation = Observation(row, adapt(op), caught.lane)
        found = {quantity: explain(observation, quantity, caught.case, caught.lane) for quantity in quantities}
    return {quantity: explanation.name for quantity, explanation in found.items() if explanation is not None}


def hold(rows: Sequence[str], examples: int, seed: int, naming: bool = True) -> Iterator[Outcome]:
    """Yield the outcomes for these rows as they complete, from one process per core."""
    entries = [(False, i) for i, entry in enumerate(CORRECT) if entry.row in rows]
    entries += [(True, i) for i, entry in enumerate(PLANTED) if entry.row in rows]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    spawning = multiprocessing.get_context("spawn")  # a fork of a process that has loaded torch may hang
    with ProcessPoolExecutor(cores, mp_context=spawning, initializer=_leave_interrupts_to_the_parent) as pool:
        running = [pool.submit(_sit, planted, place, examples, seed, naming) for planted, place in entries]
        try:
            for done in as_completed(running):
                yield done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _sit(planted: bool, place: int, examples: int, seed: int, naming: bool) -> Outcome:
    return sit((PLANTED if planted else CORRECT)[place], examples, seed, naming)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
