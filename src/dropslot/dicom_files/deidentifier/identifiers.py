"""The values in a file that may tell who the patient is: what de-identification must not let through."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import permutations, product

from pydicom.datadict import keyword_dict, keyword_for_tag
from pydicom.uid import UID

from dropslot.dicom_files.deidentifier import texts
from dropslot.dicom_files.deidentifier.elements import Element, known_vr, spelled
from dropslot.dicom_files.deidentifier.profile import CLEAN, KEEP, descriptors, of_equipment

LEAST = 3  # characters; shorter ones are everywhere
_SEARCHED = frozenset({"PN", "UI", "DA", "DT"})
_PLACEHOLDERS = frozenset(
    [
        "anon",
        "anonymous",
        "anonymized",
        "anonymised",
        "deidentified",
        "none",
        "null",
        "removed",
        "test",
        "unknown",
        "unnamed",
        "phantom",
    ]
)
# Terms of the standard in code strings, and other words that stand in a header for what was done.
_TERMS = frozenset(
    [
        "abdomen",
        "ankle",
        "arm",
        "artery",
        "axial",
        "body",
        "brain",
        "breast",
        "cardiac",
        "chest",
        "contrast",
        "coronal",
        "ct",
        "derived",
        "elbow",
        "extremity",
        "face",
        "foot",
        "hand",
        "head",
        "heart",
        "hip",
        "kidney",
        "knee",
        "leg",
        "lip",
        "liver",
        "localizer",
        "lung",
        "mixed",
        "mpr",
        "mr",
        "neck",
        "original",
        "pelvis",
        "prostate",
        "primary",
        "projection",
        "resampled",
        "sagittal",
        "secondary",
        "shoulder",
        "skull",
        "spine",
        "supplemental",
        "thigh",
        "thorax",
        "volume",
        "whole",
        "wrist",
    ]
)
# Of these VRs a value identifies nobody, or it is a code of the standard.
_HARMLESS = frozenset({"AS", "AT", "CS", "DS", "IS", "TM"})
# UIDs that name kinds of objects, not objects.
KINDS = frozenset(
    {
        0x00080016,
        0x0008001A,
        0x0008001B,
        0x00080062,
        0x0008010C,
        0x00080117,
        0x00080118,
        0x00081150,
        0x00081151,
        0x0008115A,
    }
)
_MAKERS = frozenset({0x00080070, 0x00081090})  # Manufacturer, ManufacturerModelName
_LEAST_OF_DESCRIPTION = 12
_LEAST_DIGITS = 5  # a shorter number is found only as a whole value
_LEAST_OF_PART = 6  # characters of a part of a value with digits, as in `SSN 884-21-7745`
_MOST_OF_NAME = 10  # words of which pairs are made
_LEAST_TOGETHER = 8  # letters of a whole name that count also within other words
# A name with an initial may be one of them: Philip^S.
_BRANDS = frozenset(
    [
        "agfa",
        "canon",
        "elekta",
        "fuji",
        "hitachi",
        "hologic",
        "kodak",
        "philips",
        "siemens",
        "toshiba",
        "varian",
    ]
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


@dataclass(slots=True)
class Identifiers:
    """Each maps what is searched to the attribute that had it. `words` are names; `values` are sequences of words;
    `short` ones count only if they are a whole value; `dates` have eight digits; `numbers` are without zeros before
    them; `together` are names without blanks, which count also within words; `logins` are names with an initial, and
    `written` are names before they were folded."""

    words: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    short: dict[str, str] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    together: dict[str, str] = field(default_factory=dict)
    logins: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)

    def banned(self) -> frozenset[str]:
        """The words that a cleaned text must not have."""
        parts = {
            word for value in (*self.values, *self.short) for word in value.split() if len(word) >= LEAST
        }
        return frozenset((*self.words, *self.logins)) | {part for part in parts if part not in common_words()}


@cache
def common_words() -> frozenset[str]:
    """Words of DICOM's own dictionary, such as head or field, and placeholders: no finding by themselves."""
    pieces = (re.findall(r"[A-Z]?[a-z]+", keyword) for keyword in keyword_dict)
    return frozenset(piece.lower() for found in pieces for piece in found) | _PLACEHOLDERS | _TERMS


def collect(elements: Sequence[Element], actions: Mapping[int, object], kept: frozenset[str]) -> Identifiers:
    """Look at every element at every depth. `kept` are VRs that the route keeps where the table has no row: UI, DA,
    DT."""
    found = Identifiers()
    _collect(elements, actions, kept, ["iso8859"], found)
    _leave_out_makers(elements, found)
    return found


def _leave_out_makers(elements: Sequence[Element], found: Identifiers) -> None:
    """A station or an institution that is called like its model tells no more than the model, which stays."""
    makers = [texts.text_of(each.value, ["iso8859"]) for each in elements if each.tag in _MAKERS]
    known = "".join(f" {' '.join(texts.words(maker))} " for maker in makers)
    for kept in (found.words, found.values, found.short, found.numbers):
        for value in [
            each for each, source in kept.items() if f" {each} " in known and _is_equipment(source)
        ]:
            del kept[value]


def _is_equipment(source: str) -> bool:
    return keyword_dict.get(source) in of_equipment()


def _put(kept: dict[str, str], value: str, source: str) -> None:
    """A device excuses no person who is called like it."""
    if value not in kept or _is_equipment(kept[value]):
        kept[value] = source


