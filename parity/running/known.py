"""The findings of a run so far, which are not reported again."""

from parity.cases.case import Lane
from parity.lanes.facts import Aspect, Difference

OF_NUMBERS: frozenset[Aspect] = frozenset(
    {"values", "form", "ties", "special", "normwise", "precision", "layout", "empty"}
)


class Known:
    """Known differences, which the search ignores together with their consequences."""

    def __init__(self) -> None:
        self.found: set[tuple[str, Aspect]] = set()

    def add(self, difference: Difference) -> None:
        """Ignore this difference from now on."""
        self.found.add((difference.quantity, difference.aspect))

    def has(self, quantity: str, *aspects: Aspect) -> bool:
        """Whether one of these aspects of the quantity is known."""
        return any((quantity, aspect) in self.found for aspect in aspects)

    def hides(self, difference: Difference, lane: Lane) -> bool:
        """Whether the difference is known, or follows from one that is."""
        name, aspect = difference.quantity, difference.aspect
        if (name, aspect) in self.found:
            return True
        if aspect in OF_NUMBERS and self.has(name, "values", "form"):
            return True
        if aspect == "empty" and self.has(name, "raised"):  # it raises everywhere
            return True
        return self.has(name, "ties") and lane in ("structure", "special") and aspect in ("values", "special")
