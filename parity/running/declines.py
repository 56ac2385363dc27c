"""Infer which options an implementation declines, from declined and accepted cases.

An implementation that raises NotImplementedError for groups and dilation would decline nine of ten convolutions,
and a declined case costs as much as a compared one. A few of them are enough to restrict the strategy.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from parity.cases.case import Case

LEAST_DECLINED = 20  # declined cases, and more than half of all cases, before a conclusion
LEAST_ACCEPTED, PATIENCE = 6, 100  # with fewer accepted cases, 100 declined ones are required
LEAST_EXPLAINED = 3  # declined cases with a value, so that a rare one is not excluded by accident


class Allowed(frozenset[Any]):
    """The values of an option to generate: accepted ones and, for options with many values, unknown ones."""

    excluded: frozenset[Any] | None  # None: only the accepted values are drawn

    def __new__(cls, accepted: Iterable[Any], excluded: Iterable[Any] | None = None) -> "Allowed":
        """A set of the accepted values."""
        made = super().__new__(cls, accepted)
        made.excluded = None if excluded is None else frozenset(excluded)
        return made

    def __contains__(self, value: object) -> bool:
        return super().__contains__(value) if self.excluded is None else value not in self.excluded

    def __str__(self) -> str:
        """The excluded values if there may be others besides the accepted ones, otherwise the accepted values."""
        values = self if self.excluded is None else self.excluded
        return " or ".join(sorted(map(repr, values), key=lambda text: (len(text), text)))


def restrictions(declined: Sequence[Case], accepted: Sequence[Case]) -> dict[str, Allowed]:
    """Return the options whose values cause cases to be declined, with the remaining values.

    Greedy: first the option that explains most declined cases, then the next for those that are left.

    Args:
        declined: cases that the implementation declined.
        accepted: cases that it accepted.
    """
    found: dict[str, Allowed] = {}
    left = [*declined]
    if len(accepted) < LEAST_ACCEPTED and len(declined) < PATIENCE:
        return found
    while left and accepted:
        # Without an accepted value, such as of ignore_index, there is nothing to restrict the option to.
        names = [name for name in left[0].options if name not in found and _values(accepted, name)]
        candidates = {name: _allowed(accepted, left, name) for name in names}
        explained = {
            name: [case for case in left if name in case.options and case.options[name] not in allowed]
            for name, allowed in candidates.items()
        }
        name = max(explained, key=lambda option: len(explained[option]), default=None)
        if name is None or len(explained[name]) < LEAST_EXPLAINED:
            break
        found[name] = candidates[name]
        left = [case for case in left if case not in explained[name]]
    # A value that occurred only together with a declined value of another option is not excluded.
    for name, allowed in found.items():
        if allowed.excluded is not None:
            others = {option: values for option, values in found.items() if option != name}
            alone = [case for case in declined if all(case.options[o] in values for o, values in others.items())]
            found[name] = Allowed(allowed, allowed.excluded & _values(alone, name))
    return found


def _allowed(accepted: Sequence[Case], declined: Sequence[Case], name: str) -> Allowed:
    """The single accepted value, as a number or a pair; otherwise everything except the declined values."""
    done = _values(accepted, name)
    counts = Counter(case.options[name] for case in declined if name in case.options)
    numbers = {value if isinstance(value, tuple) else (value, value) for value in done}
    if len(numbers) > 1:
        return Allowed(done, {value for value, n in counts.items() if n >= LEAST_EXPLAINED} - done)
    takes_pairs = any(isinstance(value, tuple) for value in (*done, *counts))
    return Allowed(done | numbers if takes_pairs else done)


def _values(cases: Iterable[Case], name: str) -> frozenset[Any]:
    return frozenset(case.options[name] for case in cases if name in case.options)
