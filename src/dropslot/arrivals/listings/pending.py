"""What waits: in the inboxes, and in processing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from dropslot.arrivals.intake import inboxes
from dropslot.arrivals.listings.queries import Filter, iso, unfinished
from dropslot.arrivals.models import AfterCall, Arrival
from dropslot.arrivals.outbox_readers import after
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet, all_folders
from dropslot.core.names import escape
from dropslot.core.patterns import composed
from dropslot.core.states import State
from dropslot.watching.reasons import Why


def pending(config: Config, wanted: Filter) -> Iterator[dict[str, Any]]:
    """Entries of the inboxes, unfinished arrivals, then calls that follow deliveries, each with the reason why it waits
    and since when."""
    for row in (
        *_inboxes(config),
        *map(_arrival, unfinished().exclude(state=State.WAITING)),
        *map(_after, after.outstanding(config)),
    ):
        if _fits(row, wanted):
            yield row


def _fits(row: dict[str, Any], wanted: Filter) -> bool:
    since = iso(wanted.since)
    return (
        (not wanted.route or row["route"] == wanted.route)
        and (not wanted.state or row["state"] == wanted.state)
        and (since is None or (row["since"] or since) >= since)
        and _found(composed(wanted.search).lower(), row)
    )


def _found(text: str, row: dict[str, Any]) -> bool:
    return text in composed(row["name"]).lower() or (row["id"] or "").lower().startswith(text)


def _arrival(row: Arrival) -> dict[str, Any]:
    reason = row.reason or ["is being delivered"]
    if row.state == State.READY and row.held_at is None:  # a reason would belong to the attempt before
        reason = ["waits for the service or `dropslot drain`"]
    where = "inbox" if row.in_place else "processing"
    shown = _row(where, row.route, row.name, row.id, row.state, iso(row.received_at), reason, iso(row.due_at))
    return {**shown, "held_at": iso(row.held_at)}


def _after(call: AfterCall) -> dict[str, Any]:
    row = call.arrival
    reason = [after.in_words(call)]
    due = None if call.worker else iso(call.due_at)
    return _row("after", row.route, row.name, row.id, row.state, iso(row.finished_at), reason, due)


def _row(*values: Any) -> dict[str, Any]:
    names = ("where", "route", "name", "id", "state", "since", "reason", "next_attempt_at")
    return {**dict(zip(names, values, strict=True)), "held_at": None}


def _inboxes(config: Config) -> Iterator[dict[str, Any]]:
    for folders in all_folders(config):
        waiting = {
            row.name: row for row in Arrival.objects.filter(inbox=str(folders.inbox), state=State.WAITING)
        }
        for name, why in inboxes.entries(folders):
            known = waiting.get(escape(name))
            if known is None and folders.route.leave_source and not why.is_stuck:
                continue  # entries stay there; one that is being delivered is listed as an arrival
            yield _entry(folders, name, why, known)


def _entry(folders: FolderSet, name: str, why: Why, known: Arrival | None) -> dict[str, Any]:
    key, shown = folders.route.key, escape(name)
    if known is not None:
        return _row("inbox", key, shown, known.id, known.state, iso(known.received_at), known.reason, None)
    since = iso(datetime.fromtimestamp(why.since, UTC))
    return _row("inbox", key, shown, None, None, since, [why.reason], None)
