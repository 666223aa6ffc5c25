"""Texts with fields, such as `/srv/studies/{study}/raw-data`: what a destination, a folder or a group is
called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cached_property
from string import Formatter
from typing import NamedTuple

from dropslot.core.addressing import addresses
from dropslot.core.errors import Refused
from dropslot.core.names import escape, fault_of_name
from dropslot.core.showing.dates import fault_of_format, formatted

# Fields that every arrival has: when it came, and the type of the content of a single file.
GIVEN = frozenset({"date", "weekday", "mime"})
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Piece(NamedTuple):
    """A literal text and the field after it; `field` is empty at the end, `spec` is a format as in
    `{date:%Y}`, which only `date` may have."""

    literal: str
    field: str
    spec: str


def literal(text: str) -> str:
    """`text` as a template that has no field: its braces doubled."""
    return text.replace("{", "{{").replace("}", "}}")


def fault_of_value(field: str, value: str, *, marks: bool = False) -> str | None:
    """Why `value` may not stand for a field in a path; None when it may. It must be one safe, visible path component.
    `marks`: direction marks may be in it."""
    if value.startswith(".") and value not in {".", ".."}:
        return f"field {field} is '{escape(value)}', which begins with a dot"
    if fault := fault_of_name(value, marks=marks):
        return f"field {field} is '{escape(value)}', which is not a safe path component: {fault}"
    return None


class Template:
    """A text in which `{field}` stands for a value; `{{` and `}}` are braces.

    Raises ValueError, in words for the person who wrote the text, when it is malformed.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.pieces = tuple(_pieces(text))
        self.fields = frozenset(piece.field for piece in self.pieces if piece.field)

    def __repr__(self) -> str:
        return f"Template({self.text!r})"

    @cached_property
    def fixed(self) -> str:
        """The path before the first field, cut back to the last whole folder; all of it when there is no
        field."""
        if not self.fields:
            return self.text.replace("{{", "{").replace("}}", "}")
        before = ""
        for piece in self.pieces:
            before += piece.literal
            if piece.field:
                break
        folder, slash, _ = before.rpartition("/")
        return f"{folder}/" if addresses.is_server(folder) else folder or slash

    def fill(self, values: Mapping[str, str], *, marks: bool = False) -> str:
        """The text with every field's value put in; `marks`: direction marks may be in them.

        Raises Refused with a sentence for each field that is missing or no single safe path component, and for each
        path part that became unsafe (too long, reserved) through the values.
        """
        reasons = [reason for field in sorted(self.fields) if (reason := _fault_of(field, values, marks))]
        if reasons:
            raise Refused(reasons)
        filled = "".join(piece.literal + _value_of(piece, values) for piece in self.pieces)
        if self.fields:
            _check_parts(filled, self.fixed, marks)
        return filled

    def match(self, text: str) -> dict[str, str] | None:
        """The values with which this template gives `text`; None when there are none (values are not
        judged)."""
        found = self._pattern.fullmatch(text)
        return found.groupdict() if found else None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        seen: set[str] = set()
        parts = []
        for piece in self.pieces:
            parts.append(re.escape(piece.literal))
            if piece.spec:
                parts.append("[^/]+")
            elif piece.field:
                parts.append(f"(?P={piece.field})" if piece.field in seen else f"(?P<{piece.field}>[^/]+)")
                seen.add(piece.field)
        return re.compile("".join(parts), re.DOTALL)


def _pieces(text: str) -> Iterator[Piece]:
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{error}; write {{{{ or }}}} for a brace that is not part of a field") from None
    for before, field, spec, conversion in parsed:
        if field is not None and (conversion or not _FIELD.fullmatch(field)):
            raise ValueError(f"'{{{field}}}' is not a field: a field is a word of letters, digits and _")
        if spec and field != "date":
            raise ValueError(f"'{{{field}:{spec}}}' has a format, which only date has, as in {{date:%Y%m%d}}")
        if spec and (fault := fault_of_format(spec) or fault_of_value("date", formatted(date.min, spec))):
            raise ValueError(f"'{{date:{spec}}}' is not a date format: {fault}")
        yield Piece(before, field or "", spec or "")


def _fault_of(field: str, values: Mapping[str, str], marks: bool) -> str | None:
    if values.get(field) is None:
        return f"field {field} has no value"
    return fault_of_value(field, values[field], marks=marks)


def _value_of(piece: Piece, values: Mapping[str, str]) -> str:
    """`date` is held as 2026-03-01; its format was proved to give a safe path part."""
    if not piece.field:
        return ""
    return (
        formatted(date.fromisoformat(values[piece.field]), piece.spec) if piece.spec else values[piece.field]
    )


def _check_parts(filled: str, fixed: str, marks: bool) -> None:
    reasons = []
    rest = filled[len(fixed) :]
    if addresses.is_server(fixed.removesuffix("/")) and rest.startswith("~"):
        first = escape(rest.partition("/")[0])
        reasons.append(
            f"'{first}' cannot be the first folder at a server: there, ~ is the account's start folder"
        )
    for part in rest.split("/"):
        if part and (fault := fault_of_name(part, marks=marks)):
            reasons.append(f"'{escape(part)}' is not a safe path component: {fault}")
    if reasons:
        raise Refused(reasons)
