"""What `acknowledgments` and `log_readers` show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Q, QuerySet

from dropslot.acknowledgments.models import Acknowledgment, LogReading
from dropslot.arrivals.listings.cursor_pages import Page, page_of
from dropslot.arrivals.listings.queries import Filter, contains, iso, last
from dropslot.core.names import escape
from dropslot.core.states import State


def acknowledgments(wanted: Filter) -> Iterator[dict[str, Any]]:
    """Every acknowledgment with its line, undone ones too, as they were recorded."""
    rows = narrowed(Acknowledgment.objects.order_by("id"), wanted)
    return map(acknowledgment, last(rows, wanted.newest))


def acknowledgments_page(
    seen: QuerySet[Acknowledgment], wanted: Filter, cursor: str = "", limit: int = 50
) -> Page:
    """Acknowledgments of `seen` that match the filter, the newest first, with the keys of `acknowledgments --json`.
    Raises BadCursor."""
    rows, following = page_of(narrowed(seen, wanted), cursor, limit)
    return Page([acknowledgment(row) for row in rows], following)


def narrowed(rows: QuerySet[Acknowledgment], wanted: Filter) -> QuerySet[Acknowledgment]:
    """The acknowledgments that match a filter, with what a row needs."""
    rows = rows.select_related("delivery", "delivery__place", "delivery__arrival")
    if wanted.route:
        rows = rows.filter(delivery__arrival__route=wanted.route)
    if wanted.sender:
        rows = rows.filter(delivery__arrival__sender=wanted.sender)
    if wanted.arrival:
        rows = rows.filter(delivery__arrival__id__istartswith=wanted.arrival)
    if wanted.since:
        rows = rows.filter(at__gte=wanted.since)
    if wanted.until:
        rows = rows.filter(at__lt=wanted.until)
    if text := wanted.search:
        rows = rows.filter(
            contains(text, "user", "address", "delivery__stored_as")
            | Q(id__istartswith=text)
            | Q(delivery__arrival__id__istartswith=text)
        )
    return rows


def acknowledgment(row: Acknowledgment) -> dict[str, Any]:
    """One acknowledgment with the keys of `acknowledgments --json`."""
    delivery = row.delivery
    return {
        "id": row.id,
        "at": iso(row.at),
        "user": row.user,
        "address": row.address,
        "route": delivery.arrival.route,
        "arrival": delivery.arrival_id,
        "destination": delivery.place.url,
        "stored_as": delivery.stored_as,
        "version": delivery.version,
        "evidence": row.evidence,
        "log": escape(row.log),
        "line": escape(bytes(row.line).decode("utf-8", "surrogateescape")),
        "recorded_at": iso(row.recorded_at),
        "undone_at": iso(row.undone_at),
        "undone_by": row.undone_by or None,
        "undone_because": row.undone_because or None,
    }


def readings(wanted: Filter) -> Iterator[dict[str, Any]]:
    """Every run of a reader, the oldest first."""
    return map(reading, last(_read(LogReading.objects.order_by("id"), wanted), wanted.newest))


def readings_page(seen: QuerySet[LogReading], wanted: Filter, cursor: str = "", limit: int = 50) -> Page:
    """Runs of `seen` that match the filter, the newest first, with the keys of `log_readers --json`. State `failed`:
    only those that ended with an error. Raises BadCursor."""
    rows, following = page_of(_read(seen, wanted), cursor, limit)
    return Page([reading(row) for row in rows], following)


def _read(rows: QuerySet[LogReading], wanted: Filter) -> QuerySet[LogReading]:
    if wanted.route:
        rows = rows.filter(route=wanted.route)
    if wanted.state == State.FAILED:
        rows = rows.exclude(error="")
    if wanted.since:
        rows = rows.filter(started_at__gte=wanted.since)
    if wanted.until:
        rows = rows.filter(started_at__lt=wanted.until)
    if text := wanted.search:
        rows = rows.filter(Q(log__icontains=text) | Q(error__icontains=text))
    return rows


def reading(row: LogReading) -> dict[str, Any]:
    """One run of a reader."""
    return {
        "id": row.id,
        "route": row.route,
        "log": escape(row.log),
        "started_at": iso(row.started_at),
        "ended_at": iso(row.ended_at),
        "before": row.before,
        "after": row.after,
        "lines": row.lines,
        "matches": row.matches,
        "acknowledged": row.acknowledged,
        "accesses": row.accesses,
        "unreadable": row.unreadable,
        "error": row.error or None,
    }