def _collect(
    elements: Sequence[Element],
    actions: Mapping[int, object],
    kept: frozenset[str],
    around: Sequence[str],
    found: Identifiers,
) -> None:
    encodings = texts.encodings_of(elements, around)
    for element in elements:
        if element.items is not None:
            for item in element.items:
                _collect(item, actions, kept, encodings, found)
        elif element.value and _identifies(element, actions, kept):
            _take(element, encodings, found)


def _identifies(element: Element, actions: Mapping[int, object], kept: frozenset[str]) -> bool:
    if element.tag in actions:
        action = actions[element.tag]
        # Cleaned: a description loses only words that identify, and the name of a device's node stays.
        stays = element.tag in descriptors() or known_vr(element.tag) == "AE"
        return action != KEEP and not (action == CLEAN and stays)
    vr = known_vr(element.tag) or element.vr
    if element.tag in KINDS:
        return False
    return vr in _SEARCHED - kept


def name_of(tag: int) -> str:
    """Its keyword, or its number if it has none."""
    return keyword_for_tag(tag) or spelled(tag)


def _take(element: Element, encodings: Sequence[str], found: Identifiers) -> None:
    vr = known_vr(element.tag) or element.vr  # a file may have another VR
    if vr in _HARMLESS or vr not in texts.TEXTS | texts.TIMES:
        return
    source = name_of(element.tag)
    for value in texts.values_of(element, encodings):
        if vr == "PN":
            _take_name(value, source, found)
        elif vr == "UI":
            if value and UID(value).name == value:
                found.uids[value] = source
        elif vr in texts.TIMES and _is_date(value):
            _put(found.dates, _digits(value)[:8], source)
        else:
            _take_value(value, source, element.tag, found)


def _take_name(value: str, source: str, found: Identifiers) -> None:
    for group in value.split("="):  # in Latin letters, in another script, and as it is spoken
        parts = texts.words(group)
        for word in texts.written_words(group):
            _take_word(word, source, found)
        if len(parts) > 1:
            _put(found.values, " ".join(parts), source)
            _put(found.values, " ".join([*parts[1:], parts[0]]), source)
            _put(found.values, " ".join(reversed(parts)), source)
        for one, other in permutations(parts[:_MOST_OF_NAME], 2):
            if len(one) + len(other) >= _LEAST_TOGETHER:
                _put(found.together, one + other, source)
            if len(one) > LEAST and one not in common_words():
                for login in {one + other[0], other[0] + one} - _BRANDS - common_words():
                    _put(found.logins, login, source)


def _take_word(word: str, source: str, found: Identifiers) -> None:
    plain = texts.folded(word)
    spelled = {plain, texts.folded(word.translate(_UMLAUTS))}
    contracted = re.sub("([aou])e", r"\1", plain)
    if len(contracted) > LEAST:
        spelled.add(contracted)
    for each in spelled:
        if (len(each) >= LEAST and each not in common_words()) or is_without_blanks(each):
            _put(found.words, each, source)
            _put(found.written, word, source)


def is_without_blanks(text: str) -> bool:
    """Whether a name of two and more characters is Chinese, Japanese or Korean."""
    return len(text) > 1 and any(
        "\u2e80" <= letter <= "\ua4cf" or "\uac00" <= letter <= "\ud7ff" for letter in text
    )


def _digits(date: str) -> str:
    return date.replace(".", "") if date[4:5] == "." else date


def _is_date(value: str) -> bool:
    return bool(re.match(r"\d{8}", _digits(value), re.ASCII))


def _take_value(value: str, source: str, tag: int, found: Identifiers) -> None:
    parts = texts.words(value)
    joined = " ".join(parts)
    if len(joined) < LEAST or joined in common_words():
        return
    if tag in descriptors() and (len(joined) < _LEAST_OF_DESCRIPTION or len(parts) < 2):
        return
    number = joined.replace(" ", "")
    is_short = len(joined) <= LEAST or (number.isdecimal() and len(number) < _LEAST_DIGITS)
    _put(found.short if is_short else found.values, joined, source)
    least = _LEAST_DIGITS if number.isdecimal() else _LEAST_OF_PART
    for number in numbers_in(parts):
        if len(number) >= least:
            _put(found.numbers, number, source)
    for part in parts:
        if len(part) >= _LEAST_OF_PART and part.isalnum() and not (part.isalpha() or part.isdecimal()):
            _put(found.words, part, source)


def numbers_in(parts: Sequence[str]) -> Iterator[str]:
    """Each number, also those that are written in up to five pieces, without zeros before it."""
    for first in range(len(parts)):
        number = ""
        for part in parts[first : first + 5]:
            if not part.isdecimal():
                break
            number += part
            yield number.lstrip("0")


def spellings(date: str) -> Iterator[str]:
    """A date of eight digits as people write it, in words and numbers."""
    year, month, day = date[:4], date[4:6], date[6:]
    yield date
    for some_year in (year, year[2:]):
        yield f"{some_year} {month} {day}"
        yield f"{day} {month} {some_year}"
        yield f"{month} {day} {some_year}"
    yield f"{int(day)} {int(month)} {year}"
    yield f"{int(month)} {int(day)} {year}"
    yield f"{year} {int(month)} {int(day)}"
    if 1 <= int(month) <= 12:
        names = {calendar.month_name[int(month)].lower(), calendar.month_abbr[int(month)].lower()}
        for name, a_day, some_year in product(names, {day, str(int(day))}, (year, year[2:])):
            yield f"{a_day} {name} {some_year}"
            yield f"{name} {a_day} {some_year}"
