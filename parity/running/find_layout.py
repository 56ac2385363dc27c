"""Find the layout in which an implementation takes its arrays."""

from typing import Any

from parity.cases.case import Case
from parity.running.trials import FORWARD_RIGHT, Outcome, Trials
from parity.subjects import Implementation, Unrecognised, autograd
from parity.subjects.layouts import variants


def layout_of(
    trials: Trials, implementation: Implementation, bases: list[Case]
) -> tuple[Implementation, Outcome | None, dict[str, Any]]:
    """The first layout with all shapes correct; else the first with a correct output; else unchanged."""
    fallback: tuple[Implementation, Outcome | None, dict[str, Any]] = (implementation, None, {})
    forward: tuple[Implementation, Outcome, dict[str, Any]] | None = None
    question: Unrecognised | None = None
    is_array_alone = False
    conversion = implementation.conversion
    for candidate in variants(implementation, bases[0]) if bases else ():
        if forward is not None and (not implementation.lenient or candidate.conversion != conversion):
            break  # the forward is correct with this kind of array, so another kind cannot help
        conversion = candidate.conversion
        if conversion.endswith("torch") and is_array_alone and not autograd.uses_torch(implementation.written):
            continue  # a NumPy function without a pullback, whose operators also exist for tensors
        for case in bases:
            try:
                outcome, known = trials.settled(candidate, case)
            except Unrecognised as error:
                question = question or error
                break
            if outcome.kind == "right":
                return candidate, outcome, known
            if outcome.kind == "time":
                return candidate, outcome, known
            if outcome.kind in FORWARD_RIGHT and forward is None:
                forward = candidate, outcome, known
            if fallback[1] is None:
                fallback = candidate, outcome, known
                is_array_alone = outcome.kind in ("form", "alone")
    refused = fallback[1] is None or fallback[1].kind == "refused"
    if forward is None and refused and question is not None:
        raise question
    if forward is None and fallback[1] is not None and fallback[1].kind == "alone":
        raise Unrecognised(_without_backward(implementation))
    return forward or fallback


def _without_backward(implementation: Implementation) -> str:
    """What to do about a function that returns its output alone."""
    name = getattr(implementation.written, "__name__", "f")
    name = "f" if name == "<lambda>" else name
    return (
        f"{name} returns an array alone, and there is no {name}_backward beside it: return (y, pullback), pass "
        f"the pair ({name}, its backward), or compare only the output: parity.subjects.forward_only({name})"
    )
