"""What a run has found: objects and JSON, a table for the terminal, a page for the browser."""

from parity.diagnosis.evidence import Evidence
from parity.report.objects import SCHEMA, Failure, Report, RowReport

__all__ = ["SCHEMA", "Evidence", "Failure", "Report", "RowReport"]
