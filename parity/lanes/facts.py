"""The findings of a comparison as data: the broken contract, the array and the numbers.

`parity.report.sentences` renders each fact as text; all other code uses only its type and fields.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Literal, TypeAlias

Stage = Literal["forward", "pullback"]
# The aspect of a quantity that disagrees. `ties`: only where values tie or are at a kink; `special`: only at NaN,
# ±inf, −0; `normwise`: the normwise bound of fast algorithms holds, the elementwise bound does not; `precision`: a
# correct formula with a larger roundoff.
Aspect = Literal[
    "values",
    "form",
    "raised",
    "time",
    "ties",
    "special",
    "normwise",
    "precision",
    "dtype",
    "purity",
    "memory",
    "layout",
    "empty",
    "invalid",
    "default",
    "schedule",
]
Side = Literal["implementation", "oracle", "both", "undecided"]


class Verdict(StrEnum):
    """How serious a difference is, worst first.

    `wrong` always fails, `convention` unless accepted, `special` and `contract` only if strict.
    """

    WRONG = "wrong"
    CONVENTION = "convention"
    SPECIAL = "special"
    CONTRACT = "contract"

    @property
    def severity(self) -> int:
        """Sort key: 0 for the worst."""
        return [*Verdict].index(self)


class Layout(StrEnum):
    """A memory layout in which the structure lane passes the arrays."""

    FORTRAN = "Fortran-ordered"
    REVERSED = "negatively strided"
    STRIDED = "non-contiguous"
    READ_ONLY = "read-only"


@dataclass(frozen=True)
class _Fact:
    aspect: ClassVar[Aspect] = "form"
    verdict: ClassVar[Verdict] = Verdict.WRONG
    name: ClassVar[str | None] = None  # for facts that need no explanation: a name like that of an explanation


# ---- numbers


@dataclass(frozen=True)
class ValuesDiffer(_Fact):
    """Entries differ; the fields have the worst one."""

    wrong: int
    total: int
    index: tuple[int, ...]
    got: float
    expected: float
    aspect = "values"


@dataclass(frozen=True)
class OutsideBound(_Fact):
    """Errors exceed their bounds; the fields have the fractions of both sides."""

    values: ValuesDiffer
    fraction: float
    oracle_fraction: float
    aspect = "values"


@dataclass(frozen=True)
class NotTheDerivative(_Fact):
    """A gradient differs from the finite differences of the forward by more than their error."""

    values: ValuesDiffer
    fraction: float
    complex_step: bool
    aspect = "values"


Numbers: TypeAlias = ValuesDiffer | OutsideBound | NotTheDerivative


# ---- form


@dataclass(frozen=True)
class Missing(_Fact):
    """The quantity is None, or was not returned."""


@dataclass(frozen=True)
class Unexpected(_Fact):
    """A gradient where the oracle has none."""


@dataclass(frozen=True)
class WrongShape(_Fact):
    """Another shape than the oracle's."""

    got: tuple[int, ...]
    expected: tuple[int, ...]


@dataclass(frozen=True)
class NotNumbers(_Fact):
    """An array of objects, strings or complex numbers."""

    got: str
    expected: str


@dataclass(frozen=True)
class DtypeChanged(_Fact):
    """The right kind of array in another precision."""

    got: str
    expected: str
    aspect = "dtype"
    verdict = Verdict.CONTRACT
    name = "dtype-changed"


@dataclass(frozen=True)
class BadResult(_Fact):
    """The return value is not a valid result; `problem` is the message of `parity.subjects`."""

    problem: str


# ---- calls without a result


@dataclass(frozen=True)
class Raised(_Fact):
    """The implementation raised on a supported case."""

    stage: str  # forward or pullback
    exception: str
    message: str
    where: str | None  # file:line
    aspect = "raised"


@dataclass(frozen=True)
class ProcessEnded(_Fact):
    """The process of the implementation ended in a call."""

    stage: str
    how: str  # exited with code 3, was killed by SIGSEGV
    where: str | None  # file:line
    aspect = "raised"


@dataclass(frozen=True)
class TimedOut(_Fact):
    """A call did not finish within its time limit."""

    stage: str
    seconds: float
    where: str | None
    aspect = "time"


Error: TypeAlias = Raised | TimedOut | BadResult


@dataclass(frozen=True)
class EmptyRefused(_Fact):
    """It raised on arrays without entries, or its result has other empty axes."""

    error: Error | WrongShape
    aspect = "empty"
    verdict = Verdict.CONTRACT


@dataclass(frozen=True)
class InvalidAccepted(_Fact):
    """It returned a result although torch rejects the arguments."""

    rules: tuple[str, ...]  # what was changed in a valid case: stride=0, …
    reason: str  # torch's message for the first
    aspect = "invalid"
    verdict = Verdict.CONTRACT


@dataclass(frozen=True)
class DefaultDiffers(_Fact):
    """An omitted option has another value than torch's default."""

    option: str
    value: object  # torch's
    fact: "Fact"
    aspect = "default"
    verdict = Verdict.CONTRACT


@dataclass(frozen=True)
class ScheduleIgnored(_Fact):
    """The step size was changed between steps, and torch's steps follow it differently."""

    fact: "Fact"
    aspect = "schedule"
    verdict = Verdict.CONTRACT


@dataclass(frozen=True)
class LayoutRefused(_Fact):
    """It raised on arrays in another memory layout, but not on the same numbers in C order."""

    layout: Layout
    error: Error
    aspect = "layout"
    verdict = Verdict.CONTRACT


