"""A run's results with the ways to look at them: text, a table, a page."""

from rich.console import RenderableType

from parity.report import html, terminal
from parity.report.objects import Results


class Report(Results):
    """Of `parity.check`: `.ok`, `.failures`, `.notes`, `.to_json()`; as text it explains each failure."""

    def __str__(self) -> str:
        return terminal.render(self)

    @property
    def verdict(self) -> str:
        """The run in a few words."""
        return terminal.summary(self)

    def table(self) -> RenderableType:
        """One line per row: the verdict, cases by lane, the worst errors as fractions of their bounds."""
        return terminal.table_of(self)

    def to_html(self) -> str:
        """One page that needs nothing else; `--html` writes the same."""
        return html.page(self)

    def _repr_html_(self) -> str:
        """For notebooks."""
        return html.fragment(self)
