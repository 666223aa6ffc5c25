"""The records of a CSV file, in any encoding that spreadsheets write. A bad record does not affect the others."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

# A cell of a spreadsheet may have several lines; an unclosed quotation mark would swallow all that follow.
_MOST_LINES = 100
Cells = Sequence[str]
# The cells that matter, if the line looks like a record by itself; otherwise None.
Needed = Callable[[Cells], Cells | None]


class Record(NamedTuple):
    """The cells of one record, the number of its first line, from 1, and how many lines it has; or `fault`: why it
    cannot be split into cells."""

    number: int
    cells: Cells
    lines: int = 1
    fault: str = ""


def text_of(content: bytes) -> tuple[str, bool]:
    """The text, and whether its letters are certain. They are not if it is neither UTF-8 nor UTF-16: then Windows'
    western encoding is only likely. Bytes without a meaning become characters that no line may contain."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace"), True
    if len(content) > 3 and (content[1] == content[3] == 0 or content[0] == content[2] == 0):
        return content.decode("utf-16-le" if content[1] == 0 else "utf-16-be", "replace"), True
    text = content.decode("utf-8-sig", "surrogateescape")
    is_utf8 = content.startswith(codecs.BOM_UTF8) or any(
        not _is_byte(one) for one in set(text) if one > "\x7f"
    )
    # A file with some valid UTF-8 is not read in another encoding: its good lines would get wrong letters.
    if is_utf8 or text.isascii():
        return text, True
    return content.decode("cp1252", "surrogateescape"), False


def lines_of(text: str) -> list[tuple[int, str]]:
    """The lines that are not empty, with their numbers."""
    return [(number, line) for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1) if line.strip()]


def records(lines: Sequence[tuple[int, str]], separator: str, needed: Needed) -> Iterator[Record]:
    """Every record. A cell may have several lines, unless one of them is a record itself: then a quotation mark was
    not closed, and only its line is bad."""
    at = 0
    while at < len(lines):
        record = _record(lines[at : at + _MOST_LINES], separator, needed)
        at += record.lines
        yield record


def _record(lines: Sequence[tuple[int, str]], separator: str, needed: Needed) -> Record:
    number, whole = lines[0]
    cells, fault = _cells(whole, separator)
    between: Cells | None = None
    for count, (_, line) in enumerate(lines[1:] if cells is None else (), 2):
        if between is not None:
            break
        whole += f"\n{line}"
        joined, _ = _cells(whole, separator)
        alone, _ = _cells(line, separator)
        between = needed(alone) if alone is not None else None
        if joined is not None and between in (None, needed(joined)):
            return Record(number, joined, count)
    return Record(number, cells or (), fault=fault)


def _cells(text: str, separator: str) -> tuple[Cells | None, str]:
    try:
        return next(csv.reader([text], delimiter=separator, strict=True), []), ""
    except csv.Error as error:
        return None, f"it cannot be split into cells: {error}"


def _is_byte(character: str) -> bool:
    """Whether it represents a byte without a meaning."""
    return "\udc80" <= character <= "\udcff"
