"""Progress events of a run."""

from collections.abc import Sequence

from parity.cases.case import Lane
from parity.lanes.facts import Difference
from parity.report import RowReport


class Progress:
    """Receives the events of a run and ignores them; override the methods you need."""

    def case(self, lane: Lane) -> None:
        """A case was compared."""

    def found(self, lane: Lane, differences: Sequence[Difference]) -> None:
        """A lane found its first differences, which are shrunk and explained next."""

    def lane(self, lane: Lane, report: RowReport) -> None:
        """A lane is complete."""

    def finished(self) -> None:
        """All lanes are complete."""
