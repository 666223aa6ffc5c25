"""Entries that are complete but cannot be taken yet: rows in state waiting, so that people see them and why."""

from __future__ import annotations

import os

from django.db import transaction
from django.utils import timezone

from dropslot.arrivals.claim import new_id
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.record import user_name
from dropslot.audit.chain import Entry, append
from dropslot.config.folders import FolderSet
from dropslot.core.errors import SourceUnready
from dropslot.core.names import escape
from dropslot.core.states import State
from dropslot.watching.completion import Judged


def known(folders: FolderSet) -> dict[str, str]:
    """Names that wait, and the ids that their arrivals will have."""
    rows = Arrival.objects.filter(inbox=str(folders.inbox), state=State.WAITING)
    return {os.fsdecode(bytes(row.name_bytes)): row.id for row in rows}


def still_waits(arrival: str) -> bool:
    """Whether an id that was noted is unused yet: another process may have taken its entry meanwhile."""
    return Arrival.objects.filter(id=arrival, state=State.WAITING).exists()


def note(folders: FolderSet, judged: Judged, error: SourceUnready) -> str:
    """Write down that an entry waits, once; returns the id that its arrival will have."""
    shown = escape(judged.name)
    rows = Arrival.objects.filter(inbox=str(folders.inbox), name=shown, state=State.WAITING)
    sender = user_name(judged.uid)  # not in the transaction: a directory server may be asked
    with transaction.atomic():
        if (noted := rows.first()) is not None:
            return noted.id
        row = Arrival.objects.create(
            id=new_id(),
            route=folders.route.key,
            inbox=str(folders.inbox),
            name=shown,
            name_bytes=os.fsencode(judged.name),
            is_folder=judged.is_folder,
            sender=sender,
            state=State.WAITING,
            reason=[str(error)],
            received_at=timezone.now(),
        )
        append([Entry("waiting", row.id, {"route": row.route, "name": shown, "reason": row.reason})])
    return row.id


def forget(folders: FolderSet, present: set[str]) -> None:
    """Rows of entries that left the inbox without being taken go; the trail keeps that they were there."""
    for row in Arrival.objects.filter(inbox=str(folders.inbox), state=State.WAITING):
        if os.fsdecode(bytes(row.name_bytes)) not in present and not _was_claimed(folders, row.id):
            _withdraw(row)


def _withdraw(row: Arrival) -> None:
    with transaction.atomic():
        # Another process may have recorded a claim of it since the look.
        deleted, _ = Arrival.objects.filter(id=row.id, state=State.WAITING).delete()
        if deleted:
            append([Entry("withdrawn", row.id, {"route": row.route, "name": row.name})])


def _was_claimed(folders: FolderSet, arrival: str) -> bool:
    return (folders.processing / f"{arrival}-1").exists()
