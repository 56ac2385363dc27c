"""The results of a run: plain data and JSON, text for the terminal, a page for the browser."""

from parity.diagnosis.evidence import Evidence
from parity.report.objects import SCHEMA, Failure, RowReport
from parity.report.report import Report

__all__ = ["SCHEMA", "Evidence", "Failure", "Report", "RowReport"]
