"""The message of the task `dropslot.deliver`: which arrivals of a route may be due. It may be anything, since others
can write to the broker, and releases before and after this one do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

VERSION = 1
MOST = 1000  # arrivals in one message that is read
_ID_LENGTH = 26


class Unreadable(ValueError):
    """A message that says nothing to this release."""


class Named(NamedTuple):
    """What a message names. No arrivals: whatever is due on the route."""

    route: str
    arrivals: Sequence[str]


def written(route: str, arrivals: Sequence[str]) -> dict[str, Any]:
    """The keywords of the task."""
    return {"version": VERSION, "route": route, "arrivals": list(arrivals)}


def read(keywords: Mapping[str, Any], routes: Mapping[str, Any]) -> Named:
    """What a message says; unknown keys are ignored. A newer release's message wakes this route's worker, no more.

    Raises Unreadable for anything else.
    """
    version, route, arrivals = (keywords.get(key) for key in ("version", "route", "arrivals"))
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise Unreadable("it has no version")
    if not isinstance(route, str) or route not in routes:
        raise Unreadable("it names no route of this configuration")
    if version > VERSION:
        return Named(route, ())
    if not isinstance(arrivals, list) or len(arrivals) > MOST or not all(map(_is_id, arrivals)):
        raise Unreadable("it has no list of arrivals")
    return Named(route, arrivals)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and len(value) == _ID_LENGTH and value.isascii() and value.isalnum()
