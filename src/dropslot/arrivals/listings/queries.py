"""The data of the listings: plain dictionaries with the keys that scripts use."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from heapq import nlargest
from itertools import groupby, islice
from typing import Any, Protocol, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func, Model, Q, QuerySet, TextField
from django.db.models.lookups import IContains
from django.db.models.sql.compiler import SQLCompiler

from dropslot.arrivals import registry
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit import event_search
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.patterns import forms
from dropslot.core.showing.quantities import chunks
from dropslot.core.states import UNFINISHED, Outcome, State

# Dictionaries are made a few at a time: a listing may have millions of rows.
CHUNK = 2000
_ITEMS = 500  # named in one query
_Row = TypeVar("_Row", bound=Model)
_NAMED = 5  # how many are named if one was meant
_UNTOUCHED = "Nothing was done"


class NoSuchArrival(DropslotError):
    """An id, or the start of one, that names no arrival or several."""

    code = "no-such-arrival"


@dataclass(frozen=True, slots=True)
class Filter:
    """The filter of a listing; `history` has only arrivals in state done. `since` (that time or later) and `until`
    (before it) compare with the time of receipt; `newest` keeps the last rows of a command's listing. `sender` and the
    value of `field` are whole, `sha256` and `arrival` beginnings; `destination` is a place with all that is below it.
    `sha256` and `destination` are of deliveries, `kind` is of events."""

    search: str = ""
    state: str = ""
    route: str = ""
    since: datetime | None = None
    newest: int | None = None
    until: datetime | None = None
    sender: str = ""
    field: tuple[str, str] | None = None
    sha256: str = ""
    arrival: str = ""
    destination: str = ""
    kind: str = ""


class Only(Protocol):
    """An app's filter for `history`."""

    def narrow(self, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """The part that the database can filter."""

    def keeps(self, row: Delivery) -> bool:
        """Whether one of the other rows is shown."""


def iso(moment: datetime | None) -> str | None:
    """UTC, ISO 8601 with Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def iso_ns(ns: int) -> str:
    """A file's time (ns since the epoch) with microseconds, as `iso`."""
    moment = datetime.fromtimestamp(ns // 1_000_000_000, UTC).replace(microsecond=ns % 1_000_000_000 // 1000)
    return moment.isoformat().replace("+00:00", "Z")


def find(prefix: str) -> Arrival:
    """The arrival with this id; a unique start of the id will do, in any case. Raises NoSuchArrival."""
    found = list(Arrival.objects.filter(id__startswith=prefix.upper())[:_NAMED]) if prefix.isascii() else []
    if len(found) == 1 and prefix:
        return found[0]
    raise _no_such(prefix, [f"{row.id} ({row.name})" for row in found])


def find_all(prefixes: Iterable[str]) -> list[Arrival]:
    """The arrivals with these ids, each once. Raises NoSuchArrival, before anything is done to any of them."""
    return list({row.id: row for row in map(find, prefixes)}.values())


def arrival_of_events(prefix: str) -> str:
    """The id with this beginning of an arrival that has events, even if it has left the inbox again. Raises
    NoSuchArrival."""
    found = event_search.arrivals(prefix, _NAMED) if prefix.isascii() else []
    if len(found) != 1:
        raise _no_such(prefix, found)
    return found[0]


def _no_such(prefix: str, found: Sequence[str]) -> NoSuchArrival:
    if not found:
        what = f"No arrival's id starts with {escape(prefix)!r}"
        return NoSuchArrival(what, where=_UNTOUCHED, next_step="`dropslot arrivals` lists them")
    more = " and more" if len(found) == _NAMED else ""
    what = f"Several arrivals' ids start with {escape(prefix)!r}: {', '.join(found)}{more}"
    return NoSuchArrival(what, where=_UNTOUCHED, next_step="Type more of the id")


def routes_of_arrivals() -> set[str]:
    """The routes that arrivals came through, also those that are no longer in config.yaml."""
    return set(Arrival.objects.order_by().values_list("route", flat=True).distinct())


def narrowed(rows: QuerySet[Arrival], wanted: Filter) -> QuerySet[Arrival]:
    """The arrivals that match a filter."""
    if wanted.state:
        rows = rows.filter(state=wanted.state)
    rows = rows.filter(_of_arrival(wanted, ""))
    if wanted.search:
        text = wanted.search
        rows = rows.filter(
            contains(text, "name", "sender", "location") | _in_fields(text, "") | _of_id(text, "")
        )
    return rows


def _of_arrival(wanted: Filter, prefix: str) -> Q:
    """What a filter says of the arrival itself; `prefix` leads to it."""
    found = Q()
    if wanted.route:
        found &= Q((f"{prefix}route", wanted.route))
    if wanted.since:
        found &= Q((f"{prefix}received_at__gte", wanted.since))
    if wanted.until:
        found &= Q((f"{prefix}received_at__lt", wanted.until))
    if wanted.sender:
        found &= Q((f"{prefix}sender", wanted.sender))
    if wanted.field:
        found &= Q((f"{prefix}fields__{wanted.field[0]}", wanted.field[1]))
    if wanted.arrival:
        found &= _of_id(wanted.arrival, prefix)
    return found


def _of_id(text: str, prefix: str) -> Q:
    return Q((f"{prefix}id__istartswith", text))


def last(
    rows: QuerySet[_Row], newest: int | None, keep: Callable[[_Row], bool] = lambda _: True
) -> Iterator[_Row]:
    """The rows that `keep` keeps, in their order, a few at a time; with `newest` only that many of the last."""
    if newest is None:
        return filter(keep, rows.iterator(CHUNK))
    backwards = filter(keep, rows.reverse().iterator(min(newest, CHUNK)))
    return iter(list(islice(backwards, newest))[::-1])


def ids(wanted: Filter) -> QuerySet[Any]:
    """The ids of the arrivals that match a filter, as a subquery."""
    return narrowed(Arrival.objects.order_by(), wanted).values("id")


def arrivals(wanted: Filter) -> Iterator[dict[str, Any]]:
    """Arrivals, the oldest first."""
    return map(arrival_row, last(narrowed(Arrival.objects.order_by("id"), wanted), wanted.newest))


def arrival_row(row: Arrival) -> dict[str, Any]:
    """One arrival with the keys of `arrivals --json`."""
    return {
        "id": row.id,
        "route": row.route,
        "name": row.name,
        "sender": row.sender,
        "state": row.state,
        "items": row.items,
        "size_bytes": row.size_bytes,
        "attempts": row.attempts,
        "reason": row.reason,
        "dropped_at": iso(row.dropped_at),
        "received_at": iso(row.received_at),
        "finished_at": iso(row.finished_at),
        "held_at": iso(row.held_at),
    }


def history(wanted: Filter, only: Only | None = None) -> Iterator[dict[str, Any]]:
    """Deliveries of finished arrivals, the oldest first, with the columns that apps add."""
    rows = delivered(
        Delivery.objects.filter(arrival__state=State.DONE).select_related("arrival", "place").order_by("id"),
        wanted,
    )
    if only is None:
        return delivery_rows(last(rows, wanted.newest))
    return delivery_rows(last(only.narrow(rows), wanted.newest, only.keeps))


def delivered(rows: QuerySet[Delivery], wanted: Filter) -> QuerySet[Delivery]:
    """The deliveries of finished arrivals that match a filter."""
    if wanted.state not in ("", State.DONE):
        rows = rows.none()
    rows = rows.filter(_of_arrival(wanted, "arrival__"))
    if wanted.sha256:
        rows = rows.filter(sha256__istartswith=wanted.sha256)
    if place := wanted.destination.rstrip("/"):
        rows = rows.filter(Q(place__url=place) | Q(place__url__startswith=f"{place}/"))
    if wanted.search:
        rows = rows.filter(_searched(wanted.search))
    return rows


def delivery_rows(rows: Iterator[Delivery]) -> Iterator[dict[str, Any]]:
    """Deliveries with the keys of `history --json`."""
    added = registry.columns()
    while some := list(islice(rows, CHUNK)):
        known = [(each.names, each.of(some)) for each in added]
        for row in some:
            shown = _delivery(row)
            for names, values in known:
                shown.update(zip(names, values.get(row.id) or [None] * len(names), strict=True))
            yield shown


def _searched(text: str) -> Q:
    named = contains(text, "item", "stored_as", "arrival__name", "arrival__sender", "arrival__location")
    return named | Q(sha256__istartswith=text) | _of_id(text, "arrival__") | _in_fields(text, "arrival__")


class _FieldValues(Func):
    """The values of an arrival's fields as one text, each on its own line."""

    output_field = TextField()
    template = "(SELECT group_concat(value, char(10)) FROM json_each(%(expressions)s))"

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        template = "(SELECT string_agg(value, chr(10)) FROM jsonb_each_text(%(expressions)s))"
        return self.as_sql(compiler, connection, template=template, **context)


def _in_fields(text: str, prefix: str) -> Q:
    values = _FieldValues(F(f"{prefix}fields"))
    return Q.create([Q(IContains(values, form)) for form in forms(text)], connector=Q.OR)


def contains(text: str, *fields: str) -> Q:
    """Rows with the text in one of the fields; the form of accents makes no difference."""
    return Q.create(
        [Q((f"{field}__icontains", form)) for field in fields for form in forms(text)], connector=Q.OR
    )


def _delivery(row: Delivery) -> dict[str, Any]:
    arrival = row.arrival
    return {
        "arrival": arrival.id,
        "route": arrival.route,
        "name": arrival.name,
        "item": row.item,
        "sender": arrival.sender,
        "location": arrival.location,
        "fields": arrival.fields,
        "mime": row.mime or _mime(os.path.splitext(row.item)[1]),
        "size_bytes": row.size_bytes,
        "modified_at": iso_ns(row.mtime_ns),
        "destination": row.place.url,
        "stored_as": row.stored_as,
        "version": row.version,
        "outcome": row.outcome,
        "superseded": row.superseded,
        "sha256": row.sha256,
        "dropped_at": iso(arrival.dropped_at),
        "delivered_at": iso(arrival.finished_at),
        "archived_as": archived_item(arrival, row.source_item or row.item),
    }


@cache
def _mime(suffix: str) -> str | None:
    return mimetypes.types_map.get(suffix.lower())


def archived_item(arrival: Arrival, item: str) -> str | None:
    """The path of one item in done; None for an arrival that was read in place or purged."""
    if not arrival.archived_as:
        return None
    if not arrival.is_folder:
        return arrival.archived_as
    return os.path.join(arrival.archived_as, arrival.evidence.get("prefix", ""), item)


def latest(route: str, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """The newest version of each file that a route delivered, by name; with `limit` so many, those that were delivered
    last, the newest last."""
    rows = _latest(route)
    if limit is not None:
        rows = reversed(nlargest(limit, rows, key=lambda row: (row.arrival.finished_at, row.pk)))
    yield from map(_newest, rows)


def _latest(route: str) -> Iterator[Delivery]:
    rows = Delivery.objects.filter(arrival__route=route, arrival__state=State.DONE, outcome=Outcome.DELIVERED)
    left_out = older(rows)
    for row in (
        rows.select_related("place", "arrival").order_by("place_id", "item", "version").iterator(CHUNK)
    ):
        if row.pk not in left_out:
            yield row


def older(rows: QuerySet[Delivery]) -> set[int]:
    """The keys of the deliveries among `rows` that have a newer version there: one that was dropped later."""
    versions: dict[tuple[int, str], list[tuple[Any, ...]]] = {}
    columns = ("place_id", "item", "arrival__dropped_at", "version", "pk")
    several = rows.filter(version__gt=1).order_by()
    for place, item, *which in several.values_list(*columns).iterator(CHUNK):
        versions.setdefault((place, item), []).append(tuple(which))
    # A first version has its item's own name: the unique index finds it.
    for place, keys in groupby(sorted(versions), lambda key: key[0]):
        for items in chunks((item for _, item in keys), _ITEMS):
            firsts = rows.filter(version=1, place=place, stored_as__in=items).order_by()
            for _, item, *which in firsts.values_list(*columns):
                versions[place, item].append(tuple(which))
    return {pk for which in versions.values() for *_, pk in sorted(which)[:-1]}


_LATEST = (
    "item",
    "destination",
    "stored_as",
    "version",
    "sha256",
    "size_bytes",
    "dropped_at",
    "delivered_at",
    "arrival",
)


def _newest(row: Delivery) -> dict[str, Any]:
    whole = _delivery(row)
    return {key: whole[key] for key in _LATEST}


def unfinished() -> QuerySet[Arrival]:
    """Arrivals that are neither done nor failed, the oldest first."""
    return Arrival.objects.filter(state__in=UNFINISHED).order_by("id")
