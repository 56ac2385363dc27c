"""Scripts for broken contracts: the contents of an array before and after a call."""

from parity.diagnosis.call_forms import CallForm
from parity.lanes.facts import (
    ArgumentOverwritten,
    CacheShared,
    Fact,
    GradientAccumulates,
    OutputOverwritten,
    OutputShared,
    SecondCallRaised,
    SharedState,
    StaleSecondCall,
)
from parity.lanes.structure import SCRIBBLE


def breach_lines(fact: Fact, form: CallForm, gradient: str, arrays: dict[str, str]) -> list[str] | None:
    """Lines that set `before` and `after`, which should be equal; None for a fact of another kind.

    Args:
        fact: the finding.
        form: how the implementation is called.
        gradient: the expression of the gradient in question.
        arrays: the script's names of the arguments, by torch's.
    """
    forward = [*form.forward]
    match fact:
        case ArgumentOverwritten(array, by):
            watch = _before_and_after("dy" if array == "dy" else arrays[array])
            return [watch, *forward] if by == "forward" else [*forward, watch, form.backward]
        case OutputOverwritten():
            return [*forward, _before_and_after("y"), form.backward]
        case GradientAccumulates() | StaleSecondCall() | SecondCallRaised():
            return [*forward, f"before = np.array({gradient})", f"after = {gradient}"]
        case CacheShared():
            scribble = [f"gradient = {gradient}", "before = np.array(gradient)", f"gradient[...] = {SCRIBBLE}"]
            return [*forward, *scribble, f"after = {gradient}"]
        case OutputShared():
            return [*forward, "before, after = np.array(y), y", *_on_other_numbers(forward)]
        case SharedState():
            other = [
                line.replace("pullback =", "_ =").replace("cache =", "_ =") for line in _on_other_numbers(forward)
            ]
            return [*forward, f"before = np.array({gradient})", *forward, *other, f"after = {gradient}"]
        case _:
            return None


def _before_and_after(array: str) -> str:
    return f"before, after = np.array({array}), {array}"


def _on_other_numbers(forward: list[str]) -> list[str]:
    return [line.replace("y, ", "_, ", 1).replace("(x", "(x + 1", 1) for line in forward]
