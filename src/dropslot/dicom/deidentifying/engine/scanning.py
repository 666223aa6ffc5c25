"""Searches a de-identified file for identifiers of the file that it was made from. It reads the made bytes anew, so
that it finds whatever a mistake in the profile, in a recipe or in this program has left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dropslot.dicom.deidentifying.engine import identifiers, texts
from dropslot.dicom.deidentifying.engine.elements import Element
from dropslot.dicom.deidentifying.engine.identifiers import Identifiers, name_of, spellings

MOST_FINDINGS = 20
_LEAST_IN_BYTES = 5
_LEAST_COMPACT = 6
_LEAST_NUMBER = 7
_OF_UIDS, _OF_NUMBERS = "0123456789.", "0123456789.+-eE"
_ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be")
Path = tuple[tuple[int, int], ...]


class Scan:
    """One search. `made` are values that de-identification wrote itself; `kept` are VRs whose
    values the route keeps: UI, DA, DT."""

    def __init__(self, wanted: Identifiers, made: frozenset[str], kept: frozenset[str]) -> None:
        self._wanted, self._made, self._kept = wanted, made, kept
        self._phrases = {f" {value} ": source for value, source in wanted.values.items()}
        self._phrases |= {f" {uid.replace('.', ' ')} ": source for uid, source in wanted.uids.items()}
        for date, source in wanted.dates.items():
            self._phrases |= {f" {spelled} ": source for spelled in spellings(date)}
        self._compact = {
            value.replace(" ", ""): source
            for value, source in (*wanted.values.items(), *wanted.words.items())
            if _is_found_anywhere(value)
        }
        self._bytes = dict(_forms(wanted))

    def findings(self, elements: Sequence[Element], around: Sequence[str], path: Path = ()) -> Iterator[str]:
        """A sentence for each element that has an identifier: where it is, and which attribute had it; never the
        value."""
        encodings = texts.encodings_of(elements, around)
        for element in elements:
            if element.items is not None:
                for number, item in enumerate(element.items, 1):
                    yield from self.findings(item, encodings, (*path, (element.tag, number)))
            elif element.value and (source := self._source(element, encodings)):
                yield f"{_where(element.tag, path)} still has a value of {source}"

    def _source(self, element: Element, encodings: Sequence[str]) -> str:
        vr = element.vr
        if vr in self._kept:
            return ""
        if vr in texts.NUMBERS:
            return self._in_number(element)
        if vr not in texts.TEXTS and vr not in texts.TIMES:
            return self._in_bytes(element.value)
        for text in texts.readings(element.value, encodings):
            if source := self._in_text(text, vr):
                return source
        return ""

    def _in_text(self, text: str, vr: str) -> str:
        for value in text.split("\\"):
            value = value.strip(" \0")
            if value in self._made or not value:
                continue
            is_uid = vr == "UI" and not value.strip(_OF_UIDS)
            uid = self._wanted.uids.get(value, "")
            if source := uid if is_uid else self._in_value(texts.words(value)):
                return source
        return ""

    def _in_value(self, words: list[str]) -> str:
        wanted = self._wanted
        joined = " ".join(words)
        if joined in wanted.short:
            return wanted.short[joined]
        for word in words:
            if word in wanted.words:
                return wanted.words[word]
            if word[:8] in wanted.dates:
                return wanted.dates[word[:8]]
        padded = f" {joined} "
        for phrase, source in self._phrases.items():
            if phrase in padded:
                return source
        compact = joined.replace(" ", "")
        for value, source in self._compact.items():
            if value in compact:
                return source
        return ""

    def _in_number(self, element: Element) -> str:
        for value in element.value.decode("latin-1").split("\\"):
            value = value.strip(" \0")
            if len(value) >= _LEAST_NUMBER and value in self._wanted.values:
                return self._wanted.values[value]
            if value.strip(_OF_NUMBERS) and (source := self._in_value(texts.words(value))):
                return source
        return ""

    def _in_bytes(self, value: bytes) -> str:
        lowered = value.lower()
        for form, source in self._bytes.items():
            if form in lowered:
                return source
        return ""


def _is_found_anywhere(value: str) -> bool:
    """Whether it also counts within other words: letters mixed with digits, and scripts that are written without
    blanks."""
    if identifiers.is_without_blanks(value):
        return True
    is_mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    return is_mixed and len(value) >= _LEAST_COMPACT


def _forms(wanted: Identifiers) -> Iterator[tuple[bytes, str]]:
    for known in (wanted.words, wanted.values, wanted.uids, wanted.dates):
        for value, source in known.items():
            if len(value) < _LEAST_IN_BYTES:
                continue
            for spelling in (value, value.replace(" ", "^"), value.replace(" ", "-"), value.replace(" ", "")):
                for encoding in _ENCODINGS:
                    yield spelling.encode(encoding, "replace").lower(), source


def _where(tag: int, path: Path) -> str:
    inside = "".join(f", item {number} of {name_of(sequence)}" for sequence, number in reversed(path))
    return name_of(tag) + inside
