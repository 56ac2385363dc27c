"""Determine the layout of an implementation and what it does not support, by calling it on a few cases.

This module gives no verdicts. If a call fails for every case of a kind (pairs, a missing bias, a rank, ignored
targets) and succeeds for the same case without it, the implementation does not support that form: such cases are
not generated, and the report notes it. If calls fail only for some cases of a kind, or for all cases of every
kind, nothing is excluded, and the lanes report the failure. The number of calls is bounded, not their time.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from parity.cases.case import Case
from parity.cases.restrict import Supports, known_words, narrowed
from parity.cases.restrict_targets import is_probabilities
from parity.lanes.reference import expect
from parity.rows.row import Row
from parity.running.find_constants import with_constants
from parity.running.find_forms import forms_of
from parity.running.find_layout import layout_of
from parity.running.find_ranks import ranks_of, sizes_or_factors
from parity.running.loops import numbers_limit
from parity.running.losses import (
    ignores_reduction,
    is_right,
    lacks_reduction,
    reduction_of,
    similarity,
    takes_classes_only,
)
from parity.running.masks import P, with_mask
from parity.running.memory import NUMBERS, grows_with_the_square
from parity.running.modes import backward_in_training, has_modes
from parity.running.statistics import of_a_course
from parity.running.trials import FORWARD_RIGHT, Trials
from parity.subjects import Capabilities, Declined, Implementation, ImplementationError
from parity.subjects.dropout import draws_its_mask
from parity.subjects.pair import at_output, drops_upstream, is_by_flag, names_output
from parity.subjects.wrappers import LOSS_AND_GRADIENT, OWN_OUTPUT, without_upstream

FIRST_LAYER = "its backward returns no gradient of the input, as in a first layer: grad_input is not compared"
MEAN_ONLY = "its backward ignores the reduction: checked only for the mean"
# Values of options without a parameter to try if torch's usual ones give a wrong shape.
OTHER_WINDOWS = {"kernel_size": 3, "stride": 1}


def probe(row: Row, implementation: Implementation, supports: Supports | None) -> Implementation:
    """Return the implementation adapted to its layout, with its capabilities.

    Args:
        row: the row that it implements.
        implementation: the result of `adapt`.
        supports: the user's restrictions.

    Raises:
        Unrecognised: parity cannot find out how to call it.
    """
    fixed = dict(supports) if isinstance(supports, Mapping) else {}
    implementation = replace(implementation, fixed=frozenset(fixed))
    trials = Trials(row, supports, fixed)
    if row.kind == "network":
        return implementation
    bases = trials.simple()
    if bases and draws_its_mask(implementation.written, bases[0]):
        implementation = masked(trials, implementation)
    unreduced: list[Case] = []
    if bases and lacks_reduction(implementation, bases[0], row, trials.lane):
        implementation = replace(implementation, fixed=implementation.fixed | {"reduction"})
        unreduced = [replace(case, options=case.options | {"reduction": "none"}) for case in bases]
    chosen, outcome, known = layout_of(trials, implementation, bases + unreduced)
    for name, value in OTHER_WINDOWS.items():
        if (
            outcome is None
            or outcome.kind in FORWARD_RIGHT
            or not trials.lacks(implementation, bases[0], name, value)
        ):
            continue
        others = [replace(case, options=case.options | {name: value}) for case in bases]
        again = layout_of(trials, replace(implementation, fixed=implementation.fixed | {name}), others)
        if again[1] is not None and again[1].kind in FORWARD_RIGHT:
            (chosen, outcome, known), bases = (*again[:2], again[2] | {name: value}), others
    if outcome is not None and outcome.kind in FORWARD_RIGHT:
        chosen = of_input_or_output(trials, chosen, bases[0])
    if outcome is not None and not outcome.takes_upstream:
        chosen = (
            without_upstream(chosen, OWN_OUTPUT if isinstance(chosen.written, type) else LOSS_AND_GRADIENT)
            if chosen.takes_upstream and not chosen.optional_upstream
            else drops_upstream(chosen)
        )
        chosen = replace(chosen, takes_upstream=False)
    if outcome is not None and outcome.kind in FORWARD_RIGHT:
        chosen, known = of_loss(trials, chosen, bases, known)
        if unreduced:
            bases = [replace(case, options=case.options | {"reduction": known["reduction"]}) for case in bases]
        if has_modes(bases):
            chosen = backward_in_training(row, chosen, trials.lane, bases[0], {**fixed, **known})
        chosen, known = with_constants(trials, chosen, bases, known)
        known = ranks_of(trials, chosen, bases, known)
        known = sizes_or_factors(trials, chosen, bases, known)
        known = forms_of(trials, chosen, known)
        known = sizes_of(trials, chosen, bases, known)
    if outcome is not None and outcome.missing == ("input",) and chosen.updates:
        chosen = replace(chosen, lacks=frozenset({"grad_input"})).with_note(FIRST_LAYER)
        outcome = replace(outcome, missing=())
    for name in outcome.missing if outcome else ():
        chosen = chosen.with_note(_missing_note(chosen, name))
    with_statistics = bases and any(spec.name == "running_var" for spec in bases[0].arrays)
    if (
        chosen.lenient and with_statistics and "momentum" in bases[0].options
    ):  # not instance norm, which updates none
        chosen, known = of_a_course(row, chosen, trials.lane, narrowed(bases[0], {**fixed, **known}), known)
    if isinstance(chosen.written, type) and chosen.lenient and accumulates(trials, chosen, bases, known):
        cleared = f"{chosen.clear}()" if chosen.clear else "the zero_grad() of its parameters"
        if chosen.clear or not accumulates(trials, chosen, bases, known, clears=True):
            chosen = chosen.with_note(
                f"gradients accumulate until {cleared}, as torch's do: it is called before each forward"
            )
    if not chosen.takes_upstream:
        known = {**known, "upstream": 1}
    return replace(chosen, capabilities=Capabilities(known, trials.calls))


def of_input_or_output(trials: Trials, implementation: Implementation, case: Case) -> Implementation:
    """A derivative beside its function, called with the output instead of the input if that agrees better."""
    other = at_output(implementation)
    if other is None:
        return implementation
    trials.calls += 4
    if is_right(trials.row, implementation, trials.lane, case):
        return implementation
    # The function of a derivative by a flag has one name for its argument, so the name does not decide.
    alike = [similarity(trials.row, made, trials.lane, case) for made in (other, implementation)]
    nearer = is_by_flag(other) and alike[0] > alike[1]
    if names_output(other) or nearer or is_right(trials.row, other, trials.lane, case):
        return other
    return implementation


def of_loss(
    trials: Trials, implementation: Implementation, bases: list[Case], known: dict[str, Any]
) -> tuple[Implementation, dict[str, Any]]:
    """The reduction of a loss without a parameter for it, and whether its targets are only classes."""
    known = dict(known)
    if "reduction" in bases[0].options.keys() & implementation.fixed - trials.fixed.keys():
        trials.calls += len(bases)
        known["reduction"] = reduction_of(trials.row, implementation, trials.lane, bases[0], known)
        if known["reduction"] is None:  # none of torch's: the lanes report the difference
            known["reduction"] = "mean"
    if _keeps_no_reduction(implementation, bases[0]) and "reduction" not in known | trials.fixed:
        trials.calls += 2
        if ignores_reduction(trials.row, implementation, trials.lane, bases[0], known):
            known["reduction"] = "mean"
            implementation = implementation.with_note(MEAN_ONLY)
    words = {**known, "magnitude": 1, **({} if implementation.takes_upstream else {"upstream": 1})}
    if implementation.lenient and "probabilities" in known_words(bases[0]) - trials.fixed.keys():
        drawn = trials.drawn(words, lambda case: is_probabilities({spec.name: spec for spec in case.arrays}))
        trials.calls += len(drawn)
        if takes_classes_only(trials.row, implementation, trials.lane, drawn):
            known["probabilities"] = False
    return implementation, known


def _keeps_no_reduction(implementation: Implementation, case: Case) -> bool:
    """Whether a loss has a backward of its own without an upstream gradient."""
    own = implementation.backward_place is not None and not implementation.takes_upstream
    return own and "reduction" in case.options.keys() - implementation.fixed


def accumulates(
    trials: Trials,
    implementation: Implementation,
    bases: list[Case],
    known: Mapping[str, Any],
    clears: bool = False,
) -> bool:
    """Whether a second backward adds to the gradients of the first, which are cleared only if `clears`."""
    if not bases:
        return False
    trials.calls += 1
    try:
        expected = expect(trials.row, narrowed(bases[0], {**trials.fixed, **known}), trials.lane)
        _, pullback = replace(implementation, clears=clears)(
            *expected.inputs.private().arrays, **expected.inputs.options
        )
        if pullback is None:
            return False
        first = [None if g is None else np.array(g) for g in pullback(expected.dy.copy())]
        second = pullback(expected.dy.copy())
    except (RuntimeError, ValueError, IndexError, Declined, ImplementationError):
        return False
    return any(b is None or not np.array_equal(a, b) for a, b in zip(first, second, strict=True) if a is not None)


def masked(trials: Trials, implementation: Implementation) -> Implementation:
    """Wrap a dropout layer so that it uses the case's mask."""

    def masks(case: Case) -> bool:
        return all(spec.shape is not None and math.prod(spec.shape) > 1 for spec in case.arrays)

    cases = trials.drawn({"training": True, "p": P}, masks)
    trials.calls += 12 * len(cases)
    return with_mask(trials.row, implementation, trials.lane, cases)


def sizes_of(
    trials: Trials, implementation: Implementation, bases: list[Case], known: dict[str, Any]
) -> dict[str, Any]:
    """The largest cases that an implementation with loops over numbers runs in milliseconds."""
    if "numbers" in trials.fixed or not bases or trials.row.kind != "op":
        return known
    case = narrowed(bases[0], {**trials.fixed, **known})
    if not trials.row.valid(case):
        return known
    trials.calls += 4
    limit = numbers_limit(trials.row, implementation, trials.lane, case)
    if limit is None and grows_with_the_square(trials.row, implementation, trials.lane, case):
        limit = NUMBERS
    return known if limit is None else known | {"numbers": limit}


def _missing_note(implementation: Implementation, name: str) -> str:
    what = {"weight": "dW", "bias": "db"}.get(name, f"d{name}")
    owner = getattr(implementation.written, "__name__", "it")
    return (
        f"no gradient called {what}, {name}_grad or the like was found on {owner}: return it from backward, or "
        "keep it in an attribute with such a name"
    )
