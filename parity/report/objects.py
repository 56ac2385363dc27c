"""The results of a run as plain data and as JSON; this module renders no text."""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from parity.cases.case import Case, Lane
from parity.diagnosis.evidence import Evidence
from parity.lanes.facts import Aspect, Difference, Fact, Side, Verdict
from parity.lanes.trust import WEIGHED, too_few
from parity.report.coverage import Coverage
from parity.report.rerun import RerunFlags

SCHEMA = 2
RowVerdict = Literal["wrong", "convention", "special", "contract", "not checked", "proves too little", "agrees"]
FORMULAS = ("values", "form", "ties")  # aspects that a formula determines; formulas do not cover NaN and −0


@dataclass(frozen=True)
class Failure:
    """One quantity of one row that disagrees, on the smallest case found."""

    row: str
    lane: Lane
    case: Case
    difference: Difference
    diagnosis: str  # the difference in words, for people
    place: str | None = None  # file:line of the function at fault
    rerun: RerunFlags | None = None  # the flags that repeat the check; None if no command can express it
    evidence: Evidence | None = field(default=None, compare=False)

    @property
    def quantity(self) -> str:
        """output, grad_input, grad_weight, …"""
        return self.difference.quantity

    @property
    def fact(self) -> Fact:
        """The finding as data."""
        return self.difference.fact

    @property
    def verdict(self) -> Verdict:
        """wrong, convention, special or contract."""
        return self.difference.verdict

    @property
    def aspect(self) -> Aspect:
        """The aspect of the quantity that disagrees."""
        return self.difference.aspect

    @property
    def wrong_side(self) -> Side:
        """implementation, oracle, both; undecided if no referee is more accurate than both."""
        return self.difference.wrong_side

    @property
    def explanation(self) -> str | None:
        """The name of the mistake that reproduces the result: kernel-flipped, doubled, …; None if unknown."""
        return self.difference.explanation

    @property
    def convention(self) -> str | None:
        """The name of the convention for `accept=[…]`; None for other verdicts."""
        return self.difference.accept_as if self.verdict is Verdict.CONVENTION else None

    @property
    def formula(self) -> str | None:
        """The formula that the result contradicts; None without an explanation."""
        from parity.rows.registry import (
            ROWS,
        )  # imported here because it imports torch, which a saved report does not need

        if not self.explanation or self.aspect not in FORMULAS or self.row not in ROWS:
            return None
        return ROWS[self.row].formulas.get(self.quantity)

    def __str__(self) -> str:
        return f"{self.row}: {self.quantity} in the {self.lane} lane: {self.verdict}: {self.diagnosis}"

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        values: dict[str, Any] = {
            "quantity": self.quantity,
            "lane": self.lane,
            "case": self.case.to_json(),
            "diagnosis": self.diagnosis,
            "fact": fact_json(self.fact),
            "wrong_side": self.wrong_side,
            "verdict": self.verdict.value,
            "aspect": self.aspect,
            "accept": self.difference.accept_as,
            "place": self.place,
            "explanation": self.explanation,
            "formula": self.formula,
        }
        if self.evidence is not None:
            values |= self.evidence.to_json()
        return values


def fact_json(fact: Any) -> Any:
    """Convert a fact to plain values, recursively: its kind and its fields."""
    if not is_dataclass(fact):
        return [*fact] if isinstance(fact, tuple) else plain_number(fact) if isinstance(fact, float) else fact
    fields_ = {f.name: fact_json(getattr(fact, f.name)) for f in fields(fact)}
    return {"kind": type(fact).__name__, **fields_}


def plain_number(value: float) -> float | str:
    """Convert a number for JSON: NaN and ±inf become strings."""
    return value if math.isfinite(value) else str(value)


