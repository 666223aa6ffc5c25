"""The Basic Application Level Confidentiality Profile and its options (DICOM PS3.15, Annex E): what happens to which
element."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

REMOVE, EMPTY, DUMMY, KEEP, CLEAN, UID = "X", "Z", "D", "K", "C", "U"
# Where the table leaves it open, the value that is allowed in every kind of object.
_SETTLED = {"X/Z": EMPTY, "X/D": DUMMY, "X/Z/D": DUMMY, "Z/D": DUMMY, "X/Z/U*": UID}
# ReferencedStudySequence is optional where an empty one is not allowed.
_OPTIONAL = frozenset({0x00081110})
# Option of a route: column of the table.
COLUMNS: Mapping[str, str] = {
    "retain-uids": "uids",
    "retain-device": "device",
    "retain-institution": "institution",
    "retain-patient-characteristics": "patient",
    "clean-descriptors": "descriptors",
    "clean-structured-content": "content",
    "clean-graphics": "graphics",
}
DATES: Mapping[str, str] = {"keep": "full", "shift": "modified"}
# CID 7050
CODES: Mapping[str, tuple[str, str]] = {
    "basic": ("113100", "Basic Application Confidentiality Profile"),
    "clean-graphics": ("113103", "Clean Graphics Option"),
    "clean-structured-content": ("113104", "Clean Structured Content Option"),
    "clean-descriptors": ("113105", "Clean Descriptors Option"),
    "keep": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "shift": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "retain-patient-characteristics": ("113108", "Retain Patient Characteristics Option"),
    "retain-device": ("113109", "Retain Device Identity Option"),
    "retain-uids": ("113110", "Retain UIDs Option"),
    "retain-safe-private": ("113111", "Retain Safe Private Option"),
    "retain-institution": ("113112", "Retain Institution Identity Option"),
}
# Elements of the table that a rule of its own replaces.
PATIENT_ID, PATIENT_NAME, ACCESSION_NUMBER = 0x00100020, 0x00100010, 0x00080050


@cache
def _table() -> Mapping[int, tuple[str, Mapping[str, str]]]:
    return {tag: (action, options) for tag, action, options in _rows()}


def _rows() -> Iterator[tuple[int, str, Mapping[str, str]]]:
    for line in _lines("basic_profile.tsv"):
        tag, action, _, *options = line.split("\t")
        pairs = (pair.split("=") for pair in "".join(options).split())
        number = int(tag, 16)
        settled = REMOVE if number in _OPTIONAL else _SETTLED.get(action, action)
        yield number, settled, dict(pairs)


@cache
def safe_private() -> frozenset[tuple[str, int, int]]:
    """Private elements that the standard calls safe: creator, group, number within the creator's block."""
    rows = (line.split("\t") for line in _lines("safe_private.tsv"))
    return frozenset((creator, int(group, 16), int(number, 16)) for creator, group, number in rows)


def _lines(name: str) -> list[str]:
    lines = Path(__file__).with_name(name).read_text("utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def actions(options: Sequence[str], dates: str) -> Mapping[int, str]:
    """The action for each tag of the table. A column that cleans wins over one that keeps."""
    return _actions(frozenset(options), dates)


@cache
def _actions(options: frozenset[str], dates: str) -> Mapping[int, str]:
    wanted = {COLUMNS[option] for option in options if option in COLUMNS}
    if dates in DATES:
        wanted.add(DATES[dates])
    found = {}
    for tag, (action, columns) in _table().items():
        chosen = {columns[column] for column in wanted if column in columns}
        found[tag] = CLEAN if CLEAN in chosen else KEEP if KEEP in chosen else action
    return found


@cache
def descriptors() -> frozenset[int]:
    """Elements that describe in words what was done: they may hold an identifier, but are none by themselves."""
    return frozenset(tag for tag, (_, columns) in _table().items() if "descriptors" in columns)


@cache
def of_equipment() -> frozenset[int]:
    """Elements that tell which device it was, and where."""
    named = {"device", "institution"}
    return frozenset(tag for tag, (_, columns) in _table().items() if named & columns.keys())


def codes(options: Sequence[str], dates: str) -> list[tuple[str, str]]:
    """The codes and meanings for DeidentificationMethodCodeSequence."""
    return [CODES[name] for name in ("basic", *sorted(options), dates) if name in CODES]
