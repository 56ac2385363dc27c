"""Find the options of an implementation that are constants in its code, and their values."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from parity.cases.case import Case
from parity.cases.restrict import narrowed
from parity.running.constants import constants, likely
from parity.running.trials import Trials
from parity.subjects import Implementation


def with_constants(
    trials: Trials, implementation: Implementation, bases: list[Case], known: dict[str, Any]
) -> tuple[Implementation, dict[str, Any]]:
    """The values of hard-coded options: those for which the output is correct."""
    for case in bases:
        names = _unread(trials, implementation, case, known)
        if not names:
            return implementation, known
        made = replace(implementation, fixed=implementation.fixed | {*names})
        quiet = replace(narrowed(case, {**trials.fixed, **known}), dtype="float64", magnitude=1)
        trials.calls += 1
        found = constants(trials.row, made, trials.lane, _with_momentum(trials, made, quiet), names)
        if found is not None:
            return made, known | found
    return implementation, known


def _with_momentum(trials: Trials, implementation: Implementation, case: Case) -> Case:
    """The case with a momentum if the optimizer has one, because it shows Nesterov's formula."""
    if case.options.get("momentum") != 0 or trials.row.kind != "optimizer":
        return case
    moving = replace(case, options=case.options | {"momentum": 0.3})
    return case if trials.attempt(implementation, moving).kind == "declined" else moving


def _unread(trials: Trials, implementation: Implementation, case: Case, known: Mapping[str, Any]) -> list[str]:
    """Options with a likely constant and no parameter."""
    case = narrowed(case, {**trials.fixed, **known})
    others = {
        name: next(value for value in likely(trials.row, name) if value != case.options[name])
        for name in case.options
        if likely(trials.row, name)
    }
    return sorted(name for name, other in others.items() if trials.lacks(implementation, case, name, other))
