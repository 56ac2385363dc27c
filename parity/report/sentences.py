"""Facts as sentences. This is the only place that words a difference, and nothing reads the words back."""

from typing import assert_never

from parity.diagnosis.evidence import Condition, Dependence, Variations
from parity.diagnosis.facets import Facet, Kind
from parity.lanes.facts import (
    ArgumentOverwritten,
    BadResult,
    CacheShared,
    Difference,
    DtypeChanged,
    EmptyRefused,
    Explained,
    Fact,
    GradientAccumulates,
    InvalidAccepted,
    LayoutChangesResult,
    LayoutRefused,
    MemoryShared,
    Missing,
    NonDeterministic,
    NotNumbers,
    NotTheDerivative,
    OutputOverwritten,
    OutputShared,
    OutsideBound,
    Raised,
    SecondCallRaised,
    SharedState,
    StaleSecondCall,
    TimedOut,
    Unexpected,
    ValuesDiffer,
    Verdict,
    WrongShape,
)
from parity.report.tables import number

MOST_RULES = 6
FEW_CASES = 20  # fewer say nothing about what a failure depends on

ONLY_TIES = "only where values tie or stand at a kink: this geometry agrees on distinct values other than 0"


def diagnosis(difference: Difference) -> str:
    """What is wrong with a quantity: its explanation, where there is one, and the fact."""
    parts = [] if difference.explained is None else [explained(difference.explained)]
    parts.append(fact(difference.fact))
    if difference.only == "ties":
        parts.append(ONLY_TIES)
    return "; ".join(parts)


def explained(found: Explained) -> str:
    """The explanation, and on how many cases it reproduces what was returned."""
    start = "a convention: " if found.convention else "" if found.always else "where it fails, "
    how = "to the bit" if found.exactly else "to the last digits"
    which = "random cases" if found.always else "failing cases"
    count = found.failing + found.passing if found.always else found.failing
    return f"{start}{found.sentence} (which reproduces all {count} {which} tried {how})"


def fact(found: Fact) -> str:  # one line for each kind
    """What was found, without its explanation."""
    match found:
        case ValuesDiffer():
            return _values(found)
        case OutsideBound(values, fraction, oracle):
            return f"{_values(values)}; error {fraction:.3g} of its bound, the oracle's {oracle:.3g}"
        case NotTheDerivative(values, fraction, complex_step):
            how = "the complex step" if complex_step else "central differences"
            return f"{_values(values)} by {how}; error {fraction:.3g} of its bound"
        case Missing():
            return "missing: None or not returned"
        case Unexpected():
            return "is a gradient where the oracle has none"
        case WrongShape(got, expected):
            return f"has the shape {got}, expected {expected}"
        case NotNumbers(got, expected) | DtypeChanged(got, expected):
            return f"is {got}, expected {expected}"
        case BadResult(problem):
            return problem
        case Raised(stage, exception, message, where):
            return f"the {stage} raised {exception}: {message}{_at(where)}"
        case TimedOut(stage, seconds, where):
            return f"the {stage} had not ended after {seconds:g} s{_at(where)}"
        case EmptyRefused(error):
            return f"refuses an empty array: {fact(error)}"
        case InvalidAccepted(rules, reason):
            more = f", and {len(rules) - MOST_RULES} more" if len(rules) > MOST_RULES else ""
            return f"accepts what torch rejects: {', '.join(rules[:MOST_RULES])}{more}; torch: {reason}"
        case LayoutRefused(layout, error):
            return f"with {layout} arrays: {fact(error)}"
        case LayoutChangesResult(layout, inner):
            return f"with {layout} arrays: {fact(inner)}"
        case ArgumentOverwritten(array, by):
            return f"the {by} wrote to {'the upstream gradient dy' if array == 'dy' else f'the {array}'}"
        case OutputOverwritten():
            return "the pullback wrote to the output"
        case GradientAccumulates(calls):
            return f"the gradient accumulates: after {calls} calls of the pullback it is {calls} times as large"
        case StaleSecondCall():
            return "a second call of the pullback returned another gradient"
        case SecondCallRaised(error):
            return f"a second call failed: {fact(error)}"
        case MemoryShared(other):
            return f"shares memory with {'the upstream gradient dy' if other == 'dy' else other}"
        case CacheShared():
            return "writing to a gradient that was returned changes what the next call returns"
        case OutputShared():
            return "the next call overwrites the output"
        case SharedState():
            return "a call on other numbers, made before the pullback, changes its gradients"
        case NonDeterministic(first):
            return f"{fact(first)}; non-deterministic: a second call returned a different result"
        case _:
            assert_never(found)


