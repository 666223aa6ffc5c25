"""Finding the life of one file, and what happened last."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dropslot.access.roles import Role
from dropslot.access.seen import Access
from dropslot.audit import chain
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event
from dropslot.portal.homes.section import Section
from dropslot.portal.verifying import runs
from dropslot.portal.words.event_words import Words, in_words
from dropslot.timestamps.section import authority_of

if TYPE_CHECKING:
    from dropslot.timestamps.stamping import Newest

SHOWN = 12


class Happened(NamedTuple):
    """One event in words."""

    event: Event
    words: Words
    name: str = ""  # of its arrival; empty if it has none that is seen


def facts(access: Access) -> dict[str, Any]:
    """The newest events, and the head of the chain for those who see all of it."""
    newest = access.events().order_by("-seq")[:SHOWN]
    return {
        "events": _named(access, told(newest)),
        "head": chain.head() if access.sees_all_routes() else None,
        "stamp": _stamp(access) if access.sees_all_routes() else None,
        "verified": runs.latest(access.config) if access.sees_all_routes() else [],
        "urgent": False,
    }


def _stamp(access: Access) -> Newest | None:
    if authority_of(access.config) is None:
        return None
    from dropslot.timestamps.stamping import newest  # only where there is an authority

    return newest()


def without_repeats(newest_first: Sequence[Happened]) -> list[Happened]:
    """Events of one arrival: an attempt that met the same fault as the one before says so, without its words again."""
    shown: list[Happened] = []
    before: Words | None = None
    for each in reversed(newest_first):
        if each.event.kind == Kind.RETRYING and each.words.lines:
            is_same, before = before is not None and before.lines == each.words.lines, each.words
            if is_same:
                each = each._replace(words=replace(each.words, lines=("The reason was the same as before.",)))
        shown.append(each)
    return shown[::-1]


def told(events: Iterable[Event]) -> list[Happened]:
    """Events in words, in their order."""
    return [Happened(event, in_words(event.kind, json.loads(event.data))) for event in events]


def _named(access: Access, found: list[Happened]) -> list[Happened]:
    ids = {each.event.arrival for each in found}
    names = dict(access.arrivals().filter(pk__in=ids).order_by().values_list("id", "name"))
    return [each._replace(name=names.get(each.event.arrival, "")) for each in found]


SECTION = Section("auditor", frozenset({Role.AUDITOR}), facts)
