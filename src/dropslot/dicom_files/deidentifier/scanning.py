"""Searches a de-identified file for identifiers of the file that it was made from. It reads the made bytes anew, so
that it finds whatever a mistake in the profile, in a recipe or in this program has left."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from dropslot.dicom_files.deidentifier import identifiers, texts
from dropslot.dicom_files.deidentifier.elements import Element, known_vr
from dropslot.dicom_files.deidentifier.identifiers import Identifiers, name_of, numbers_in, spellings
from dropslot.dicom_files.deidentifier.scanning_bytes import BytesScan

MOST_FINDINGS = 20
_LEAST_COMPACT = 6
_LEAST_NUMBER = 7
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]*([eE][-+]?[0-9]+)?")
Path = tuple[tuple[int, int], ...]


class Scan:
    """One search. `made` are values that de-identification wrote itself; `kept` are VRs whose values the route keeps:
    UI, DA, DT. `encodings`: of the file."""

    def __init__(
        self, wanted: Identifiers, made: frozenset[str], kept: frozenset[str], encodings: Sequence[str]
    ) -> None:
        self._wanted, self._made, self._kept = wanted, made, kept
        self._words = wanted.words | wanted.logins
        self._phrases = {f" {value} ": source for value, source in wanted.values.items()}
        self._phrases |= {f" {uid.replace('.', ' ')} ": source for uid, source in wanted.uids.items()}
        for date, source in wanted.dates.items():
            self._phrases |= {f" {spelled} ": source for spelled in spellings(date)}
        self._compact = dict(wanted.together) | {
            value.replace(" ", ""): source
            for value, source in (*wanted.values.items(), *wanted.words.items())
            if _is_found_anywhere(value)
        }
        self._bytes = BytesScan(wanted, encodings, self._in_value)

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

    def in_pixels(self, data: bytes, start: int, end: int) -> Iterator[str]:
        """As findings, for texts among compressed pixels, or behind the pixels."""
        if source := self._bytes.in_many(data, start, end):
            yield f"PixelData still has a value of {source}"

    def _source(self, element: Element, encodings: Sequence[str]) -> str:
        vr = known_vr(element.tag) or element.vr  # a wrong VR in the file hides nothing
        if vr in texts.NUMBERS:
            return self._in_number(element, encodings)
        if vr not in texts.TEXTS and vr not in texts.TIMES:
            return self._bytes.in_one(element.value)
        for text in texts.readings(element.value, encodings):
            if source := self._in_text(text, vr):
                return source
        return ""

    def _in_text(self, text: str, vr: str) -> str:
        for value in texts.split(text):
            if value in self._made or not value:
                continue
            is_formed = vr in texts.WELL_FORMED and texts.WELL_FORMED[vr].fullmatch(value)
            if is_formed and vr in self._kept:
                continue
            if source := self._formed(value, vr) if is_formed else self._in_value(value):
                return source
        return ""

    def _formed(self, value: str, vr: str) -> str:
        if vr == "UI":
            return self._wanted.uids.get(value, "")
        return self._as_number(value) if vr == "TM" else self._in_value(value)

    def _in_value(self, value: str) -> str:
        wanted = self._wanted
        words, runs = texts.words(value), texts.runs(value)
        joined = " ".join(words)
        if joined in wanted.short:
            return wanted.short[joined]
        for word in chain(words, runs):
            if word in self._words:
                return self._words[word]
        for number in numbers_in(runs):
            if number in wanted.numbers:
                return wanted.numbers[number]
        return self._within(f" {joined} | {' '.join(runs)} ", joined.replace(" ", ""))

    def _within(self, padded: str, compact: str) -> str:
        for date, source in self._wanted.dates.items():
            if date in padded:
                return source
        for phrase, source in self._phrases.items():
            if phrase in padded:
                return source
        for value, source in self._compact.items():
            if value in compact:
                return source
        return ""

    def _in_number(self, element: Element, encodings: Sequence[str]) -> str:
        for text in texts.readings(element.value, encodings):
            for value in texts.split(text):
                found = self._as_number(value) if _NUMBER.fullmatch(value) else self._in_value(value)
                if found:
                    return found
        return ""

    def _as_number(self, value: str) -> str:
        """A number of a measurement is an identifier only if it is long."""
        known = self._wanted.dates.get(value, "")
        return known or (
            self._wanted.numbers.get(value.lstrip("0"), "") if len(value) >= _LEAST_NUMBER else ""
        )


def _is_found_anywhere(value: str) -> bool:
    """Whether it also counts within other words: letters mixed with digits, and scripts that are written without
    blanks."""
    if identifiers.is_without_blanks(value):
        return True
    is_mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    return is_mixed and len(value) >= _LEAST_COMPACT


def _where(tag: int, path: Path) -> str:
    inside = "".join(f", item {number} of {name_of(sequence)}" for sequence, number in reversed(path))
    return name_of(tag) + inside
