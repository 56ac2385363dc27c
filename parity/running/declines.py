"""Which options an implementation declines, learnt from the cases that it declined and those that it did.

An implementation that raises NotImplementedError for groups and dilation would decline nine of ten convolutions,
and a declined case costs as much as a compared one. A few of them are enough to restrict the strategy.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from parity.cases.case import Case

LEAST_DECLINED = 20  # cases, and more than half of all, before anything is concluded
LEAST_EXPLAINED = 3  # declined cases, so that a rare value is not excluded by accident


class Allowed(frozenset[Any]):
    """The values of an option that are drawn: those that were accepted, and unknown ones where there are many."""

    excluded: frozenset[Any] | None  # None: only the accepted values are drawn

    def __new__(cls, accepted: Iterable[Any], excluded: Iterable[Any] | None = None) -> "Allowed":
        """A set of the accepted values."""
        made = super().__new__(cls, accepted)
        made.excluded = None if excluded is None else frozenset(excluded)
        return made

    def __contains__(self, value: object) -> bool:
        return super().__contains__(value) if self.excluded is None else value not in self.excluded

    def __str__(self) -> str:
        if self.excluded is None:
            return " or ".join(sorted(map(repr, self), key=len))
        return f"anything but {', '.join(sorted(map(repr, self.excluded)))}"


def restrictions(declined: Sequence[Case], accepted: Sequence[Case]) -> dict[str, Allowed]:
    """The options whose value decides that a case is declined, and the values that are left.

    Greedy: first the option that explains most declined cases, then the next for those that are left.

    Args:
        declined: cases that the implementation declined.
        accepted: cases that it did.
    """
    found: dict[str, Allowed] = {}
    left = [*declined]
    while left and accepted:
        values = {name: _values(accepted, name) for name in left[0].options if name not in found}
        explained = {
            name: [case for case in left if case.options.get(name) not in known] for name, known in values.items()
        }
        name = max(explained, key=lambda option: len(explained[option]), default=None)
        if name is None or len(explained[name]) < LEAST_EXPLAINED:
            break
        found[name] = _allowed(values[name], _values(explained[name], name))
        left = [case for case in left if case not in explained[name]]
    return found


def _allowed(accepted: frozenset[Any], excluded: frozenset[Any]) -> Allowed:
    """One number alone where nothing else was accepted, as such or as a pair; else everything but the excluded."""
    numbers = {value if isinstance(value, tuple) else (value, value) for value in accepted}
    if len(numbers) > 1:
        return Allowed(accepted, excluded)
    takes_pairs = any(isinstance(value, tuple) for value in accepted | excluded)
    return Allowed((accepted | numbers if takes_pairs else accepted) - excluded)


def _values(cases: Iterable[Case], name: str) -> frozenset[Any]:
    return frozenset(case.options[name] for case in cases if name in case.options)
