"""Find the ranks of the input that an implementation supports."""

from typing import Any

from parity.cases.case import Case
from parity.cases.restrict import narrowed
from parity.cases.restrict_resizing import SIZES, resizes
from parity.running.losses import is_right
from parity.running.trials import FORWARD_RIGHT, Outcome, Trials
from parity.subjects import Implementation, Unrecognised


def ranks_of(
    trials: Trials, implementation: Implementation, bases: list[Case], known: dict[str, Any]
) -> dict[str, Any]:
    """The ranks of the input that it supports, if not all of the row's."""
    by_rank: dict[int, list[Outcome]] = {}
    for case in bases:
        rank = len(case.arrays[0].shape or ())
        if not any(_does(implementation, outcome) for outcome in by_rank.get(rank, ())):
            try:
                outcome, _ = trials.settled(implementation, narrowed(case, {**trials.fixed, **known}))
            except Unrecognised:  # its parameters have other shapes at this rank
                outcome = Outcome("shape")
            by_rank.setdefault(rank, []).append(outcome)
    taken = frozenset(r for r, found in by_rank.items() if any(_does(implementation, o) for o in found))
    if len(taken) > 1 and implementation.lenient:
        taken = _right_ranks(trials, implementation, bases, known, taken)
    if not taken:  # wrong at every rank: the likeliest one shows the mistake
        right = [r for r, found in by_rank.items() if any(o.kind in FORWARD_RIGHT for o in found)]
        taken = frozenset(right[:1])
    if not taken or len(taken) == len(by_rank) or "rank" in trials.fixed:
        return known
    if taken == {0}:
        return known  # it raises for every array, so the lanes report why
    return known | {"rank": min(taken) if len(taken) == 1 else taken}


def sizes_or_factors(
    trials: Trials, implementation: Implementation, bases: list[Case], known: dict[str, Any]
) -> dict[str, Any]:
    """Whether an interpolation takes only sizes, or only factors: the other gives an output of another shape."""
    right: dict[str, bool] = {}
    for case in bases:
        for name in SIZES if resizes(case.options) else ():
            if name in case.options and len(case.arrays[0].shape or ()) == 4:
                case = narrowed(case, {**trials.fixed, **known})
                found = name in case.options and trials.attempt(implementation, case).kind in FORWARD_RIGHT
                right[name] = right.get(name, False) or found
    if len(right) == 2 and len({*right.values()}) == 2:
        known = known | {name: None for name, found in right.items() if not found and name not in known}
    return known


def _right_ranks(
    trials: Trials, implementation: Implementation, bases: list[Case], known: dict[str, Any], taken: frozenset[int]
) -> frozenset[int]:
    """The ranks at which a loss is correct if it is correct for (N, F): `len(x[0])` is F only there.

    Likewise of instance normalization if it is correct for images: (N, C, L) may be taken as one image.
    """
    names = [spec.name for spec in bases[0].arrays]
    deciding = 2 if "target" in names else 4 if "use_input_stats" in bases[0].options else None
    if deciding is None:
        return taken
    right: dict[int, bool] = {}
    for case in bases:
        rank = len(case.arrays[0].shape or ())
        if rank in taken and not right.get(rank):
            trials.calls += 1
            words = {**trials.fixed, **known} | ({} if implementation.takes_upstream else {"upstream": 1})
            right[rank] = is_right(trials.row, implementation, trials.lane, narrowed(case, words))
    return frozenset(rank for rank in taken if right[rank]) if right.get(deciding) else taken


def _does(implementation: Implementation, outcome: Outcome) -> bool:
    """Whether the outcome shows that the implementation supports this rank.

    A product `x @ w` accepts inputs of any rank. A weight gradient of the correct shape, or an op without one,
    indicates code for this rank: wrong numbers are then a mistake.
    """
    if outcome.kind == "gradients":
        return not implementation.lenient or "weight" not in outcome.misshapen
    return outcome.kind in ("right", "missing")
