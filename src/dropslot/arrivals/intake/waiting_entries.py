"""Entries that are complete but cannot be taken yet: rows in state waiting, so that people see them and why."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction

from dropslot.arrivals.intake.claim import dropped_at, id_of_drop, time_of_drop
from dropslot.arrivals.intake.record import user_name
from dropslot.arrivals.models import Arrival
from dropslot.audit.chain import append
from dropslot.audit.kinds import Kind, entry
from dropslot.config.route_folders import FolderSet
from dropslot.core.names import escape
from dropslot.core.states import State
from dropslot.watching.entries import Judged

NOT_WHOLE = "not_whole"  # in the evidence of an entry that waits until it is whole


class Noted(NamedTuple):
    """The facts about a waiting entry: the id that its arrival will have, its inode, whether it was whole."""

    id: str
    inode: int | None
    is_whole: bool = True

    def is_same(self, judged: Judged) -> bool:
        """Whether it is still the waiting entry; otherwise another one was dropped under its name since. Changed
        modes do not make it a new drop, nor does a file system that gives new inode numbers at each look. An entry
        that was not whole is dropped when it becomes whole."""
        is_same_drop = dropped_at(self.id) == time_of_drop(judged.ctime_ns)
        return is_same_drop or (self.is_whole and self.inode in (None, judged.inode))


def known(folders: FolderSet) -> dict[str, Noted]:
    """Names that wait."""
    rows = Arrival.objects.filter(inbox=str(folders.inbox), state=State.WAITING)
    return {os.fsdecode(bytes(row.name_bytes)): _noted(row) for row in rows}


def _noted(row: Arrival) -> Noted:
    return Noted(row.id, row.evidence.get("inode"), NOT_WHOLE not in row.evidence)


def waits_for_sender(row: Arrival) -> bool:
    """Whether an arrival is in its inbox because its sender has not sent all of it."""
    return row.state == State.WAITING and NOT_WHOLE in row.evidence


def still_waits(arrival: str) -> bool:
    """Whether a noted id is still unused: another process may have taken its entry meanwhile."""
    return Arrival.objects.filter(id=arrival, state=State.WAITING).exists()


def note(folders: FolderSet, judged: Judged, reason: str, since: datetime, *, is_whole: bool = True) -> Noted:
    """Write down that an entry waits, once, and why. For one that is not whole no other arrival waits."""
    shown = escape(judged.name)
    rows = Arrival.objects.filter(inbox=str(folders.inbox), name=shown, state=State.WAITING)
    sender = user_name(judged.uid)  # not in the transaction: a directory server may be asked
    with transaction.atomic():
        if (noted := rows.first()) is not None:
            if noted.reason != [reason]:
                noted.evidence = _evidence(judged, is_whole)
                rows.filter(id=noted.id).update(reason=[reason], evidence=noted.evidence)
            return _noted(noted)
        arrival = id_of_drop(judged.ctime_ns)
        row = Arrival.objects.create(
            id=arrival,
            route=folders.route.key,
            inbox=str(folders.inbox),
            name=shown,
            name_bytes=os.fsencode(judged.name),
            is_folder=judged.is_folder,
            sender=sender,
            state=State.WAITING,
            reason=[reason],
            evidence=_evidence(judged, is_whole),
            dropped_at=dropped_at(arrival),
            received_at=since,
        )
        append([entry(Kind.WAITING, row.id, {"route": row.route, "name": shown, "reason": row.reason})])
    return _noted(row)


def _evidence(judged: Judged, is_whole: bool) -> dict[str, Any]:
    return {"inode": judged.inode} | ({} if is_whole else {NOT_WHOLE: True})


def forget(folders: FolderSet, missing: set[str]) -> None:
    """Delete the rows of entries that left the inbox without being taken; the trail records that they were there."""
    for row in Arrival.objects.filter(inbox=str(folders.inbox), state=State.WAITING):
        if os.fsdecode(bytes(row.name_bytes)) in missing and not _was_claimed(folders, row.id):
            _withdraw(row)


def replaced(arrival: str) -> None:
    """Forget an entry whose name another entry has by now."""
    for row in Arrival.objects.filter(id=arrival, state=State.WAITING):
        _withdraw(row)


def _withdraw(row: Arrival) -> None:
    with transaction.atomic():
        # Another process may have recorded a claim of it since the look.
        deleted, _ = Arrival.objects.filter(id=row.id, state=State.WAITING).delete()
        if deleted:
            append([entry(Kind.WITHDRAWN, row.id, {"route": row.route, "name": row.name})])


def _was_claimed(folders: FolderSet, arrival: str) -> bool:
    return (folders.processing / f"{arrival}-1").exists()
