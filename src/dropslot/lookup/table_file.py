"""Folder tables as CSV files, also from spreadsheets. A bad line does not affect the others."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.patterns import composed
from dropslot.core.templates import fault_of_value
from dropslot.lookup import records
from dropslot.lookup.cells import fault_of_cell, suspicion, unwrapped
from dropslot.lookup.models import label_key
from dropslot.lookup.records import Cells, Record

COLUMNS = ("base_path", "folder", "folder_tag", "label")
LARGEST_BYTES = 50_000_000
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods, .xls
_SEPARATORS = ",;\t"
_LONGEST_CELL = 1000


class BadTable(DropslotError):
    """The file is not a folder table; nothing of it was loaded."""

    code = "bad-table"


class Key(NamedTuple):
    """The key of a look-up."""

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
        """Two lines with the same key must not differ."""
        return Key(label_key(self.label), composed(self.folder_tag), self.base_path)


class OddLine(NamedTuple):
    """A line that was not loaded, or that somebody should check, and why."""

    number: int
    reason: str


@dataclass(slots=True)
class TableFile:
    """The content of a file: one good line for each key, the bad lines, and good lines that look suspicious."""

    lines: dict[Key, Line] = field(default_factory=dict)
    refused: list[OddLine] = field(default_factory=list)
    suspected: list[OddLine] = field(default_factory=list)


def read(content: bytes) -> TableFile:
    """The lines of a CSV file: UTF-8 (with or without a byte order mark), UTF-16, or Windows' Latin 1; LF, CRLF or CR;
    separated by commas, semicolons or tabs, as its header shows. What spreadsheets made of a text is undone, or the
    line refused. Raises BadTable."""
    if len(content) > LARGEST_BYTES:
        raise BadTable(f"It has {len(content):,} bytes; {LARGEST_BYTES:,} is the limit for a folder table")
    if content.startswith(_WORKBOOKS):
        raise BadTable(
            "It is a workbook of Excel or LibreOffice, not CSV", next_step='Save it as "CSV UTF-8"'
        )
    text, letters_are_known = records.text_of(content)
    found = TableFile()
    by_key: dict[Key, list[Line]] = defaultdict(list)
    for line in _Rows(records.lines_of(text)):
        if isinstance(line, OddLine):
            found.refused.append(line)
        else:
            by_key[line.key].append(line)
    for lines in by_key.values():
        if len({line.folder for line in lines}) == 1:
            found.lines[lines[0].key] = lines[0]
        else:
            found.refused.extend(_contradictions(lines))
    found.refused.sort()
    found.suspected = sorted(_suspicions(list(found.lines.values()), letters_are_known=letters_are_known))
    return found


class _Rows:
    """The lines below the header, each judged by the header; empty ones are left out."""

    def __init__(self, lines: Sequence[tuple[int, str]]) -> None:
        separators = _SEPARATORS
        if lines and (told := re.fullmatch(r'"?sep=(.)"?', lines[0][1].strip())):  # for Excel alone
            separators, lines = told[1] + separators, lines[1:]
        if not lines:
            raise BadTable("It is empty", next_step=_expected())
        self._separator, self._names, header = _header(lines, separators)
        self._lines = lines[header:]

    def __iter__(self) -> Iterator[Line | OddLine]:
        for record in records.records(self._lines, self._separator, self._needed):
            judged = self._judged(record)
            if judged is not None:
                yield judged

    def _needed(self, cells: Cells) -> Cells | None:
        """The cells that are used, if the record has as many cells as the header and none of these is empty."""
        named = dict(zip(self._names, cells, strict=False))
        values = [named.get(column, "").strip() for column in COLUMNS]
        complete = all(value for column, value in zip(COLUMNS, values, strict=True) if column != "base_path")
        return values if complete and len(cells) == len(self._names) else None

    def _judged(self, record: Record) -> Line | OddLine | None:
        if record.fault:
            return OddLine(record.number, record.fault)
        cells = [cell.strip() for cell in record.cells]
        if not any(cells):
            return None
        if any(cells[len(self._names) :]):
            return OddLine(record.number, f"it has {len(cells)} cells, and the header has {len(self._names)}")
        named = dict(zip(self._names, cells, strict=False))
        texts = {column: unwrapped(named.get(column, "")) for column in COLUMNS}
        values = {column: text for column, (text, _) in texts.items()}
        reason = _fault_of(values) or next(filter(None, _made(texts)), "")
        return OddLine(record.number, reason) if reason else Line(record.number, **values)


def _made(texts: dict[str, tuple[str, bool]]) -> Iterator[str]:
    """For each cell that is not certainly text, what a spreadsheet did to it; empty if nothing."""
    for column, (text, is_surely_text) in texts.items():
        if not is_surely_text:
            yield fault_of_cell(column, text, is_path=column == "base_path")


def _header(lines: Sequence[tuple[int, str]], separators: str) -> tuple[str, list[str], int]:
    """The separator, the names of the columns, and how many lines they take."""
    for separator in separators:
        record = next(records.records(lines, separator, lambda _: None))
        names = [re.sub(r"[\s-]+", "_", unwrapped(cell)[0]).lower() for cell in record.cells]
        if set(COLUMNS) <= set(names):
            if twice := [name for name in COLUMNS if names.count(name) > 1]:
                raise BadTable(f"The column {twice[0]} is there twice")
            return separator, names, record.lines
    first = lines[0][1]
    raise BadTable(
        f"Its first line is not the header of a folder table: {escape(first[:80])}", next_step=_expected()
    )


def _expected() -> str:
    return (
        f"Its first line must be {','.join(COLUMNS)}, in any order; separated by commas, semicolons or tabs"
    )


def _fault_of(values: dict[str, str]) -> str:
    for column, value in values.items():
        if not value and column != "base_path":
            return f"{column} is empty"
        if not value.isprintable() or len(value) > _LONGEST_CELL:
            return f"{column} is not a text of at most {_LONGEST_CELL} printable characters: {escape(value[:80])}"
    return fault_of_value("folder", values["folder"]) or ""


def _contradictions(lines: Sequence[Line]) -> Iterator[OddLine]:
    """It is unknown which of them is right, and a result in the wrong folder is worse than none."""
    for line in lines:
        others = [other for other in lines if other.folder != line.folder]
        told = ", ".join(f"line {other.number} has {other.folder}" for other in others[:3])
        what = f"{line.label} {line.folder_tag} has the folder {line.folder} here, and {told}"
        yield OddLine(line.number, what)


def _suspicions(lines: Sequence[Line], *, letters_are_known: bool) -> Iterator[OddLine]:
    """Good lines that somebody should look at."""
    yield from _lost_zeros(lines)
    if not letters_are_known:
        yield from _odd_letters(lines)
    for line in lines:
        for column in COLUMNS:
            if told := suspicion(column, getattr(line, column)):
                yield OddLine(line.number, told)


def _lost_zeros(lines: Sequence[Line]) -> Iterator[OddLine]:
    """Tags that are shorter than others with a leading zero: a spreadsheet writes 2 for 02."""
    padded: dict[str, Line] = {}
    for line in lines:
        if line.folder_tag.isdigit() and line.folder_tag.startswith("0"):
            longest = padded.setdefault(line.key.label, line)
            padded[line.key.label] = max(longest, line, key=lambda one: len(one.folder_tag))
    for line in lines:
        other = padded.get(line.key.label)
        if other and line.folder_tag.isdigit() and len(line.folder_tag) < len(other.folder_tag):
            told = f"folder_tag is {line.folder_tag}, and line {other.number} has {other.folder_tag}"
            yield OddLine(line.number, f"{told}: did a spreadsheet drop a zero?")


def _odd_letters(lines: Sequence[Line]) -> Iterator[OddLine]:
    """One suspicion for the whole file: it is unknown which letters its bytes beyond ASCII mean."""
    odd = [(line, cell) for line in lines for cell in line[1:] if not str(cell).isascii()]
    if odd:
        shown = ", ".join(dict.fromkeys(str(cell) for _, cell in odd[:5]))
        yield OddLine(
            odd[0][0].number,
            f"the file is not UTF-8, so it was read as the Windows encoding of western Europe: {shown}. If these"
            " are wrong (files of a Mac, or of central Europe), save it as CSV UTF-8",
        )
