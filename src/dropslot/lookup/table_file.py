"""Folder tables as CSV files, also as spreadsheets write them: read line by line, so that a bad one spoils no other."""

from __future__ import annotations

import codecs
import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.patterns import composed
from dropslot.core.templates import fault_of_value
from dropslot.lookup.models import label_key

COLUMNS = ("base_path", "folder", "folder_tag", "label")
LARGEST_BYTES = 50_000_000
_SEPARATORS = ",;\t"
_LONGEST_CELL = 1000


class BadTable(DropslotError):
    """The file is no folder table; nothing of it was loaded."""

    code = "bad-table"


class Key(NamedTuple):
    """What a folder is found by."""

    label: str  # as compared
    folder_tag: str  # likewise
    base_path: str


class Line(NamedTuple):
    """A good line and its number, from 1."""

    number: int
    base_path: str
    folder: str
    folder_tag: str
    label: str

    @property
    def key(self) -> Key:
        """No two lines may have the same one and differ."""
        return Key(label_key(self.label), composed(self.folder_tag), self.base_path)


class RefusedLine(NamedTuple):
    """A line that was not loaded, and why."""

    number: int
    reason: str


@dataclass(slots=True)
class TableFile:
    """What a file holds: one good line for each key, and the bad ones."""

    lines: dict[Key, Line] = field(default_factory=dict)
    refused: list[RefusedLine] = field(default_factory=list)


def read(content: bytes) -> TableFile:
    """The lines of a CSV file: UTF-8 (with or without a byte order mark), UTF-16 with one, or Windows' Latin 1; LF,
    CRLF or CR; separated by commas, semicolons or tabs, as its header shows. Raises BadTable."""
    if len(content) > LARGEST_BYTES:
        raise BadTable(f"It has {len(content):,} bytes; {LARGEST_BYTES:,} is the limit for a folder table")
    rows = _Rows(re.split(r"\r\n|\n|\r", _text(content)))
    found = TableFile()
    by_key: dict[Key, list[Line]] = defaultdict(list)
    for row in rows:
        line = rows.judged(*row)
        if isinstance(line, RefusedLine):
            found.refused.append(line)
        elif line is not None:
            by_key[line.key].append(line)
    for lines in by_key.values():
        if len({line.folder for line in lines}) == 1:
            found.lines[lines[0].key] = lines[0]
        else:
            found.refused.extend(_contradictions(lines))
    found.refused.sort()
    return found


def _text(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    # Bytes that mean nothing become characters that no line may hold: it is refused, and no other.
    text = content.decode("utf-8-sig", "surrogateescape")
    is_utf8 = content.startswith(codecs.BOM_UTF8) or any(
        not _is_byte(one) for one in set(text) if one > "\x7f"
    )
    # A file with some good UTF-8 is no other code page: its good lines would get wrong letters.
    return text if is_utf8 or text.isascii() else content.decode("cp1252", "surrogateescape")


def _is_byte(character: str) -> bool:
    """Whether it stands for a byte that meant nothing."""
    return "\udc80" <= character <= "\udcff"


class _Rows:
    """The lines below the header, with what the header tells."""

    def __init__(self, lines: Sequence[str]) -> None:
        numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        if numbered and re.fullmatch(r"sep=.", numbered[0][1].strip()):
            del numbered[0]  # for Excel alone
        if not numbered:
            raise BadTable("It is empty", next_step=_expected())
        self._separator, self._names = _header(numbered[0][1])
        self._lines = numbered[1:]

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter(self._lines)

    def judged(self, number: int, line: str) -> Line | RefusedLine | None:
        """One line; None when all its cells are empty."""
        try:
            cells = [cell.strip() for cell in _cells(line, self._separator)]
        except csv.Error as error:
            return RefusedLine(number, f"it cannot be taken apart: {error}")
        if not any(cells):
            return None
        if any(cells[len(self._names) :]):
            return RefusedLine(number, f"it has {len(cells)} cells, and the header has {len(self._names)}")
        named = dict(zip(self._names, cells, strict=False))
        values = {column: named.get(column, "") for column in COLUMNS}
        reason = _fault_of(values)
        return RefusedLine(number, reason) if reason else Line(number, **values)


def _header(line: str) -> tuple[str, list[str]]:
    """The separator and the names of the columns."""
    for separator in _SEPARATORS:
        try:
            names = [re.sub(r"[\s-]+", "_", cell.strip()).lower() for cell in _cells(line, separator)]
        except csv.Error:
            continue
        if set(COLUMNS) <= set(names):
            if twice := [name for name in COLUMNS if names.count(name) > 1]:
                raise BadTable(f"The column {twice[0]} is there twice")
            return separator, names
    raise BadTable(
        f"Its first line is no header of a folder table: {escape(line[:80])}", next_step=_expected()
    )


def _expected() -> str:
    return f"Its first line must be {','.join(COLUMNS)}, in any order; semicolons or tabs will do"


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator, strict=True), [])


def _fault_of(values: dict[str, str]) -> str:
    for column, value in values.items():
        if not value and column != "base_path":
            return f"{column} is empty"
        if not value.isprintable() or len(value) > _LONGEST_CELL:
            return (
                f"{column} is no text of at most {_LONGEST_CELL} printable characters: {escape(value[:80])}"
            )
    return fault_of_value("folder", values["folder"]) or ""


def _contradictions(lines: Sequence[Line]) -> Iterator[RefusedLine]:
    """Nobody can know which of them is right, and a result in the wrong folder is worse than none."""
    for line in lines:
        others = [other for other in lines if other.folder != line.folder]
        told = ", ".join(f"line {other.number} has {other.folder}" for other in others[:3])
        what = f"{line.label} {line.folder_tag} has the folder {line.folder} here, and {told}"
        yield RefusedLine(line.number, what)
