"""Facts as sentences. This is the only place that words a difference, and nothing reads the words back."""

from typing import assert_never

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
    LayoutChangesResult,
    LayoutRefused,
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
    WrongShape,
)
from parity.report.tables import number

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
