"""Find the forms that an implementation does not support: pairs, a missing bias, ignored targets, …"""

from collections.abc import Callable, Mapping
from typing import Any

from parity.cases.case import Case
from parity.cases.restrict import fits, known_words
from parity.running.find_magnitude import overflow
from parity.running.trials import EACH, FORWARD_RIGHT, RAISED, Outcome, Trials
from parity.subjects import Implementation

KERNEL = (3, 3)  # the only one of convolutions that are written out for one size

# Forms by the keyword that excludes them. Any exception is enough for a form that most code lacks; the value of an
# option that is a parameter must be rejected by a `raise` or an `assert` of the implementation.
FORMS: dict[str, Any] = {
    "pairs": False, "square": True, "same": False, "tiling": True, "bias": True, "probabilities": False,
    "ignored": False, "none": False, "weight": None, "training": True, "whole": True, "negative": False,
}  # fmt: skip
# The options that a keyword restricts: with their simplest values, no case is outside the keyword.
OPTIONS_OF = {
    "tiling": ("stride", "padding"), "pairs": ("pad", "size", "scale_factor"), "negative": ("pad",),
    "whole": ("scale_factor",),
}  # fmt: skip
IN_PULLBACK = frozenset({"bias", "training", "none"})  # forms for which only the backward may fail


def forms_of(trials: Trials, implementation: Implementation, known: dict[str, Any]) -> dict[str, Any]:
    """The keywords for unsupported forms; each is tried alone, with all others at their simplest."""
    known = _declines(trials, implementation, known)
    words = _words(trials) if not _all_right(trials, implementation, known) else {}
    words = {word: value for word, value in words.items() if word not in known and word not in trials.fixed}
    if isinstance(known.get("padding"), str):
        words.pop("same", None)  # its padding is always a word
    simplest = trials.drawn({**known, **words}, count=EACH)
    if not any(trials.attempt(implementation, case).kind in FORWARD_RIGHT for case in simplest):
        return known  # the simplest case fails too, so this is a failure, not an unsupported form
    if "pairs" in words and {"kernel_size", "stride"} & trials.simple()[0].options.keys():
        del words["pairs"]
        known |= _windows(trials, implementation, {**known, **words})
    for word, value in words.items():
        if word in known:
            continue
        others = {w: v for w, v in words.items() if w != word and w not in OPTIONS_OF.get(word, ())}
        cases = trials.drawn({**known, **others}, not_within(word, value))
        found = [trials.attempt(implementation, case) for case in cases]
        for outcome in found:
            known = {**trials.new(outcome, {**known, word: value}), **known}
        if found and all(_lacks(word, outcome) for outcome in found):
            known = {**known, word: value}
        elif isinstance(value, str) and word not in known:  # reduction="none" rejected, and "sum" accepted
            by_value = [(case.options[word], _lacks(word, o)) for case, o in zip(cases, found, strict=True)]
            rejected = {own for own, lacks in by_value if lacks}
            if rejected and all(lacks for own, lacks in by_value if own in rejected):
                known = {**known, word: frozenset({value, *(own for own, _ in by_value)} - rejected)}
    return known | overflow(trials, implementation, known)


def _windows(trials: Trials, implementation: Implementation, words: Mapping[str, Any]) -> dict[str, Any]:
    """Whether it accepts only square kernels, or only one number per option."""
    free = {w: v for w, v in words.items() if w not in ("stride", "padding", "dilation", "square", "kernel_size")}

    def lacks(strict: Mapping[str, Any], kind: Callable[[Case], bool]) -> bool:
        found = [trials.attempt(implementation, c) for c in trials.drawn({**free, **strict}, kind)]
        return bool(found) and all(outcome.kind in ("refused", "declined") for outcome in found)

    if lacks({"tuples": False}, has_long_kernel):
        return {"pairs": False}
    return {"tuples": False} if lacks({}, has_pair) else {}


def _declines(trials: Trials, implementation: Implementation, known: dict[str, Any]) -> dict[str, Any]:
    """Infer restrictions from generated cases until none is declined."""
    for _ in range(8):
        found = [trials.attempt(implementation, case) for case in trials.drawn(known, count=2 * EACH)]
        new: dict[str, Any] = {}
        for outcome in found:
            new |= trials.new(outcome, known)
        if not new:
            break
        known = {**known, **new}
    return known


def _all_right(trials: Trials, implementation: Implementation, known: dict[str, Any]) -> bool:
    """Whether a few dozen generated cases run without an exception; then nothing is excluded."""
    return all(
        trials.attempt(implementation, case).kind not in RAISED for case in trials.drawn(known, count=8 * EACH)
    )


def _words(trials: Trials) -> dict[str, Any]:
    """The keywords that apply to the row, at their simplest values."""
    case = trials.simple()[0]
    options = {
        name: value for name, value in case.options.items() if name != "kernel_size" and trials.row.kind == "op"
    }
    known = known_words(case)
    kernels = {"kernel_size": KERNEL} if any(len(spec.shape or ()) == 4 for spec in case.arrays[1:]) else {}
    return (
        {n: v for n, v in FORMS.items() if n in known}
        | kernels
        | {n: v for n, v in options.items() if n not in FORMS}
    )


def not_within(word: str, value: Any) -> Callable[[Case], bool]:
    """Whether the keyword excludes the case."""
    return lambda case: not fits(case, {word: value})


def has_pair(case: Case) -> bool:
    """Whether stride, padding or dilation is a pair of two numbers."""
    return any(
        len({*pair}) > 1
        for pair in map(case.options.get, ("stride", "padding", "dilation"))
        if type(pair) is tuple
    )


def has_long_kernel(case: Case) -> bool:
    """Whether the kernel is not square and larger than 1 along both axes, so that nothing broadcasts."""
    weight = next((spec.shape[2:] for spec in case.arrays if spec.name == "weight" and spec.shape), None)
    kernel = case.options.get("kernel_size", weight)
    return isinstance(kernel, tuple) and len({*kernel}) > 1 and min(kernel) > 1


def _lacks(word: str, outcome: Outcome) -> bool:
    """Whether the outcome shows that the implementation lacks the form that the keyword excludes."""
    if outcome.kind == "declined":
        return True
    if word not in FORMS and word != "kernel_size":
        return outcome.kind in ("refused", "pullback") and outcome.deliberate
    return outcome.kind == "refused" or (word in IN_PULLBACK and outcome.kind == "pullback")
