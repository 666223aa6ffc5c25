"""Searches bytes that are no text for texts with identifiers: binary elements, and what is among compressed pixels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from dropslot.dicom_files.deidentifier.identifiers import Identifiers

_LEAST = 5
_SMALL = 1 << 16  # in larger ones, short words are there by chance
_CHUNK, _OVERLAP = 1 << 22, 1 << 10
_READABLE = re.compile(rb"[\x20-\x7e]{4,}")
_WIDE = re.compile(rb"(?:[\x20-\x7e]\0){3,}[\x20-\x7e]")  # UTF-16, in either order
_ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be")


class BytesScan:
    """One search. `in_text` searches a text."""

    def __init__(self, wanted: Identifiers, encodings: Sequence[str], in_text: Callable[[str], str]) -> None:
        forms = dict(_forms(wanted))
        self._ascii = {form.lower().encode(): source for form, source in forms.items() if form.isascii()}
        self._others = {
            encoded: source
            for form, source in forms.items()
            if not form.isascii()
            for encoded in _encoded(form, (*_ENCODINGS, *encodings))
        }
        self._in_text = in_text

    def in_one(self, value: bytes) -> str:
        """Which attribute's value is in the bytes of an element; empty if none is."""
        if len(value) <= _SMALL:
            for run in _readable(value):
                if source := self._in_text(run.decode("ascii")):
                    return source
        return self.in_many(value, 0, len(value))

    def in_many(self, data: bytes, start: int, end: int) -> str:
        """As `in_one`, for a part of more bytes."""
        for at in range(start, end, _CHUNK):
            chunk = data[at : min(at + _CHUNK + _OVERLAP, end)]
            readable = b"\n".join(_readable(chunk)).lower()
            for where, forms in ((readable, self._ascii), (chunk, self._others)):
                for form, source in forms.items():
                    if form in where:
                        return source
        return ""


def _readable(value: bytes) -> Iterator[bytes]:
    yield from _READABLE.findall(value)
    for run in _WIDE.findall(value):
        yield run.replace(b"\0", b"")


def _forms(wanted: Identifiers) -> Iterator[tuple[str, str]]:
    for known in (wanted.words, wanted.written, wanted.values, wanted.uids, wanted.dates, wanted.together):
        for value, source in known.items():
            for form in {value, *(value.replace(" ", between) for between in ("^", "-", ""))}:
                if len(form) >= _LEAST or (not form.isascii() and len(form) > 1):
                    yield form, source


def _encoded(form: str, encodings: Sequence[str]) -> Iterator[bytes]:
    for text in (form, form.lower(), form.upper(), form.title()):
        for encoding in encodings:
            try:
                encoded = text.encode(encoding)
            except (UnicodeEncodeError, LookupError):
                continue
            if len(encoded) >= _LEAST:
                yield encoded
