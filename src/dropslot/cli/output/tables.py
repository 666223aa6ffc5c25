"""Listings: a table for people, one JSON object a line for programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import Any, NamedTuple

from dropslot.cli.output.paging import page
from dropslot.core.names import escape

Row = Mapping[str, Any]
_GAP = 2
_INDENT = "    "
_NARROWEST = 12
_UNLIMITED = sys.maxsize
_STORED_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)[\d:.]*Z")
# People copy ids and compare times, so neither is folded.
_UNFOLDED = frozenset({"id", "arrival", "seq", "at", "since", "state", "outcome", "kind", "where", "version"})


class Looks(NamedTuple):
    """How a listing is to be shown: as JSON; with all its columns; without a pager."""

    as_json: bool
    wide: bool = False
    no_pager: bool = False


def show(
    rows: Iterable[Row],
    columns: Sequence[str],
    looks: Looks,
    *,
    below: Sequence[str] = (),
    empty: str = "Nothing to show.",
) -> None:
    """Print rows: as JSON all their keys, else the columns as a table (or `empty`, when there is no row).

    A terminal gets a table as wide as itself, where the columns named in `below` follow each row on lines of their
    own, and a pager when it does not fit. Pipes and files get one line a row. `wide` shows all keys, one line a row. An
    empty column is left out. JSON has times in UTC that end in Z, and escapes everything beyond ASCII, which is safe in
    any terminal.
    """
    if looks.as_json:
        for row in rows:
            sys.stdout.write(json.dumps(row, default=_plain) + "\n")
        return
    found = list(rows)
    if not found:
        sys.stdout.write(f"{empty}\n")
        return
    terminal = sys.stdout.isatty()
    if looks.wide or not terminal:
        lines = _lines(found, list(found[0]) if looks.wide else [*columns, *below])
    else:
        lines = _fitted(found, columns, below, shutil.get_terminal_size().columns)
    if terminal and not looks.no_pager:
        page(lines, cut_lines=looks.wide)
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines)


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
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    # A backslash stays: names are escaped already.
    return escape(str(value)).replace(r"\x5c", "\\")


def _lines(rows: Sequence[Row], columns: Sequence[str]) -> Iterator[str]:
    """A line a row, however long."""
    shown, texts = _texts(rows, columns)
    widths = [max(map(_width, each)) for each in zip(_titles(shown), *texts, strict=True)]
    for one in (_titles(shown), *texts):
        yield _padded(one, widths)


def _fitted(rows: Sequence[Row], columns: Sequence[str], below: Sequence[str], width: int) -> Iterator[str]:
    """Lines no longer than `width`, if possible: long cells are folded, and the lines below a row are indented."""
    shown, texts = _texts(rows, columns)
    widths = [max(map(_width, each)) for each in zip(_titles(shown), *texts, strict=True)]
    _narrow(widths, [not _is_unfolded(name) for name in shown], width - _GAP * (len(shown) - 1))
    yield _bold(_padded(_titles(shown), widths))
    for row, one in zip(rows, texts, strict=True):
        yield from _folded(one, widths)
        for name in below:
            # People copy paths: the terminal breaks the line, and joins it again in the copy.
            room = _UNLIMITED if name == "path" else max(width - len(_INDENT), _NARROWEST)
            yield from (_INDENT + line for line in _fold(_cell(name, row.get(name)), room) if line)


def _texts(rows: Sequence[Row], columns: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The columns that hold something, and the cells of each row."""
    texts = [[_cell(name, row.get(name)) for name in columns] for row in rows]
    kept = [index for index in range(len(columns)) if any(one[index] for one in texts)]
    return [columns[index] for index in kept], [[one[index] for index in kept] for one in texts]


def _cell(column: str, value: Any) -> str:
    text = cell(value)
    if column.endswith(("at", "since")) and (time := _STORED_TIME.fullmatch(text)):
        return f"{time[1]} {time[2]}Z"
    return text


def _is_unfolded(column: str) -> bool:
    return column in _UNFOLDED or column.endswith("_at")


def _titles(columns: Sequence[str]) -> list[str]:
    return [column.replace("_", " ") for column in columns]


def _padded(texts: Sequence[str], widths: Sequence[int]) -> str:
    cells = (text + " " * (width - _width(text)) for text, width in zip(texts, widths, strict=True))
    return (" " * _GAP).join(cells).rstrip()


def _narrow(widths: list[int], may_fold: Sequence[bool], room: int) -> None:
    """Make the widest foldable column narrower, until all columns fit or none can get narrower."""
    while sum(widths) > room:
        candidates = [i for i, may in enumerate(may_fold) if may and widths[i] > _NARROWEST]
        if not candidates:
            return
        widths[max(candidates, key=lambda i: widths[i])] -= 1


def _folded(texts: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    folded = [_fold(text, width) for text, width in zip(texts, widths, strict=True)]
    for line in range(max(map(len, folded))):
        yield _padded([each[line] if line < len(each) else "" for each in folded], widths)


def _fold(text: str, width: int) -> list[str]:
    """The text in pieces that are no wider, at spaces where there are any."""
    if _width(text) <= width:
        return [text]
    if text.isascii() or all(_width(each) == 1 for each in set(text)):
        return textwrap.wrap(text, width, break_on_hyphens=False, replace_whitespace=False)
    from rich.cells import chop_cells

    return chop_cells(text, width)


def _width(text: str) -> int:
    """Columns of a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _bold(text: str) -> str:
    return text if os.environ.get("TERM", "dumb") == "dumb" else f"\x1b[1m{text}\x1b[0m"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (PurePath, frozenset, set)):
        return str(value) if isinstance(value, PurePath) else sorted(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
