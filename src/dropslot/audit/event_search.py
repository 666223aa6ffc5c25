"""Looking events up, for people and their tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from json.encoder import encode_basestring as quoted
from typing import Any

from django.db.models import Q, QuerySet

from dropslot.audit.canonical import text_of
from dropslot.audit.chain import timestamp
from dropslot.audit.models import Event
from dropslot.core.patterns import forms

_COLUMNS = ("seq", "at", "kind", "arrival", "data", "hash")


def find(
    *,
    arrival: str = "",
    kind: str = "",
    since: datetime | None = None,
    search: str = "",
    newest: int | None = None,
    within: QuerySet[Any] | None = None,
    using: str = "default",
) -> Iterator[dict[str, Any]]:
    """Events in the order they were written, as dictionaries: seq, at, kind, arrival, data, hash.

    `arrival` is the beginning of an id; `kind` is whole; `search` is text anywhere in kind, arrival or
    data, in any case of ASCII letters; `newest` keeps only so many of the last that fit; `within` is a query of whole
    ids of arrivals.
    """
    found = narrowed(Event.objects.using(using), arrival, kind, since, search)
    if within is not None:
        found = found.filter(arrival__in=within)
    if newest is not None:
        found = found.filter(seq__in=list(found.order_by("-seq").values_list("seq", flat=True)[:newest]))
    for row in found.order_by("seq").values(*_COLUMNS).iterator(chunk_size=1000):
        yield {**row, "data": json.loads(row["data"])}


def kinds(*, using: str = "default") -> set[str]:
    """The kinds of all recorded events."""
    return set(Event.objects.using(using).order_by().values_list("kind", flat=True).distinct())


def arrivals(beginning: str, at_most: int, *, using: str = "default") -> list[str]:
    """Ids of arrivals that have events, with this beginning; `at_most` of them, the oldest first."""
    found = narrowed(Event.objects.using(using), beginning, "", None, "").order_by("arrival")
    return list(found.values_list("arrival", flat=True).distinct()[:at_most])


def row(event: Event) -> dict[str, Any]:
    """One event with the keys of `events --json`."""
    return {name: getattr(event, name) for name in _COLUMNS} | {"data": json.loads(event.data)}


def narrowed(
    events: QuerySet[Event],
    arrival: str,
    kind: str,
    since: datetime | None,
    search: str,
    until: datetime | None = None,
) -> QuerySet[Event]:
    """The events that match; what each filter means is at `find`. `until` is the end, not within."""
    if arrival:
        # A range, not LIKE: the index serves it on both databases, and ids are upper-case ASCII.
        beginning = arrival.upper()
        events = events.filter(arrival__gte=beginning, arrival__lt=beginning + "\x7f")
    if kind:
        events = events.filter(kind=kind)
    if since is not None:
        events = events.filter(at__gte=timestamp(since))
    if until is not None:
        events = events.filter(at__lt=timestamp(until))
    if search:
        found = Q(kind__icontains=search) | Q(arrival__icontains=search)
        for form in forms(search):
            found |= Q(data__icontains=quoted(text_of(form))[1:-1])  # as JSON writes it
        events = events.filter(found)
    return events