@dataclass
class RowReport:
    """The result of one row: cases by lane, the worst error of each quantity, and the findings."""

    name: str
    lanes: dict[Lane, int] = field(default_factory=dict)
    quantities: dict[str, float] = field(default_factory=dict)  # as a fraction of the bound
    failures: list[Failure] = field(default_factory=list)
    declined: dict[Lane, int] = field(default_factory=dict)  # NotImplementedError raised; not among the cases
    accepted: list[Failure] = field(default_factory=list)  # findings named in `accept=[…]`
    tolerated: list[Failure] = field(default_factory=list)  # special and contract findings, unless strict
    notes: list[str] = field(default_factory=list)  # remarks on how the row was checked, one sentence each
    trusted: dict[Lane, int] = field(default_factory=dict)  # cases that are evidence, in the lanes exact and bound
    mistrusted: dict[Lane, int] = field(default_factory=dict)  # weak evidence: see parity.lanes.trust
    coverage: Coverage = field(default_factory=Coverage)
    strict: bool = False  # whether special and contract findings fail

    def add(self, failure: Failure, accept: Collection[str] = ()) -> None:
        """File a finding under failures, notes or accepted ones, worst first."""
        tolerable = failure.verdict in (Verdict.SPECIAL, Verdict.CONTRACT)
        kept = (
            self.accepted
            if failure.difference.accept_as in accept
            else self.tolerated
            if tolerable and not self.strict
            else self.failures
        )
        kept.append(failure)
        kept.sort(key=lambda found: found.verdict.severity)

    @property
    def cases(self) -> int:
        """Cases over all lanes."""
        return sum(self.lanes.values())

    @property
    def vacuous(self) -> list[Lane]:
        """Lanes with too few trusted cases; the row fails if there is one."""
        return [
            lane
            for lane, mistrusted in self.mistrusted.items()
            if too_few(self.trusted.get(lane, 0), self.trusted.get(lane, 0) + mistrusted)
        ]

    @property
    def verdict(self) -> RowVerdict:
        """The verdict of the worst failure; without failures: agrees, not checked, or proves too little."""
        if self.failures:
            return self.failures[0].verdict.value
        if not self.cases:
            return "not checked"
        return "proves too little" if self.vacuous else "agrees"

    @property
    def ok(self) -> bool:
        """Whether the row agrees on enough trusted cases."""
        return self.verdict == "agrees"

    def count(self, lane: Lane, case: Case, fractions: dict[str, float], trusted: bool | None) -> None:
        """Count a case on which both sides agree; `trusted` is None in the structure and special lanes."""
        self.coverage.add(case, fractions if lane == "bound" else None)
        if trusted is not None and lane in WEIGHED:
            counts = self.trusted if trusted else self.mistrusted
            counts[lane] = counts.get(lane, 0) + 1

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        failed = {failure.lane for failure in self.failures}
        return {
            "name": self.name,
            "ok": self.ok,
            "verdict": self.verdict,
            "strict": self.strict,
            "cases": self.cases,
            "lanes": {
                lane: {"cases": cases, "ok": lane not in failed and lane not in self.vacuous}
                for lane, cases in self.lanes.items()
            },
            "declined": dict(self.declined),
            "mistrusted": dict(self.mistrusted),
            "quantities": {
                name: {"worst_fraction_of_bound": plain_number(worst)} for name, worst in self.quantities.items()
            },
            "coverage": self.coverage.ranges(),
            "failures": [failure.to_json() for failure in self.failures],
            "notes": [failure.to_json() for failure in self.tolerated],
            "accepted": [failure.to_json() for failure in self.accepted],
            "remarks": self.notes,
        }


@dataclass
class Results:
    """The rows of a run; `ok` if all of them agree and at least one case ran."""

    rows: list[RowReport]
    seed: int
    examples: int
    shard: str | None = None  # I/N, for a part of a run

    @property
    def ok(self) -> bool:
        """Whether every row agrees; False if no case ran."""
        return self.cases > 0 and all(row.ok for row in self.rows)

    @property
    def cases(self) -> int:
        """Cases over all rows."""
        return sum(row.cases for row in self.rows)

    @property
    def failures(self) -> list[Failure]:
        """The failures of all rows, worst first."""
        return _worst_first(failure for row in self.rows for failure in row.failures)

    @property
    def notes(self) -> list[Failure]:
        """Special and contract findings that did not fail, worst first."""
        return _worst_first(failure for row in self.rows for failure in row.tolerated)

    @property
    def acceptable(self) -> list[str]:
        """The names to pass as `accept` to ignore every finding that is not wrong."""
        names = [failure.difference.accept_as for failure in (*self.failures, *self.notes)]
        return list(dict.fromkeys(name for name in names if name is not None))

    def to_json(self) -> dict[str, Any]:
        """Plain values; `--json` writes the same."""
        rows = [row.to_json() for row in self.rows]
        run = {"schema": SCHEMA, "ok": self.ok, "seed": self.seed, "examples": self.examples}
        return run | ({} if self.shard is None else {"shard": self.shard}) | {"rows": rows}


def _worst_first(failures: Iterable[Failure]) -> list[Failure]:
    return sorted(failures, key=lambda failure: failure.verdict.severity)
