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
    if found:
        _print_table(found, columns)
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


def _print_table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        # Text, not str: brackets in a name are no markup.
        table.add_row(*(Text(cell(row.get(column))) for column in columns))
    # Into a pipe a line stays a line, however long.
    console = Console() if sys.stdout.isatty() else Console(width=100_000)
    console.print(table)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (PurePath, frozenset, set)):
        return str(value) if isinstance(value, PurePath) else sorted(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
