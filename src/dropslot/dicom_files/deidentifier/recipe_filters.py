"""The filters of recipes in the format of pydicom's `deid`: which images have pixels that may show who the patient is.

Each label is a list of criteria. Lines are joined by `+` (and) or `||` (or), as are the criteria within a line, and
are judged from left to right, as in `deid`. Coordinates are not used: no pixels are painted over, so an image that
a label matches is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

_CRITERIA = ("contains", "notcontains", "equals", "notequals", "missing", "present", "empty")
_WITH_VALUE = frozenset({"contains", "notcontains", "equals", "notequals"})
_CRITERION = re.compile(rf"({'|'.join(_CRITERIA)})\s+(\S+)(?:\s+(.*))?", re.IGNORECASE)
_JOINED = re.compile(rf"\s*(\|\||\+)\s*(?=(?:{'|'.join(_CRITERIA)})\s)", re.IGNORECASE)
_COORDINATES = re.compile(r"(ctp)?(keep)?coordinates\b", re.IGNORECASE)
_OPERATORS = ("+", "||")


class Criterion(NamedTuple):
    """One comparison. `joined`: by `+` or `||` with what is before it."""

    joined: str
    kind: str
    tag: int
    value: str


class Label(NamedTuple):
    """A named list of lines, each joined with the one before it as its first criterion is."""

    name: str
    lines: tuple[tuple[Criterion, ...], ...]


def read_line(line: str, tag_of: Callable[[str], int]) -> tuple[Criterion, ...]:
    """The criteria of one line; none for coordinates. `tag_of`: the tag of a field; -1, which no image has, if the
    dictionary has none. Raises ValueError with the reason."""
    if _COORDINATES.match(line):
        return ()
    joined = next((operator for operator in _OPERATORS if line.startswith(operator)), "+")
    parts = _JOINED.split(line.removeprefix(joined).strip())
    return tuple(
        _criterion(operator, part, tag_of)
        for operator, part in zip([joined, *parts[1::2]], parts[::2], strict=True)
    )


def _criterion(joined: str, part: str, tag_of: Callable[[str], int]) -> Criterion:
    found = _CRITERION.fullmatch(part.strip())
    if found is None:
        raise ValueError(f"expected one of {', '.join(_CRITERIA)}, and a field")
    kind, field, value = found[1].lower(), found[2], (found[3] or "").strip()
    if kind in _WITH_VALUE and not value:
        raise ValueError(f"{kind} needs a value")
    if kind.endswith("contains"):
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is not a pattern: {error}") from error
    return Criterion(joined, kind, tag_of(field), value)


def matching(labels: Sequence[Sequence[object]], values: Mapping[int, str]) -> Iterator[str]:
    """The names of the labels that an image with these values, by tag, belongs to. `labels`: Labels, or the same from
    JSON."""
    for name, lines in labels:
        if lines and _is_true(lines, values):  # type: ignore[arg-type]
            yield str(name)


def _is_true(lines: Sequence[Sequence[Sequence[object]]], values: Mapping[int, str]) -> bool:
    judged = [
        (line[0][0], _joined([(each[0], _holds(values, *each[1:])) for each in line])) for line in lines
    ]
    return _joined(judged)


def _joined(judged: Sequence[tuple[object, bool]]) -> bool:
    result = judged[0][1]
    for operator, value in judged[1:]:
        result = (result or value) if operator == "||" else (result and value)
    return result


def _holds(values: Mapping[int, str], kind: object, tag: object, wanted: object) -> bool:
    found, expected = values.get(tag), str(wanted).lower()  # type: ignore[call-overload]
    if kind in ("missing", "present"):
        return (found is None) is (kind == "missing")
    if kind == "empty":
        return found is not None and not found.strip()
    several = [] if found is None else [each.strip().lower() for each in (found, *found.split("\\"))]
    if kind in ("equals", "notequals"):
        return (expected in several) is (kind == "equals")
    found_in = any(re.search(str(wanted), each, re.IGNORECASE) for each in several)
    return found_in is (kind == "contains")
