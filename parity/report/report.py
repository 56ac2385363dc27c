"""The results of a run with their renderings: text, table, HTML page."""

from rich.console import RenderableType

from parity.report import html, terminal
from parity.report.objects import Results


class Report(Results):
    """The result of `parity.check`: `.ok`, `.failures`, `.notes`, `.to_json()`; str() explains each failure."""

    def __str__(self) -> str:
        return terminal.render(self)

    @property
    def verdict(self) -> str:
        """A one-line summary of the run."""
        return terminal.summary(self)

    def table(self) -> RenderableType:
        """One line per row: the verdict, cases by lane, the worst errors as fractions of their bounds."""
        return terminal.table_of(self)

    def to_html(self) -> str:
        """Return a self-contained HTML page; `--html` writes the same."""
        return html.page(self)

    def _repr_html_(self) -> str:
        """For notebooks."""
        return html.fragment(self)
