"""What a filter says to the index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring as quoted
from typing import Any

from django.db.models import QuerySet

from dropslot.arrivals.listings.queries import Filter
from dropslot.arrivals.listings.search.grams import (
    beginning_of_hash,
    beginning_of_id,
    days_between,
    number,
    pieces_of_search,
)
from dropslot.arrivals.listings.search.index_tables import Clause
from dropslot.arrivals.listings.search.scopes import clause_of
from dropslot.audit.canonical import text_of
from dropslot.core.patterns import forms


def of_arrivals(seen: QuerySet[Any], wanted: Filter) -> list[Clause]:
    """All that is known of the arrivals that are wanted; none: they may be any."""
    found = [*clause_of(seen), *_of_arrival(wanted), *_searched(wanted.search, [])]
    return [*found, [[number("state", wanted.state)]]] if wanted.state else found


def of_deliveries(seen: QuerySet[Any], wanted: Filter) -> list[Clause]:
    """The same of deliveries."""
    text = wanted.search
    found = [*clause_of(seen), *_of_arrival(wanted), *_searched(text, [[beginning_of_hash(text)]])]
    if wanted.sha256:
        found.append([[beginning_of_hash(wanted.sha256)]])
    if place := wanted.destination.rstrip("/"):
        found.append([[number("in", place)]])
    return found


def of_events(seen: QuerySet[Any], wanted: Filter) -> list[Clause]:
    """The same of events. Of their arrivals the index has the route alone."""
    found = [
        *clause_of(seen, frozenset({"route"})),
        *_single("route", wanted.route),
        *_single("kind", wanted.kind),
    ]
    if wanted.since or wanted.until:
        found.append([[day] for day in days_between(wanted.since, wanted.until)])
    texts = {wanted.search, *(quoted(text_of(form))[1:-1] for form in forms(wanted.search))}
    searches = [pieces_of_search(text) for text in texts] if wanted.search else []
    return [*found, searches] if searches and all(searches) else found


def any_route(routes: Iterable[str]) -> Clause:
    """One of these routes."""
    return [[number("route", route)] for route in routes] or [[number("route", "")]]


def _of_arrival(wanted: Filter) -> Iterator[Clause]:
    yield from _single("route", wanted.route)
    yield from _single("sender", wanted.sender)
    if wanted.field:
        yield [[number(f"field:{wanted.field[0]}", wanted.field[1])]]
    if wanted.arrival:
        yield [[beginning_of_id(wanted.arrival)]]
    if wanted.since or wanted.until:
        yield [[day] for day in days_between(wanted.since, wanted.until)]


def _single(kind: str, value: str) -> Iterator[Clause]:
    if value:
        yield [[number(kind, value)]]


def _searched(text: str, others: list[list[int]]) -> Iterator[Clause]:
    if text and (found := pieces_of_search(text)):
        yield [found, [beginning_of_id(text)], *others]
