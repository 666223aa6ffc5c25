"""What became of each file that an account sent: for the sender's second tick."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, When

from dropslot.arrivals.listings.cursor_pages import BadCursor, Page, limited
from dropslot.arrivals.listings.queries import Filter, contains, iso, narrowed
from dropslot.arrivals.models import Arrival, Delivery, Upload
from dropslot.arrivals.whereabouts import is_id
from dropslot.core.states import Outcome, State

WAITING, PROCESSING, REFUSED = "waiting", "processing", "refused"
_STATES: dict[str, tuple[State, ...]] = {
    WAITING: (State.WAITING, State.READY),
    PROCESSING: (State.PROCESSING, State.RETRYING),
    REFUSED: (State.FAILED,),
    Outcome.DELIVERED: (State.DONE,),
    Outcome.UNCHANGED: (State.DONE,),
}
_SHOWN = {state: shown for shown, states in _STATES.items() for state in states}
# An item that was made anew is the sender's under the name and SHA-256 that it had before.
_AS_SENT = {
    "file": Case(When(source_item="", then=F("item")), default=F("source_item")),
    "digest": Case(When(source_sha256="", then=F("sha256")), default=F("source_sha256")),
}


def sent(
    seen: QuerySet[Arrival],
    put: QuerySet[Upload],
    wanted: Filter,
    cursor: str = "",
    limit: int = 50,
) -> Page:
    """Files of `seen`, and of uploads `put` into an inbox that no arrival has yet, the newest first. One that is not
    done is one row, whatever it holds. Raises BadCursor."""
    limit, sha256 = limited(limit), wanted.sha256.lower()
    start, skip = _start(cursor)
    rows = list(islice(_untaken(put, wanted), limit)) if not (cursor or sha256) else []
    found = _arrivals(seen, wanted, sha256)
    arrivals = list((found.filter(pk__lte=start) if start else found).order_by("-pk")[: limit + 1])
    for arrival in arrivals[:limit]:
        offset = skip if arrival.pk == start else 0
        room = limit - len(rows)
        files = _files(arrival, wanted.state, sha256, offset, room + 1)
        rows += files[:room]
        if len(files) > room:
            return Page(rows, f"{arrival.pk}.{offset + room}")
    return Page(rows, f"{arrivals[limit].pk}.0" if len(arrivals) > limit else None)


def _start(cursor: str) -> tuple[str, int]:
    """The arrival with which a page begins, and how many of its files the page before had."""
    start, _, skip = cursor.partition(".")
    if not cursor:
        return "", 0
    if not is_id(start) or not (skip.isascii() and skip.isdigit() and len(skip) < 10):
        raise BadCursor("This is not a cursor of this listing", next_step="Begin at the first page")
    return start, int(skip)


def _arrivals(seen: QuerySet[Arrival], wanted: Filter, sha256: str) -> QuerySet[Arrival]:
    found = narrowed(seen, replace(wanted, state=""))
    if wanted.state:
        found = found.filter(state__in=_STATES[wanted.state])
    delivered = Delivery.objects.filter(arrival=OuterRef("pk"))
    if wanted.state == Outcome.UNCHANGED:
        found = found.filter(Exists(delivered.filter(outcome=Outcome.UNCHANGED)))
    if sha256:
        found = found.filter(Exists(delivered.filter(_with(sha256))), state=State.DONE)
    return found


def _with(sha256: str) -> Q:
    return Q(source_sha256=sha256) | Q(source_sha256="", sha256=sha256)


def _files(arrival: Arrival, state: str, sha256: str, offset: int, count: int) -> list[dict[str, Any]]:
    if arrival.state != State.DONE:
        shown = _SHOWN[State(arrival.state)]
        at = iso(arrival.finished_at or arrival.received_at)
        row = _row(arrival.name, arrival.size_bytes, None, shown, at, arrival.id, arrival.reason)
        return [] if offset else [row]
    known = Delivery.objects.filter(arrival=arrival)
    items: QuerySet[Any] = (known.filter(_with(sha256)) if sha256 else known).annotate(**_AS_SENT)
    new = Count("pk", filter=Q(outcome=Outcome.DELIVERED))
    found = items.values("file", "digest", "size_bytes").annotate(new=new).order_by("file", "digest")
    if state:
        found = found.filter(new__gt=0) if state == Outcome.DELIVERED else found.filter(new=0)
    above = os.path.join(arrival.name, arrival.evidence.get("prefix", "")) if arrival.is_folder else ""
    return [_done(arrival, above, item) for item in found[offset : offset + count]]


def _done(arrival: Arrival, above: str, item: dict[str, Any]) -> dict[str, Any]:
    outcome = Outcome.DELIVERED if item["new"] else Outcome.UNCHANGED
    path = os.path.join(above, item["file"])
    at = iso(arrival.finished_at)
    return _row(path, item["size_bytes"], item["digest"], outcome.value, at, arrival.id, [])


def _untaken(put: QuerySet[Upload], wanted: Filter) -> Iterator[dict[str, Any]]:
    """Entries that lie in an inbox and wait to be taken."""
    if wanted.state not in ("", WAITING) or wanted.route or wanted.arrival:
        return
    if wanted.since:
        put = put.filter(at__gte=wanted.since)
    if wanted.until:
        put = put.filter(at__lt=wanted.until)
    if wanted.search:
        put = put.filter(contains(wanted.search, "name"))
    for row in put.order_by("-pk"):
        yield _row(row.name, None, None, WAITING, iso(row.at), None, ["waits to be taken from the inbox"])


def _row(*values: Any) -> dict[str, Any]:
    keys = ("file", "size_bytes", "sha256", "state", "at", "arrival", "reason")
    return dict(zip(keys, values, strict=True))
