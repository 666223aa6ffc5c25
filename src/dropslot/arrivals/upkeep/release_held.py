"""Sends held arrivals onward, or ends one for good. Only `dismiss_held` moves files."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery import finish
from dropslot.arrivals.delivery.work import RELEASED
from dropslot.arrivals.models import Arrival
from dropslot.audit.chain import append, timestamp
from dropslot.audit.kinds import Kind, entry
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet
from dropslot.core.errors import DropslotError
from dropslot.core.states import State


class NotHeld(DropslotError):
    """An arrival that is to be sent onward, and does not wait for that. Nothing was changed."""

    code = "not-held"


ONWARD = "is sent onward: the service, or the next `dropslot drain`, delivers it"


def held(rows: QuerySet[Arrival]) -> QuerySet[Arrival]:
    """The held ones, in the order in which they were dropped."""
    return rows.filter(state=State.READY, held_at__isnull=False).order_by("dropped_at", "id")


def release(rows: QuerySet[Arrival], *, by: str, number: int | None = None) -> list[Arrival]:
    """Send the held ones of these rows onward, at most `number` of them, those first that were dropped first. `by` is
    recorded. Returns them; those that are not held, or no longer, are left out."""
    with transaction.atomic():
        ids = list(held(rows).values_list("id", flat=True)[:number])
        chosen = list(held(Arrival.objects.filter(id__in=ids)).select_for_update())
        for row in chosen:
            row.evidence |= {RELEASED: {"at": timestamp(timezone.now()), "by": by}}
            row.held_at, row.reason = None, []
        Arrival.objects.bulk_update(chosen, ["evidence", "held_at", "reason"], batch_size=500)
        append([entry(Kind.RELEASED, row.id, {"by": by}) for row in chosen])
    return chosen


def release_one(row: Arrival, *, by: str) -> None:
    """The same for one arrival. Raises NotHeld."""
    if not release(Arrival.objects.filter(pk=row.pk), by=by):
        raise NotHeld(
            f"Arrival {row.id} ({row.name}) is not held",
            where="Nothing was changed",
            next_step="Arrivals are held on routes with `release: manual`, until somebody sends them onward",
        )


def dismiss_held(config: Config, folders: FolderSet, row: Arrival) -> None:
    """Move an arrival that was dismissed while it was held to failed. After a crash the next start does it."""
    holding = whereabouts.held(folders, row.id, row.epoch)
    with finish.or_later(row.id, "Dismissed, but it could not be moved to failed"):
        if row.in_place:
            holding.mkdir(mode=0o700, exist_ok=True)  # holds only the reason
        finish.file_refused(config, folders, row, holding)
