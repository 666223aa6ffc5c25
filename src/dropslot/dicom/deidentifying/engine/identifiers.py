"""The values in a file that may tell who the patient is: what de-identification must not let through."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from pydicom.datadict import keyword_dict, keyword_for_tag

from dropslot.dicom.deidentifying.engine import texts
from dropslot.dicom.deidentifying.engine.elements import Element, known_vr, spelled
from dropslot.dicom.deidentifying.engine.profile import CLEAN, KEEP, descriptors

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
_PATIENT = "PatientName"
_LEAST_OF_DESCRIPTION = 12
_LEAST_DIGITS = 6  # a shorter number is found only as a whole value


@dataclass(slots=True)
class Identifiers:
    """Each maps what is searched to the attribute that had it. `words` are names; `values` are sequences of words;
    `short` ones count only if they are a whole value; `dates` have eight digits."""

    words: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    short: dict[str, str] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)

    def banned(self) -> frozenset[str]:
        """The words that a cleaned text must not have."""
        parts = {
            word for value in (*self.values, *self.short) for word in value.split() if len(word) >= LEAST
        }
        return frozenset(self.words) | {part for part in parts if part not in common_words()}


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
    """A station that is called like its model tells no more than the model, which the profile keeps."""
    makers = [texts.text_of(each.value, ["iso8859"]) for each in elements if each.tag in _MAKERS]
    known = "".join(f" {' '.join(texts.words(maker))} " for maker in makers)
    for kept in (found.words, found.values, found.short):
        for value in [
            value for value, source in kept.items() if f" {value} " in known and source != _PATIENT
        ]:
            del kept[value]


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
    vr = element.vr if element.vr != "UN" else known_vr(element.tag)
    if vr in _HARMLESS or vr not in texts.TEXTS | texts.TIMES:
        return
    source = name_of(element.tag)
    for value in texts.values_of(element, encodings):
        if vr == "PN":
            _take_name(value, source, found)
        elif vr == "UI":
            if not value.startswith("1.2.840.10008."):
                found.uids[value] = source
        elif vr in texts.TIMES:
            _take_date(value, source, found)
        else:
            _take_value(value, source, element.tag, found)


def _take_name(value: str, source: str, found: Identifiers) -> None:
    parts = texts.words(value)
    for word in parts:
        if (len(word) >= LEAST and word not in common_words()) or is_without_blanks(word):
            found.words[word] = source
    if len(parts) > 1:
        found.values[" ".join(parts)] = source
        found.values[" ".join([*parts[1:], parts[0]])] = source
        found.values[" ".join(reversed(parts))] = source


def is_without_blanks(text: str) -> bool:
    """Whether a name of two and more characters is Chinese, Japanese or Korean."""
    return len(text) > 1 and any(
        "\u2e80" <= letter <= "\ua4cf" or "\uac00" <= letter <= "\ud7ff" for letter in text
    )


def _take_date(value: str, source: str, found: Identifiers) -> None:
    digits = value.replace(".", "") if value[4:5] == "." else value
    if digits[:8].isdigit() and len(digits[:8]) == 8:
        found.dates[digits[:8]] = source


def _take_value(value: str, source: str, tag: int, found: Identifiers) -> None:
    parts = texts.words(value)
    joined = " ".join(parts)
    if len(joined) < LEAST or joined in common_words():
        return
    if tag in descriptors() and (len(joined) < _LEAST_OF_DESCRIPTION or len(parts) < 2):
        return
    is_short = len(joined) <= LEAST or (joined.replace(" ", "").isdigit() and len(joined) < _LEAST_DIGITS)
    (found.short if is_short else found.values)[joined] = source


def spellings(date: str) -> Iterator[str]:
    """A date of eight digits as people write it, in words and numbers."""
    year, month, day = date[:4], date[4:6], date[6:]
    yield date
    yield f"{year} {month} {day}"
    yield f"{day} {month} {year}"
    yield f"{month} {day} {year}"
    if 1 <= int(month) <= 12:
        for name in (calendar.month_name[int(month)], calendar.month_abbr[int(month)]):
            yield f"{int(day)} {name.lower()} {year}"
            yield f"{name.lower()} {int(day)} {year}"
            yield f"{day} {name.lower()} {year}"
