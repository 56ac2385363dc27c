"""What a run has found, as objects and as JSON."""

from dataclasses import dataclass, field
from typing import Any

from rich.console import RenderableType

from parity.cases.case import Case, Lane
from parity.diagnosis.evidence import Evidence
from parity.lanes.facts import Aspect, Difference, Fact, Side, Verdict
from parity.lanes.trust import WEIGHED, too_few
from parity.report import terminal
from parity.report.coverage import Coverage
from parity.report.rerun import RerunFlags

SCHEMA = 1
FORMULAS = ("values", "form", "ties", "special")  # what of a quantity its formula says


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
        return self.explanation if self.verdict is Verdict.CONVENTION else None

    @property
    def formula(self) -> str | None:
        """What the quantity should be, for a failure whose explanation contradicts it."""
        from parity.rows.registry import ROWS  # torch comes with it, which a report read from a file does without

        if not self.explanation or self.aspect not in FORMULAS or self.row not in ROWS:
            return None
        return ROWS[self.row].formulas.get(self.quantity)

    def __str__(self) -> str:
        return terminal.render_failure(self)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        told: dict[str, Any] = {
            "quantity": self.quantity,
            "lane": self.lane,
            "case": self.case.to_json(),
            "diagnosis": self.diagnosis,
            "wrong_side": self.wrong_side,
            "verdict": self.verdict,
            "aspect": self.aspect,
            "place": self.place,
            "convention": self.convention,
            "explanation": self.explanation,
            "formula": self.formula,
        }
        if self.evidence is not None:
            told |= {
                "agrees": list(self.evidence.agrees),
                "fails": list(self.evidence.needed),
                "varied": list(self.evidence.varied),
                "fails_with_and_without": list(self.evidence.alike),
                "script": self.evidence.script,
            }
        return told


@dataclass
class RowReport:
    """What one row went through: cases by lane, the worst error of each quantity, and failures."""

    name: str
    lanes: dict[Lane, int] = field(default_factory=dict)
    quantities: dict[str, float] = field(default_factory=dict)  # as a fraction of the bound
    failures: list[Failure] = field(default_factory=list)
    declined: dict[Lane, int] = field(default_factory=dict)  # NotImplementedError raised; not among the cases
    accepted: list[Failure] = field(default_factory=list)  # found, and named in `accept=[…]`
    notes: list[str] = field(default_factory=list)  # what was done or left out, a sentence each
    trusted: dict[Lane, int] = field(default_factory=dict)  # cases that are evidence, in the lanes exact and bound
    mistrusted: dict[Lane, int] = field(default_factory=dict)  # proves nothing: see parity.lanes.trust
    coverage: Coverage = field(default_factory=Coverage)

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
    def ok(self) -> bool:
        """Whether the row agrees, on cases that are evidence."""
        return not self.failures and not self.vacuous

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
            "cases": self.cases,
            "lanes": {
                lane: {"cases": cases, "ok": lane not in failed and lane not in self.vacuous}
                for lane, cases in self.lanes.items()
            },
            "mistrusted": dict(self.mistrusted),
            "quantities": {name: {"worst_fraction_of_bound": worst} for name, worst in self.quantities.items()},
            "coverage": self.coverage.ranges(),
            "failures": [failure.to_json() for failure in self.failures],
        }


@dataclass
class Report:
    """The rows of a run; `ok` where all of them agree and at least one case ran."""

    rows: list[RowReport]
    seed: int
    examples: int

    @property
    def ok(self) -> bool:
        """Whether everything agrees; nothing at all is no agreement."""
        return self.cases > 0 and all(row.ok for row in self.rows)

    @property
    def cases(self) -> int:
        """Cases over all rows."""
        return sum(row.cases for row in self.rows)

    @property
    def failures(self) -> list[Failure]:
        """The failures of all rows."""
        return [failure for row in self.rows for failure in row.failures]

    def to_json(self) -> dict[str, Any]:
        """Plain values; `--json` writes the same."""
        rows = [row.to_json() for row in self.rows]
        return {"schema": SCHEMA, "ok": self.ok, "seed": self.seed, "examples": self.examples, "rows": rows}

    def __str__(self) -> str:
        return "\n\n".join([*map(str, self.failures), f"{self.cases} cases: {self.verdict}"])

    @property
    def verdict(self) -> str:
        """The run in a few words."""
        if self.failures:
            return f"{len(self.failures)} disagreement{'s' * (len(self.failures) != 1)}"
        vacuous = [f"{row.name} ({', '.join(row.vacuous)})" for row in self.rows if row.vacuous]
        if vacuous:
            return f"no disagreement, but too few cases prove anything: {'; '.join(vacuous)}"
        return "all agree" if self.cases else "nothing ran, so nothing is known"

    def table(self) -> RenderableType:
        """One line a row: cases by lane, the worst errors as fractions of their bounds, the verdict."""
        return terminal.table_of(self)

    def to_html(self) -> str:
        """One page that needs nothing else; `--html` writes the same."""
        from parity.report import html

        return html.page(self)

    def _repr_html_(self) -> str:
        """For notebooks."""
        from parity.report import html

        return html.fragment(self)
