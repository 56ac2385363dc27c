"""Evidence about one failure besides the difference itself, as plain data for the report."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from parity.cases.case import Case
from parity.diagnosis.facets import Facet

Array: TypeAlias = npt.NDArray[Any]
Precision: TypeAlias = Literal["double", "extended", "exact"]


@dataclass(frozen=True)
class Comparison:
    """A wrong quantity entry by entry: arrays of one shape, and the worst entry."""

    yours: Array
    torchs: Array
    wrong: Array  # bool
    worst: tuple[int, ...]
    allowed: float  # error allowed at the worst entry; 0 if the result is exact
    referee: float  # the right value at the worst entry
    precision: Precision = "double"  # the precision of the right value

    @property
    def difference(self) -> Array:
        """yours − torch's, in double precision, 0 where both agree."""
        with np.errstate(invalid="ignore"):
            return np.where(self.wrong, self.yours.astype(np.float64) - self.torchs, 0.0)

    @property
    def errors(self) -> tuple[float, float]:
        """The errors of yours and torch's at the worst entry."""
        with np.errstate(invalid="ignore"):
            yours, torchs = float(self.yours[self.worst]), float(self.torchs[self.worst])
            return abs(yours - self.referee), abs(torchs - self.referee)


@dataclass(frozen=True)
class Condition:
    """A property that every failing case has, or lacks."""

    facet: Facet
    holds: bool
    failing: int  # cases with it that fail
    cases: int  # cases with it
    passing: int  # cases without it, none of which fails


@dataclass(frozen=True)
class Dependence:
    """The conditions of one quantity's failures, from random cases."""

    cases: int = 0
    failing: int = 0
    needed: tuple[Condition, ...] = ()  # each among the cases that satisfy the previous ones
    alike: tuple[Facet, ...] = ()  # properties that do not affect the failure


@dataclass(frozen=True)
class Change:
    """One change to the smallest case: an option or a dtype set to a value, or a size made larger by 1."""

    what: str
    value: Any = None

    def __str__(self) -> str:
        return f"one {self.what} more" if self.value is None else f"{self.what}={self.value!r}"


@dataclass(frozen=True)
class Variations:
    """The changes after which the smallest case still fails, and those after which it does not."""

    still: tuple[Change, ...] = ()
    no_more: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """The smallest case with its numbers, and the conditions of the failure."""

    differs: tuple[str, ...]  # quantities of this case
    agrees: tuple[str, ...]
    arrays: dict[str, Array]  # the arguments of the op, and dy
    comparison: Comparison | None  # None if there are no two arrays of one shape to compare
    dependence: Dependence = Dependence()
    varied: Variations = Variations()
    script: str | None = None  # stand-alone, with NumPy and torch
    wider: Comparison | None = None  # the same quantity on a larger case, which may show a pattern
    wider_case: Case | None = None
    layer: str | None = None  # the first wrong layer of a network

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        d = self.dependence
        return {
            "agrees": list(self.agrees),
            "random_cases": {"cases": d.cases, "failing": d.failing},
            "needed": [
                {"facet": facet_json(c.facet), "holds": c.holds, "failing": c.failing, "cases": c.cases,
                 "passing_without": c.passing}
                for c in d.needed
            ],
            "fails_with_and_without": [facet_json(facet) for facet in d.alike],
            "varied": {"fails": [*map(str, self.varied.still)], "passes": [*map(str, self.varied.no_more)]},
            "script": self.script,
            "layer": self.layer,
        }  # fmt: skip


def facet_json(facet: Facet) -> dict[str, Any]:
    """A facet as plain values."""
    return {"kind": facet.kind.value, "subject": facet.subject, "value": facet.value}
