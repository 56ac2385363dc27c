"""What a run found, as plain data and as JSON: no text for people is made here."""

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
FORMULAS = ("values", "form", "ties")  # what of a quantity its formula states; none states what NaN or −0 give


@dataclass(frozen=True)
class Failure:
    """One quantity of one row that disagrees, on the smallest case found."""

    row: str
    lane: Lane
    case: Case
    difference: Difference
    diagnosis: str  # the difference in words, for people
    place: str | None = None  # file:line of the function at fault
    rerun: RerunFlags | None = None  # how to check the same again; None where no command can express it
    evidence: Evidence | None = field(default=None, compare=False)

    @property
    def quantity(self) -> str:
        """output, grad_input, grad_weight, …"""
        return self.difference.quantity

    @property
    def fact(self) -> Fact:
        """What was found, as data."""
        return self.difference.fact

    @property
    def verdict(self) -> Verdict:
        """wrong, convention, special or contract."""
        return self.difference.verdict

    @property
    def aspect(self) -> Aspect:
        """What of the quantity disagrees."""
        return self.difference.aspect

    @property
    def wrong_side(self) -> Side:
        """implementation, oracle, both; undecided where no referee is closer to the exact result than both."""
        return self.difference.wrong_side

    @property
    def explanation(self) -> str | None:
        """The name of the mistake, where the result was reproduced: kernel-flipped, doubled, …"""
        return self.difference.explanation

    @property
    def convention(self) -> str | None:
        """Its name for `accept=[…]`, where it is one."""
        return self.difference.accept_as if self.verdict is Verdict.CONVENTION else None

    @property
    def formula(self) -> str | None:
        """What the quantity should be, for a failure whose explanation contradicts it."""
        from parity.rows.registry import ROWS  # torch comes with it, which a report read from a file does without

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
    """A fact as plain values: its kind and its fields, and the same for a fact within it."""
    if not is_dataclass(fact):
        return [*fact] if isinstance(fact, tuple) else plain_number(fact) if isinstance(fact, float) else fact
    fields_ = {f.name: fact_json(getattr(fact, f.name)) for f in fields(fact)}
    return {"kind": type(fact).__name__, **fields_}


def plain_number(value: float) -> float | str:
    """A number as JSON has it: NaN and ±inf as text."""
    return value if math.isfinite(value) else str(value)


@dataclass
class RowReport:
    """What one row went through: cases by lane, the worst error of each quantity, and what was found."""

    name: str
    lanes: dict[Lane, int] = field(default_factory=dict)
    quantities: dict[str, float] = field(default_factory=dict)  # as a fraction of the bound
    failures: list[Failure] = field(default_factory=list)
    declined: dict[Lane, int] = field(default_factory=dict)  # NotImplementedError raised; not among the cases
    accepted: list[Failure] = field(default_factory=list)  # found, and named in `accept=[…]`
    tolerated: list[Failure] = field(default_factory=list)  # special and contract findings, where not strict
    notes: list[str] = field(default_factory=list)  # what was done or left out, one sentence each
    trusted: dict[Lane, int] = field(default_factory=dict)  # cases that are evidence, in the lanes exact and bound
    mistrusted: dict[Lane, int] = field(default_factory=dict)  # cases that prove nothing: see parity.lanes.trust
    coverage: Coverage = field(default_factory=Coverage)
    strict: bool = False  # whether special and contract findings fail

    def add(self, failure: Failure, accept: Collection[str] = ()) -> None:
        """Keep a finding: a failure by its verdict, unless it is accepted; worst first."""
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
        """Lanes in which too few cases prove anything; where there is one, the row fails."""
        return [
            lane
            for lane, mistrusted in self.mistrusted.items()
            if too_few(self.trusted.get(lane, 0), self.trusted.get(lane, 0) + mistrusted)
        ]

    @property
    def verdict(self) -> RowVerdict:
        """That of the worst failure; without one, agrees, unless no case ran or too few prove anything."""
        if self.failures:
            return self.failures[0].verdict.value
        if not self.cases:
            return "not checked"
        return "proves too little" if self.vacuous else "agrees"

    @property
    def ok(self) -> bool:
        """Whether the row agrees, on cases that are evidence; a row that was not checked does not."""
        return self.verdict == "agrees"

    def saw(self, lane: Lane, case: Case, fractions: dict[str, float], trusted: bool | None) -> None:
        """Count a case on which both sides agree; `trusted` is None in a lane that is not about numbers."""
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
    """The rows of a run; `ok` where all of them agree and at least one case ran."""

    rows: list[RowReport]
    seed: int
    examples: int
    shard: str | None = None  # I/N, for a part of a run

    @property
    def ok(self) -> bool:
        """Whether everything agrees; a run without a case does not."""
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
        """What `accept` could be given so that nothing is left but what is wrong."""
        names = [failure.difference.accept_as for failure in (*self.failures, *self.notes)]
        return list(dict.fromkeys(name for name in names if name is not None))

    def to_json(self) -> dict[str, Any]:
        """Plain values; `--json` writes the same."""
        rows = [row.to_json() for row in self.rows]
        run = {"schema": SCHEMA, "ok": self.ok, "seed": self.seed, "examples": self.examples}
        return run | ({} if self.shard is None else {"shard": self.shard}) | {"rows": rows}


def _worst_first(failures: Iterable[Failure]) -> list[Failure]:
    return sorted(failures, key=lambda failure: failure.verdict.severity)
