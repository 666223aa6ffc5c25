"""A report as CSV: no value is a formula for a spreadsheet."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict

from dropslot.core.showing.spreadsheets import cell
from dropslot.reports.figures import Report

_BOM = "\ufeff"


def sheet(report: Report) -> str:
    """A line for each study or clinic, and no total, which a spreadsheet would add to its own."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(["month", *asdict(report.total)])
    for line in report.lines:
        writer.writerow([report.month, *map(cell, asdict(line).values())])
    return _BOM + written.getvalue()
