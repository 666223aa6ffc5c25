"""Recipes in the format of pydicom's `deid`: the actions of their section %header, which change the profile, for single
fields and for lists of them (%fields), and the labels of their filters (%filter), whose images are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from dropslot.dicom_files.deidentifier.recipe_filters import Label, read_line

_ACTIONS = frozenset({"ADD", "BLANK", "JITTER", "KEEP", "REMOVE", "REPLACE"})
_WITH_VALUE = frozenset({"ADD", "JITTER", "REPLACE"})
_TAG = re.compile(r"(?:0x)?\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_PRIVATE = re.compile(r'\(([0-9A-Fa-f]{4}),"([^"]+)",([0-9A-Fa-f]{2})\)')
_EXPANDERS = ("contains", "startswith", "endswith", "except", "allexcept")
_SECTIONS = ("header", "filter", "fields", "labels")  # %labels says things about the recipe itself
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


class Recipe(NamedTuple):
    """The rules of a recipe, in order, the labels whose images are refused, and the fields that it names but DICOM's
    dictionary does not have: removing them, or comparing with them, has no effect."""

    rules: Sequence[Rule] = ()
    labels: Sequence[Label] = ()
    unknown: Sequence[str] = ()


def read(text: str) -> Recipe:
    """A whole recipe. Raises BadRecipe."""
    rules: list[Rule] = []
    labels: list[Label] = []
    fields: dict[str, list[str]] = {}
    unknown: dict[str, None] = {}

    def tag_of(field: str) -> int:
        tag = next(_tags(field), -1)
        if tag < 0:
            unknown[field] = None
        return tag

    section = name = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("%"):
            section, name = _section(line, number)
        elif section == "header":
            rules += [rule for rule in _rules(line, number, fields) if _is_known(rule, number, tag_of)]
        elif section == "fields":
            fields.setdefault(name, []).append(_field(line, number))
        elif section == "filter" and name != "whitelist":  # what is clean needs no line here
            _take_filter(line, number, labels, tag_of)
        elif not section and not re.match(r"format\s+dicom$", line, re.IGNORECASE):
            raise BadRecipe(f"line {number}: expected FORMAT dicom, or a section such as %header")
    return Recipe(rules, labels, list(unknown))


def _section(line: str, number: int) -> tuple[str, str]:
    section, name = [*line[1:].split(), "", ""][:2]
    if section.lower() not in _SECTIONS:
        known = ", ".join(f"%{each}" for each in _SECTIONS)
        raise BadRecipe(f"line {number}: only the sections {known} are known, not %{section}")
    return section.lower(), name.lower()


def _field(line: str, number: int) -> str:
    word, _, expression = line.partition(" ")
    if word.upper() != "FIELD" or not expression:
        raise BadRecipe(f"line {number}: expected FIELD, and a field")
    return expression.strip()


def _is_known(rule: Rule, number: int, tag_of: Callable[[str], int]) -> bool:
    """Recipes of `deid` often remove fields by names that are not, or no longer, in the dictionary."""
    if _PRIVATE.fullmatch(rule.field) or tag_of(rule.field) >= 0:
        return True
    if rule.action in ("REMOVE", "BLANK"):
        return False
    raise BadRecipe(f"line {number}: {rule.field} is not an element of DICOM's dictionary")


def _take_filter(line: str, number: int, labels: list[Label], tag_of: Callable[[str], int]) -> None:
    if line.upper().startswith("LABEL"):
        labels.append(Label(line[len("LABEL") :].strip(), ()))
        return
    if not labels:
        raise BadRecipe(f"line {number}: expected LABEL and the name of a filter")
    try:
        criteria = read_line(line, tag_of)
    except ValueError as error:
        raise BadRecipe(f"line {number}: {error}") from error
    if criteria:
        labels[-1] = labels[-1]._replace(lines=(*labels[-1].lines, criteria))


def _rules(line: str, number: int, fields: Mapping[str, Sequence[str]]) -> list[Rule]:
    """One rule, or one for each field of a list. LABEL is a remark."""
    action, _, rest = line.partition(" ")
    named = re.match(r"fields:(\S+)", rest.strip(), re.IGNORECASE)
    if action.upper() == "LABEL":
        return []
    if named is None:
        return [_rule(line, number)]
    if named[1].lower() not in fields:
        raise BadRecipe(f"line {number}: there is no section %fields {named[1]} before it")
    value = rest.strip()[named.end() :]
    return [_rule(f"{action} {field}{value}", number) for field in fields[named[1].lower()]]


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
