"""The tables of the listings: which columns they have, and how each cell is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from django.urls import NoReverseMatch, reverse

from dropslot.core.showing import amounts
from dropslot.portal.words import states
from dropslot.portal.words.event_words import Words
from dropslot.portal.words.verdicts import verdict

Row = dict[str, Any]
Look = Literal[
    "text",
    "name",
    "state",
    "arrival",
    "time",
    "size",
    "number",
    "hash",
    "reasons",
    "event",
    "verdict",
    "date",
    "uid",
]


class Column(NamedTuple):
    """`key` is the row's; `leads_to` is a page and the row's key that it takes, if that page exists."""

    key: str
    label: str
    look: Look = "text"
    leads_to: tuple[str, str] | None = None


@dataclass(frozen=True)
class Cell:
    """What the template shows."""

    label: str
    look: str
    value: Any
    more: str = ""  # the exact value, or the colour of a state
    url: str = ""


@dataclass(frozen=True)
class Line:
    """One row; `id` is what a selection names, empty where it cannot be selected."""

    cells: list[Cell]
    id: str = ""
    name: str = ""
    action: str = ""  # an address
    action_label: str = ""


@dataclass(frozen=True)
class Table:
    """`empty` says what to do if there is nothing."""

    caption: str
    columns: Sequence[Column]
    lines: list[Line]
    empty: str
    newest: str = ""
    older: str = ""
    retry: str = ""  # the address that takes a selection
    retries: bool = False  # some rows may be retried
    release: str = ""  # the address that takes a selection of held arrivals, if there are some
    has_actions: bool = field(default=False)
    first_label: str = "Newest"
    next_label: str = "Older"


def line(row: Row, columns: Iterable[Column], **more: str) -> Line:
    """One row of a table."""
    return Line([_cell(row, column) for column in columns], **more)


def address(name: str, *values: Any) -> str:
    """Of a page; empty if the portal does not have it."""
    try:
        return reverse(f"dropslot:{name}", args=values)
    except NoReverseMatch:
        return ""


def _cell(row: Row, column: Column) -> Cell:
    value = row.get(column.key)
    url = ""
    if column.leads_to and row.get(column.leads_to[1]):
        url = address(column.leads_to[0], row[column.leads_to[1]])
    if value is None or value == "":
        return Cell(column.label, "text", "")
    shown, more = _LOOKS.get(column.look, _plain)(value)
    return Cell(column.label, column.look, shown, more, url)


def _plain(value: Any) -> tuple[Any, str]:
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)), ""


def _time(value: str) -> tuple[str, str]:
    """In UTC; the page shows it in the reader's zone."""
    moment = datetime.fromisoformat(value).astimezone(UTC)
    return moment.strftime("%Y-%m-%d %H:%M UTC"), moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _size(value: int) -> tuple[str, str]:
    return amounts.size(value), f"{value:,} bytes"


def _number(value: float) -> tuple[str, str]:
    return f"{value:,}", ""


def _state(value: str) -> tuple[str, str]:
    return value, _COLOURS.get(value, "secondary")


def _reasons(value: Any) -> tuple[list[str], str]:
    return (value if isinstance(value, list) else [str(value)]), ""


def _event(value: dict[str, Any]) -> tuple[Words, str]:
    """An event in words, and what is recorded of it."""
    return value["words"], json.dumps(value["data"], ensure_ascii=False)


def _hash(value: str) -> tuple[str, str]:
    return value[:10], value


def _verdict(value: str) -> tuple[str, str]:
    told = verdict(value)
    return told.word, told.colour


def _uid(value: str) -> tuple[str, str]:
    """The end of a UID tells it from others."""
    return (f"…{value[-14:]}" if len(value) > 16 else value), value


def day(value: str) -> str:
    """A day as DICOM writes it, 20261129, for people; what is no such day is shown as it is."""
    is_day = len(value) == 8 and value.isascii() and value.isdigit()
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if is_day else value


def _date(value: str) -> tuple[str, str]:
    return day(value), ""


def _arrival(value: str) -> tuple[str, str]:
    """The state of an arrival, in the words of the other pages."""
    told = states.told(value)
    return told.word, told.colour


_COLOURS = {
    "delivered": "success",
    "unchanged": "secondary",
    "counts": "success",
    "undone": "secondary",
    "read": "success",
}
_LOOKS: dict[str, Callable[[Any], tuple[Any, str]]] = {
    "time": _time,
    "size": _size,
    "number": _number,
    "state": _state,
    "arrival": _arrival,
    "reasons": _reasons,
    "hash": _hash,
    "event": _event,
    "verdict": _verdict,
    "date": _date,
    "uid": _uid,
}
