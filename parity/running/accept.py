"""Which findings are failures, by their verdict and by the names in `accept`."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from parity.cases.errors import ArgumentError
from parity.lanes.facts import Difference, Verdict
from parity.naming.catalogue import CONVENTIONS

ASPECTS = (
    "dtype", "memory", "layout", "empty", "invalid", "default", "schedule",
    "ties", "special", "normwise", "precision",
)  # fmt: skip

# Formulas that differ from torch's only by an ε against a division by 0 or log 0: notes, unless strict.
GUARDS = frozenset({"epsilon-before-correction", "epsilon-in-log", "log-clipped", "log-clipped-both"})


def fails(difference: Difference, accepted: Collection[str], strict: bool) -> bool:
    """Whether a finding is a failure; the others are notes."""
    graded = difference.verdict in (Verdict.SPECIAL, Verdict.CONTRACT)
    return difference.accept_as not in accepted and (strict or not graded)


def acceptable(names: Iterable[str]) -> frozenset[str]:
    """Return the accepted names: conventions, and aspects of findings that are not wrong.

    Raises:
        ArgumentError: there is no such name.
    """
    known = [*CONVENTIONS, *ASPECTS]
    names = [names] if isinstance(names, str) else [*names]
    names = [
        "memory" if name == "purity" else name for name in names
    ]  # the part of purity that is not wrong, in schema 1
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ArgumentError(f"accept: there is no {name!r}{hint} (names: {', '.join(known)})")
    return frozenset(names)
