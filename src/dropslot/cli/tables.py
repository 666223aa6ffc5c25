"""Listings: a table for people, one JSON object a line for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import Any

from dropslot.core.names import escape

Row = Mapping[str, Any]
FOLDED_ROWS = 1_000  # up to here a terminal gets a table whose long cells are folded


def show(
    rows: Iterable[Row], columns: Sequence[str], *, as_json: bool, empty: str = "Nothing to show."
) -> None:
    """Print rows: with `as_json` all their keys, else the columns as a table (or `empty`, when there is no
    row).

    In JSON times are UTC and end in Z, and everything beyond ASCII is escaped, as it is safe in any terminal.
    """
    if as_json:
        for row in rows:
            sys.stdout.write(json.dumps(row, default=_plain) + "\n")
        return
    found = list(rows)
    if found and sys.stdout.isatty() and len(found) <= FOLDED_ROWS:
        _print_folded(found, columns)
    elif found:
        _print_lines(found, columns)
    else:
        sys.stdout.write(f"{empty}\n")


def cell(value: Any) -> str:
    """A value as one cell for people; names are escaped, so that none can write to the terminal."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return "; ".join(cell(entry) for entry in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{cell(key)}={cell(entry)}" for key, entry in value.items())
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    # A backslash stays: names come escaped already, and would be so twice.
    return escape(str(value)).replace(r"\x5c", "\\")


def _print_lines(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """A line a row, however long: for pipes, and for long listings (rich takes a millisecond a row)."""
    lines = [[column.replace("_", " ") for column in columns]]
    lines += ([cell(row.get(column)) for column in columns] for row in rows)
    widths = [max(map(_width, texts)) for texts in zip(*lines, strict=True)]
    for texts in lines:
        padded = (text + " " * (width - _width(text)) for text, width in zip(texts, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def _width(text: str) -> int:
    """Columns of a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _print_folded(rows: Sequence[Row], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        # Text, not str: brackets in a name are no markup.
        table.add_row(*(Text(cell(row.get(column))) for column in columns))
    Console().print(table)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (PurePath, frozenset, set)):
        return str(value) if isinstance(value, PurePath) else sorted(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