def _values(found: ValuesDiffer) -> str:
    at = f" at {[*found.index]}" if found.index else ""
    return (
        f"{found.wrong} of {found.total} wrong; worst{at}: {number(found.got)}, expected {number(found.expected)}"
    )


def _at(where: str | None) -> str:
    return "" if where is None else f" ({where})"


def grading(difference: Difference) -> str:
    """Why it is not wrong, and the flag that accepts it."""
    match difference:
        case Difference(only="special"):
            why = "right on finite numbers; differs only at NaN, ±inf or −0"
        case Difference(only="normwise"):
            why = "right normwise, as a fast algorithm (FFT, Winograd) is"
        case Difference(only="ties"):
            why = "another choice than torch's where values tie"
        case Difference(verdict=Verdict.CONVENTION):
            why = "another convention than torch's"
        case _:
            why = "the numbers agree"
    return f"{why}; pass `--accept {difference.accept_as}` to ignore"


def dependence(found: Dependence) -> list[str]:
    """When it fails, to follow the word `fails`; nothing where none of the random cases did."""
    if not found.failing:
        return []
    if found.cases < FEW_CASES:
        return [f"in {found.failing} of {found.cases} random cases; too few cases ran to tell: {found.cases}"]
    if found.failing == found.cases:
        return [f"in every one of {found.cases} random cases"]
    if not found.needed:
        return [f"in {found.failing} of {found.cases} random cases, and no simple property tells them apart"]
    return [_condition(condition, place) for place, condition in enumerate(found.needed)]


def _condition(found: Condition, place: int) -> str:
    of_these = f" of {'these' if place else 'such cases'}"
    every = found.failing == found.cases
    share = f"all {found.failing}{of_these} fail" if every else f"{found.failing} of {found.cases} fail"
    start = "and only" if place else "only"
    return f"{start} {holding(found.facet, found.holds)}: {share}, none of the {found.passing} others"


def holding(found: Facet, holds: bool) -> str:  # one line for each kind
    """That a property holds or does not, to follow the word `only`."""
    match found.kind:
        case Kind.DOUBLE:
            return "in float64" if holds else "in float32"
        case Kind.GIVEN:
            return f"where {found.subject} is {'given' if holds else 'None'}"
        case Kind.LEFT_OUT:
            return f"where {found.subject} is {'left out' if holds else 'given'}"
        case Kind.NOT_SQUARE:
            return f"where the {found.subject} is {'not ' if holds else ''}square"
        case Kind.ABOVE:
            return f"with {found.subject} {'>' if holds else '='} {found.value}"
        case Kind.AXIS:
            return f"where axis {found.value} of {found.subject} is {'longer than' if holds else 'at most'} 1"
        case _:
            return f"{'with' if holds else 'without'} {facet(found)}"


def facet(found: Facet) -> str:  # as above
    """A property by its name."""
    match found.kind:
        case Kind.ABOVE:
            return f"{found.subject} > {found.value}"
        case Kind.AXIS:
            return f"{found.subject} axis {found.value} > 1"
        case Kind.GIVEN | Kind.LEFT_OUT | Kind.NOT_SQUARE:
            return f"{found.subject} {found.kind}"
        case Kind.EQUALS:
            return f"{found.subject}={found.value!r}"
        case Kind.DIFFERENT:
            return f"{found.subject} of two different numbers"
        case Kind.CONTAINS:
            return f"{found.value} in {found.subject}"
        case Kind.DOUBLE:
            return "float64"
        case Kind.HAS:
            return found.subject
        case _:
            assert_never(found.kind)


def layer(name: str) -> str:
    """Where in a network it is."""
    return f"the first layer that is wrong: {name}; the network up to it agrees"


def variations(found: Variations) -> str:
    """Which changes to the smallest case leave the failure and which remove it."""
    # A change of dtype rarely matters: alone it is no finding.
    if not found.no_more and {change.what for change in found.still} <= {"dtype"}:
        return ""
    parts = [f"it fails too with {', '.join(map(str, found.still))}"] if found.still else []
    if found.no_more:
        parts.append(f"{'and' if parts else 'it does'} not with {', '.join(map(str, found.no_more))}")
    return ", ".join(parts)
