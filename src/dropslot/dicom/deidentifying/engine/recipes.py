"""Recipes in the format of pydicom's `deid`: the actions of their section %header, which change the profile. Filters
for pixels (%filter) are not used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

_ACTIONS = frozenset({"ADD", "BLANK", "JITTER", "KEEP", "REMOVE", "REPLACE"})
_WITH_VALUE = frozenset({"ADD", "JITTER", "REPLACE"})
_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_PRIVATE = re.compile(r'\(([0-9A-Fa-f]{4}),"([^"]+)",([0-9A-Fa-f]{2})\)')
_EXPANDERS = ("contains", "startswith", "endswith", "except", "allexcept")
_FIELD = re.compile(r"(\S*?\([^)]*\)|\S+)(?:\s+(.*))?")


class BadRecipe(Exception):
    """A line that this program cannot follow. The words begin with its number."""


class Rule(NamedTuple):
    """One line: the action, the field or expression, and the value."""

    action: str
    field: str
    value: str


class Change(NamedTuple):
    """A value that a recipe gives, or days by which it shifts a date."""

    text: str = ""
    days: int | None = None


class Changes(NamedTuple):
    """What a recipe changes: actions by tag, private elements to keep, and elements to add."""

    actions: Mapping[int, str | Change]
    private: frozenset[tuple[str, int, int]]
    additions: Mapping[int, str]


def read(text: str) -> list[Rule]:
    """The rules of a recipe, in order. Raises BadRecipe."""
    rules, section = [], ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("%"):
            section = line[1:].split()[0].lower() if line[1:].split() else ""
            if section not in ("header", "filter"):
                raise BadRecipe(
                    f"line {number}: only the sections %header and %filter are known, not %{section}"
                )
        elif section == "header":
            rules.append(_rule(line, number))
        elif not section and not re.match(r"format\s+dicom$", line, re.IGNORECASE):
            raise BadRecipe(f"line {number}: expected FORMAT dicom, or a section such as %header")
    return rules


def _rule(line: str, number: int) -> Rule:
    action, _, rest = line.partition(" ")
    action = action.upper()
    found = _FIELD.fullmatch(rest.strip())
    if action not in _ACTIONS or found is None:
        raise BadRecipe(f"line {number}: expected one of {', '.join(sorted(_ACTIONS))}, and a field")
    field, value = found[1], (found[2] or "").strip()
    if re.match(r"(var|func|deid_func):", value):
        raise BadRecipe(
            f"line {number}: values from variables and functions are not known; write the value itself"
        )
    if action == "JITTER" and not re.fullmatch(r"[-+]?\d{1,6}", value):
        raise BadRecipe(f"line {number}: JITTER needs a number of days")
    if action in _WITH_VALUE and not value:
        raise BadRecipe(f"line {number}: {action} needs a value")
    rule = Rule(action, field, value if action in _WITH_VALUE else "")
    if not _PRIVATE.fullmatch(field) and not any(True for _ in _tags(field)):
        raise BadRecipe(f"line {number}: {field} is no element of DICOM's dictionary")
    if _PRIVATE.fullmatch(field) and action not in ("KEEP", "REMOVE"):
        raise BadRecipe(f"line {number}: a private element can be kept or removed")
    return rule


def changes(rules: Sequence[Sequence[str]]) -> Changes:
    """What the rules change. A later rule wins, but KEEP always does, as in `deid`."""
    actions: dict[int, str | Change] = {}
    additions: dict[int, str] = {}
    private: set[tuple[str, int, int]] = set()
    for action, field, value in sorted(rules, key=lambda rule: rule[0] == "KEEP"):
        if found := _PRIVATE.fullmatch(field):
            if action == "KEEP":
                private.add((found[2], int(found[1], 16), int(found[3], 16)))
            continue
        for tag in _tags(field):
            actions[tag] = _change(action, value)
            if action == "ADD":
                additions[tag] = value
    return Changes(actions, frozenset(private), additions)


def _change(action: str, value: str) -> str | Change:
    if action == "JITTER":
        # Later by as many days; a Replacer moves dates back.
        return Change(days=-int(value))
    if action in ("ADD", "REPLACE"):
        return Change(value)
    return {"KEEP": "K", "REMOVE": "X", "BLANK": "Z"}[action]


def _tags(field: str) -> Iterator[int]:
    from pydicom.datadict import keyword_dict

    if field in keyword_dict:
        yield keyword_dict[field]
    elif found := _TAG.fullmatch(field):
        yield int(found[1] + found[2], 16)
    elif field.upper() == "ALL":
        yield from keyword_dict.values()
    else:
        kind, _, expression = field.partition(":")
        if kind.lower() in _EXPANDERS and expression:
            yield from _expanded(kind.lower(), expression.lower(), keyword_dict)
        elif kind.lower() == "select":
            yield from _selected(expression, keyword_dict)


def _expanded(kind: str, expression: str, known: Mapping[str, int]) -> Iterator[int]:
    anchored = {"startswith": f"^({expression})", "endswith": f"({expression})$"}.get(kind, expression)
    try:
        pattern = re.compile(anchored)
    except re.error:
        return
    wanted = kind not in ("except", "allexcept")
    for keyword, tag in known.items():
        if bool(pattern.search(keyword.lower())) is wanted:
            yield tag


def _selected(expression: str, known: Mapping[str, int]) -> Iterator[int]:
    from pydicom.datadict import dictionary_VR

    kind, _, value = expression.partition(":")
    for tag in known.values():
        has = dictionary_VR(tag) if kind.upper() == "VR" else f"{tag >> 16:04X}"
        if kind.lower() in ("vr", "group") and has == value.upper():
            yield tag
