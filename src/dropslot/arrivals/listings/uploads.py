"""Uploads: who sent what and when, whether it was delivered, and who has audited it. Audits are stored as events
only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from dropslot.arrivals.intake.record import user_name
from dropslot.arrivals.listings.queries import Filter, iso, last, narrowed
from dropslot.arrivals.models import Arrival
from dropslot.audit.chain import append
from dropslot.audit.event_payloads import AuditWithdrawn, UploadAudited
from dropslot.audit.kinds import Kind, entry
from dropslot.audit.models import Event
from dropslot.core.errors import DropslotError
from dropslot.core.states import State

_LONGEST = 1000


class BadAudit(DropslotError):
    """An audit without a name, or with too long a text."""

    code = "bad-audit"


def uploads(wanted: Filter, *, audited: bool | None = None) -> Iterator[dict[str, Any]]:
    """Uploads, the oldest first, each with its latest audit; `audited` keeps only those that have one, or have none."""
    found = narrowed(Arrival.objects.order_by("id"), wanted)
    yield from upload_rows(last(only(found, audited=audited), wanted.newest))


def only(rows: QuerySet[Arrival], *, audited: bool | None) -> QuerySet[Arrival]:
    """The uploads that somebody has audited, or the others; None: all. A withdrawn audit does not count."""
    if audited is None:
        return rows
    withdrawn = Event.objects.filter(
        kind=Kind.AUDIT_WITHDRAWN, arrival=OuterRef("arrival"), seq__gt=OuterRef("seq")
    )
    audits = Event.objects.filter(kind=Kind.UPLOAD_AUDITED, arrival=OuterRef("id")).filter(~Exists(withdrawn))
    return rows.filter(Exists(audits) if audited else ~Exists(audits))


def upload_rows(rows: Iterator[Arrival]) -> Iterator[dict[str, Any]]:
    """Uploads with the keys of `uploads --json`."""
    while some := list(islice(rows, 500)):
        latest = _latest_audits([row.id for row in some])
        for row in some:
            yield _upload(row, latest.get(row.id))


def audit(arrival: Arrival, *, by: str, note: str = "") -> None:
    """Record that somebody has audited an upload in its present state. This may be repeated: each audit is an event.
    Raises BadAudit."""
    by, note = by.strip(), note.strip()
    if not by or len(by) > _LONGEST or len(note) > _LONGEST:
        raise BadAudit(
            f"An audit needs the name of who did it; name and note have at most {_LONGEST} characters"
        )
    data: UploadAudited = {"by": by, "note": note, "state": arrival.state, "account": user_name(os.getuid())}
    with transaction.atomic():
        append([entry(Kind.UPLOAD_AUDITED, arrival.id, data)])


def withdraw(arrival: Arrival, *, by: str, note: str = "") -> None:
    """Record that the audits of an upload so far no longer count: it is to be audited again. Raises BadAudit, also if
    there is none."""
    by, note = by.strip(), note.strip()
    if not by or len(by) > _LONGEST or len(note) > _LONGEST:
        raise BadAudit(
            f"This needs the name of who does it; name and note have at most {_LONGEST} characters"
        )
    data: AuditWithdrawn = {"by": by, "note": note, "account": user_name(os.getuid())}
    with transaction.atomic():
        if arrival.id not in _latest_audits([arrival.id]):
            raise BadAudit(f"{arrival.id} ({arrival.name}) is not recorded as audited")
        append([entry(Kind.AUDIT_WITHDRAWN, arrival.id, data)])


def _latest_audits(ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    kinds = (Kind.UPLOAD_AUDITED, Kind.AUDIT_WITHDRAWN)
    events = Event.objects.filter(kind__in=kinds, arrival__in=ids).order_by("seq")
    for kind, arrival, at, data in events.values_list("kind", "arrival", "at", "data"):
        if kind == Kind.AUDIT_WITHDRAWN:
            found.pop(arrival, None)
        else:
            found[arrival] = {**json.loads(data), "at": at}
    return found


def _upload(row: Arrival, audit: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "route": row.route,
        "name": row.name,
        "sender": row.sender,
        "location": row.location,
        "uploaded_at": iso(row.received_at),
        "items": row.items,
        "size_bytes": row.size_bytes,
        "state": row.state,
        "reason": row.reason,
        "sent_at": iso(row.finished_at) if row.state == State.DONE else None,
        "audited_by": audit["by"] if audit else None,
        "audited_at": audit["at"] if audit else None,
        "audit_note": audit["note"] if audit else None,
    }
