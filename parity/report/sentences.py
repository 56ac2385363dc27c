"""Render facts as sentences. Only this module words differences, and no code parses the sentences."""

from typing import assert_never

from parity.diagnosis.evidence import Condition, Dependence, Variations
from parity.diagnosis.facets import Facet, Kind
from parity.lanes.facts import (
    ArgumentOverwritten,
    BadResult,
    CacheShared,
    DefaultDiffers,
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
    ProcessEnded,
    Raised,
    ScheduleIgnored,
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
FEW_CASES = 20  # with fewer cases nothing can be concluded about a failure's conditions

ONLY_TIES = "only where values tie or are at a kink: this geometry agrees on distinct nonzero values"


def diagnosis(difference: Difference) -> str:
    """Describe a difference: its explanation, if there is one, and the fact."""
    parts = [] if difference.explained is None else [explained(difference.explained)]
    parts.append(fact(difference.fact))
    if difference.only == "ties":
        parts.append(ONLY_TIES)
    return "; ".join(parts)


def explained(found: Explained) -> str:
    """Render the explanation and the number of cases on which it reproduces the results."""
    if found.roundoff:
        return f"{found.sentence} (in all {found.failing} random cases tried)"
    start = "a convention: " if found.convention else "" if found.always else "where it fails, "
    how = "to the bit" if found.exactly else "to the last digits"
    which = "random cases" if found.always else "failing cases"
    count = found.failing + found.passing if found.always else found.failing
    return f"{start}{found.sentence} (which reproduces all {count} {which} tried {how})"


def fact(found: Fact) -> str:  # one line for each kind
    """Render a fact without its explanation."""
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
        case ProcessEnded(stage, how, where):
            return f"its process {how} in the {stage}{_at(where)}"
        case TimedOut(stage, seconds, where):
            return f"the {stage} did not finish within {seconds:g} s{_at(where)}"
        case EmptyRefused(WrongShape() as error):
            return f"for an empty array, {fact(error)}"
        case EmptyRefused(error):
            return f"rejects an empty array: {fact(error)}"
        case InvalidAccepted(rules, reason):
            more = f", and {len(rules) - MOST_RULES} more" if len(rules) > MOST_RULES else ""
            return f"accepts what torch rejects: {', '.join(rules[:MOST_RULES])}{more}; torch: {reason}"
        case DefaultDiffers(option, value, inner):
            return f"without {option}, whose default in torch is {value!r}: {fact(inner)}"
        case ScheduleIgnored(inner):
            return f"after a change of lr between steps: {fact(inner)}"
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
            return "a second call of the pullback returned a different gradient"
        case SecondCallRaised(error):
            return f"a second call failed: {fact(error)}"
        case MemoryShared(other):
            return f"shares memory with {'the upstream gradient dy' if other == 'dy' else other}"
        case CacheShared():
            return "writing to a returned gradient changes the result of the next call"
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
    """Explain why a finding is not wrong, and name the flag that ignores it."""
    match difference:
        case Difference(only="special"):
            why = "correct on finite numbers; differs only at NaN, ±inf or −0"
        case Difference(only="normwise"):
            why = "within the normwise bound of fast algorithms (FFT, Winograd, Strassen, running sums)"
        case Difference(only="precision"):
            why = "a correct formula, computed with more roundoff than is allowed here"
        case Difference(only="ties", by_torch=True):
            why = "torch's autograd computes this gradient of your function, and it is free at a kink"
        case Difference(only="ties"):
            why = "a choice other than torch's where values tie"
        case Difference(verdict=Verdict.CONVENTION):
            why = "a convention other than torch's"
        case _:
            why = "the numbers agree"
    return f"{why}; pass `--accept {difference.accept_as}` to ignore"


def dependence(found: Dependence) -> list[str]:
    """Render the conditions of a failure, to follow the word `fails`; empty if no random case failed."""
    if not found.failing:
        return []
    if found.cases < FEW_CASES:
        return [f"in {found.failing} of {found.cases} random cases, which are too few to find a condition"]
    if found.failing == found.cases:
        return [f"in every one of {found.cases} random cases"]
    if not found.needed:
        return [f"in {found.failing} of {found.cases} random cases, and no simple property distinguishes them"]
    return [_condition(condition, place) for place, condition in enumerate(found.needed)]


def _condition(found: Condition, place: int) -> str:
    of_these = f" of {'these' if place else 'such cases'}"
    every = found.failing == found.cases
    share = f"all {found.failing}{of_these} fail" if every else f"{found.failing} of {found.cases} fail"
    start = "and only" if place else "only"
    return f"{start} {holding(found.facet, found.holds)}: {share}, none of the {found.passing} others"


def holding(found: Facet, holds: bool) -> str:  # one line for each kind
    """Render that a property holds or does not hold, to follow the word `only`."""
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
    """Render the name of a property."""
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
    """Render which changes to the smallest case keep the failure and which remove it."""
    # The dtype rarely matters, so a change of dtype alone is not reported.
    if not found.no_more and {change.what for change in found.still} <= {"dtype"}:
        return ""
    parts = [f"it also fails with {', '.join(map(str, found.still))}"] if found.still else []
    if found.no_more:
        start = "but not" if parts else "it does not fail"
        parts.append(f"{start} with {', '.join(map(str, found.no_more))}")
    return ", ".join(parts)