@dataclass(frozen=True)
class LayoutChangesResult(_Fact):
    """The same numbers in another memory layout give a different result."""

    layout: Layout
    fact: "Fact"
    aspect = "layout"


# ---- purity


@dataclass(frozen=True)
class ArgumentOverwritten(_Fact):
    """The implementation wrote to one of its arguments."""

    array: str  # torch's name of the argument; "dy" for the upstream gradient
    by: Stage
    aspect = "purity"

    @property
    def explanation(self) -> str:
        """The name of the explanation."""
        return "mutates-upstream" if self.array == "dy" else "mutates-input"


@dataclass(frozen=True)
class OutputOverwritten(_Fact):
    """The pullback wrote to the output."""

    aspect = "purity"


@dataclass(frozen=True)
class GradientAccumulates(_Fact):
    """Each call of the pullback adds to the gradient of the previous calls."""

    calls: int  # after `calls` calls the gradient is `calls` times too large
    aspect = "purity"
    name = "accumulates"


@dataclass(frozen=True)
class StaleSecondCall(_Fact):
    """A second call of the pullback returns a different gradient."""

    aspect = "purity"
    name = "stale"


@dataclass(frozen=True)
class SecondCallRaised(_Fact):
    """A second call of the pullback raised."""

    error: Error
    aspect = "purity"


@dataclass(frozen=True)
class NonDeterministic(_Fact):
    """The same arguments gave this difference once, and a different result when called again."""

    first: "Fact"
    aspect = "values"


# ---- memory shared between calls: the numbers agree unless memory is overwritten in between


@dataclass(frozen=True)
class MemoryShared(_Fact):
    """A result shares memory with an argument or another result: writing to one changes the other."""

    other: str  # input, weight, dy, output, grad_input, …
    aspect = "memory"
    verdict = Verdict.CONTRACT
    name = "shares-memory"


@dataclass(frozen=True)
class CacheShared(_Fact):
    """Writing to a returned gradient changes the result of the next call."""

    aspect = "memory"
    verdict = Verdict.CONTRACT
    name = "hands-out-cache"


@dataclass(frozen=True)
class OutputShared(_Fact):
    """The next call overwrites the output of the previous one."""

    fact: "Fact"
    aspect = "memory"
    verdict = Verdict.CONTRACT
    name = "shared-state"


@dataclass(frozen=True)
class SharedState(_Fact):
    """A call on other numbers, made before the pullback, changes its gradients."""

    fact: "Fact"
    aspect = "memory"
    verdict = Verdict.CONTRACT
    name = "shared-state"


Purity: TypeAlias = (
    ArgumentOverwritten
    | OutputOverwritten
    | GradientAccumulates
    | StaleSecondCall
    | SecondCallRaised
    | MemoryShared
    | CacheShared
    | OutputShared
    | SharedState
)
Fact: TypeAlias = (
    Numbers
    | Missing
    | Unexpected
    | WrongShape
    | NotNumbers
    | DtypeChanged
    | BadResult
    | Raised
    | ProcessEnded
    | TimedOut
    | EmptyRefused
    | InvalidAccepted
    | DefaultDiffers
    | ScheduleIgnored
    | LayoutRefused
    | LayoutChangesResult
    | Purity
    | NonDeterministic
)


@dataclass(frozen=True)
class Explained:
    """A mistake or a convention that reproduces the results, with the number of cases."""

    name: str  # kernel-flipped, batch-mean, …; of a pair, both with a + between them
    sentence: str  # from the data of parity.naming: "the kernel is flipped along both axes"
    convention: bool  # a well-known choice other than torch's
    failing: int  # cases on which torch differs
    passing: int  # cases on which it does not
    exactly: bool  # bitwise, on all of them
    always: bool = True  # False: it reproduces only the failing cases
    roundoff: bool = False  # nothing is reproduced: all errors are roundoff


@dataclass(frozen=True)
class Difference:
    """One quantity that disagrees, with everything known about it."""

    quantity: str  # output, grad_input, grad_weight, …
    fact: Fact
    wrong_side: Side = "implementation"  # undecided if no referee is more accurate than both
    only: Literal["ties", "special", "normwise", "precision"] | None = (
        None  # the only way in which the values differ
    )
    explained: Explained | None = None
    by_torch: bool = False  # torch's autograd computed it, so its choice at a kink is torch's

    @property
    def aspect(self) -> Aspect:
        """The aspect of the quantity that disagrees."""
        return self.only or self.fact.aspect

    @property
    def verdict(self) -> Verdict:
        """How serious it is."""
        if self.only == "special" or (self.only == "ties" and self.by_torch):
            return Verdict.SPECIAL
        if self.only == "ties" or (self.explained is not None and self.explained.convention):
            return Verdict.CONVENTION
        if self.only in ("normwise", "precision"):
            return Verdict.CONTRACT
        return self.fact.verdict

    @property
    def accept_as(self) -> str | None:
        """Its name for `accept`; None for `wrong`, which cannot be ignored."""
        if self.verdict is Verdict.WRONG:
            return None
        return self.explanation if self.verdict is Verdict.CONVENTION and self.only is None else self.aspect

    @property
    def explanation(self) -> str | None:
        """The name of the mistake, if known."""
        if self.explained is not None:
            return self.explained.name
        return self.fact.explanation if isinstance(self.fact, ArgumentOverwritten) else self.fact.name


def layout_of(difference: Difference) -> Layout | None:
    """The memory layout of the finding, if it matters."""
    fact = difference.fact
    return fact.layout if isinstance(fact, (LayoutRefused, LayoutChangesResult)) else None
