"""What a comparison found, as data: which promise was broken, by which array, with the numbers.

Nothing here is a sentence. `parity.report.sentences` renders each fact, and everything else decides by its type.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Literal, TypeAlias

Stage = Literal["forward", "pullback"]
# What of a quantity disagrees. `ties`: only where values tie or stand at a kink; `special`: only at NaN, ±inf, −0;
# `normwise`: by no more than a fast algorithm, though by more than the bound of each entry.
Aspect = Literal[
    "values",
    "form",
    "raised",
    "time",
    "ties",
    "special",
    "normwise",
    "dtype",
    "purity",
    "memory",
    "layout",
    "empty",
    "invalid",
]
Side = Literal["implementation", "oracle", "both", "undecided"]


class Verdict(StrEnum):
    """How serious a difference is, worst first.

    `wrong` always fails, `convention` unless accepted, `special` and `contract` only where strict.
    """

    WRONG = "wrong"
    CONVENTION = "convention"
    SPECIAL = "special"
    CONTRACT = "contract"

    @property
    def severity(self) -> int:
        """0 for the worst; sort by it."""
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
    name: ClassVar[str | None] = None  # where the fact explains itself: the same kind of name as an explanation's


# ---- numbers


@dataclass(frozen=True)
class ValuesDiffer(_Fact):
    """Entries differ; the one that is farthest off is given."""

    wrong: int
    total: int
    index: tuple[int, ...]
    got: float
    expected: float
    aspect = "values"


@dataclass(frozen=True)
class OutsideBound(_Fact):
    """Errors larger than their derived bounds: how much larger, for the implementation and for the oracle."""

    values: ValuesDiffer
    fraction: float
    oracle_fraction: float
    aspect = "values"


@dataclass(frozen=True)
class NotTheDerivative(_Fact):
    """A gradient farther from the differentiated forward than the differentiation can be off."""

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
    """An array of objects, texts or complex numbers."""

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
    """What was returned is no result; `problem` comes from `parity.subjects`, which knows the form."""

    problem: str


# ---- calls that give no result


@dataclass(frozen=True)
class Raised(_Fact):
    """The implementation raised on a case that it claims to do."""

    stage: str  # forward or pullback
    exception: str
    message: str
    where: str | None  # file:line
    aspect = "raised"


@dataclass(frozen=True)
class TimedOut(_Fact):
    """A call did not end within its time limit."""

    stage: str
    seconds: float
    where: str | None
    aspect = "time"


Error: TypeAlias = Raised | TimedOut | BadResult


@dataclass(frozen=True)
class EmptyRefused(_Fact):
    """It raised on arrays without entries."""

    error: Error
    aspect = "empty"
    verdict = Verdict.CONTRACT


@dataclass(frozen=True)
class InvalidAccepted(_Fact):
    """It returned a result where torch rejects the arguments."""

    rules: tuple[str, ...]  # what was changed in a valid case: stride=0, …
    reason: str  # torch's message for the first
    aspect = "invalid"
    verdict = Verdict.CONTRACT


@dataclass(frozen=True)
class LayoutRefused(_Fact):
    """It raised on arrays in a memory layout, and did not on the same numbers in C order."""

    layout: Layout
    error: Error
    aspect = "layout"
    verdict = Verdict.CONTRACT


@dataclass(frozen=True)
class LayoutChangesResult(_Fact):
    """The same numbers in another memory layout give another result."""

    layout: Layout
    fact: "Fact"
    aspect = "layout"


# ---- purity


@dataclass(frozen=True)
class ArgumentOverwritten(_Fact):
    """The implementation wrote to an array that it was given."""

    array: str  # torch's name of the argument; "dy" for the upstream gradient
    by: Stage
    aspect = "purity"

    @property
    def explanation(self) -> str:
        """Its name among the explanations."""
        return "mutates-upstream" if self.array == "dy" else "mutates-input"


@dataclass(frozen=True)
class OutputOverwritten(_Fact):
    """The pullback wrote to the output."""

    aspect = "purity"


@dataclass(frozen=True)
class GradientAccumulates(_Fact):
    """Each call of the pullback adds to what the calls before returned."""

    calls: int  # after `calls` calls the gradient is `calls` times too large
    aspect = "purity"
    name = "accumulates"


@dataclass(frozen=True)
class StaleSecondCall(_Fact):
    """A second call of the pullback returns another gradient."""

    aspect = "purity"
    name = "stale"


@dataclass(frozen=True)
class SecondCallRaised(_Fact):
    """A second call of the pullback raised."""

    error: Error
    aspect = "purity"


@dataclass(frozen=True)
class NonDeterministic(_Fact):
    """The same arguments gave this difference once, and another result when called again."""

    first: "Fact"
    aspect = "values"


# ---- memory shared between calls: numbers agree as long as nobody writes or calls in between


@dataclass(frozen=True)
class MemoryShared(_Fact):
    """A result shares memory with an argument or with another result: whoever writes to one changes the other."""

    other: str  # input, weight, dy, output, grad_input, …
    aspect = "memory"
    verdict = Verdict.CONTRACT
    name = "shares-memory"


@dataclass(frozen=True)
class CacheShared(_Fact):
    """Writing to a gradient that was returned changes what the next call returns."""

    aspect = "memory"
    verdict = Verdict.CONTRACT
    name = "hands-out-cache"


@dataclass(frozen=True)
class OutputShared(_Fact):
    """The next call overwrites the output of the one before."""

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
    | TimedOut
    | EmptyRefused
    | InvalidAccepted
    | LayoutRefused
    | LayoutChangesResult
    | Purity
    | NonDeterministic
)


@dataclass(frozen=True)
class Explained:
    """A mistake or a convention that reproduces what was returned, and on how much."""

    name: str  # kernel-flipped, batch-mean, …; of a pair, both with a + between them
    sentence: str  # from the data of parity.naming: "the kernel is flipped along both axes"
    convention: bool  # another well-known choice than torch's
    failing: int  # cases on which torch differs
    passing: int  # cases on which it does not
    exactly: bool  # to the bit, on all of them
    always: bool = True  # False: it reproduces the failing cases, and the others are right in another way


@dataclass(frozen=True)
class Difference:
    """One quantity that does not agree, and what is known of how."""

    quantity: str  # output, grad_input, grad_weight, …
    fact: Fact
    wrong_side: Side = "implementation"  # undecided where no referee is closer to the exact result than both
    only: Literal["ties", "special", "normwise"] | None = None  # the only way in which the values differ
    explained: Explained | None = None

    @property
    def aspect(self) -> Aspect:
        """What of the quantity disagrees."""
        return self.only or self.fact.aspect

    @property
    def verdict(self) -> Verdict:
        """How serious it is."""
        if self.only == "special":
            return Verdict.SPECIAL
        if self.only == "normwise":
            return Verdict.CONTRACT
        if self.only == "ties" or (self.explained is not None and self.explained.convention):
            return Verdict.CONVENTION
        return self.fact.verdict

    @property
    def accept_as(self) -> str | None:
        """Its name for `accept`; None for what is wrong, which can only be fixed."""
        if self.verdict is Verdict.WRONG:
            return None
        return self.explanation if self.verdict is Verdict.CONVENTION and self.only is None else self.aspect

    @property
    def explanation(self) -> str | None:
        """The name of what is wrong, where it has one."""
        if self.explained is not None:
            return self.explained.name
        return self.fact.explanation if isinstance(self.fact, ArgumentOverwritten) else self.fact.name


def layout_of(difference: Difference) -> Layout | None:
    """The memory layout in which it was found, where that is what matters."""
    fact = difference.fact
    return fact.layout if isinstance(fact, (LayoutRefused, LayoutChangesResult)) else None
