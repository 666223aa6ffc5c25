"""Puts receipts into senders' folders, apart from the delivery. A reader of the outbox: each end of an arrival
becomes a row, in the transaction that moves the reader's position. Then the receipts are written, one after
another; what fails is retried.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

import structlog
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from dropslot.arrivals.delivery import guarded_writes
from dropslot.arrivals.intake.record import LONGEST_NAME, user_name
from dropslot.arrivals.models import Arrival, ReceiptCopy
from dropslot.arrivals.outbox_readers.for_senders import folder, summary
from dropslot.arrivals.outbox_readers.for_senders.folder import Reader, ReceiptsFolderUnready
from dropslot.arrivals.whereabouts import SENT_AS
from dropslot.audit import outbox, signing_key
from dropslot.audit.models import Event
from dropslot.config import Config, Route
from dropslot.core.context import kept
from dropslot.core.errors import DropslotError, Refused
from dropslot.files.descriptors import Folder, lock

log = structlog.get_logger()
READER = "receipts"
BRINGS_WORK = summary.ENDS  # events after which there may be a receipt to write
_AT_ONCE = 64
_REMOVAL_SECONDS = 3600.0


def is_wanted(config: Config) -> bool:
    """Whether any route hands receipts to its senders."""
    return any(route.receipts for route in config.routes.values())


def listen(config: Config) -> None:
    """Called at the start of the service or a drain. From then on each end of an arrival has a receipt; what ended
    earlier gets none."""
    if is_wanted(config):
        outbox.begin(READER)
    else:
        outbox.end(READER)


def hand_out_due(config: Config, _worker: str = "") -> bool:
    """Write the receipts that are due; once in an hour, if there are none, remove old ones. False: there were none.
    After a crash nothing is missing, and no receipt is half written: what was not recorded as written is written
    again."""
    new = outbox.read(READER, partial(_queue, config), kinds=summary.ENDS)
    due = ReceiptCopy.objects.filter(due_at__isnull=False, due_at__lte=Now()).order_by("due_at")
    rows = list(due.select_related("arrival")[:_AT_ONCE])
    for row in rows:
        _try(config, row)
    if not (new or rows):
        _hourly(config)
    return bool(new or rows)


class _Next:
    removal = 0.0  # of old receipts, by this process's clock


def _hourly(config: Config) -> None:
    if is_wanted(config) and time.monotonic() >= kept(_Next).removal:
        kept(_Next).removal = time.monotonic() + _REMOVAL_SECONDS
        remove_old(config)


def _queue(config: Config, ended: Sequence[Event]) -> None:
    newest = {event.arrival: event.seq for event in ended}  # the last event of an arrival counts
    routes = [key for key, route in config.routes.items() if route.receipts]
    rows = Arrival.objects.filter(id__in=list(newest), route__in=routes)
    ReceiptCopy.objects.bulk_create(
        [ReceiptCopy(arrival=row, seq=newest[row.id], due_at=Now()) for row in rows if _reader(row)],
        update_conflicts=True,
        unique_fields=["arrival"],
        update_fields=["seq", "attempts", "due_at", "error"],
    )


def _reader(arrival: Arrival) -> Reader | None:
    """The account that dropped it; None if it came through the portal or from a scanner: its files are the service's
    own then, and the sender's name is no account of this machine."""
    uid = arrival.evidence.get("uid")
    if not isinstance(uid, int):
        return None
    is_account = uid != os.geteuid() or arrival.sender == user_name(uid)[:LONGEST_NAME]
    return Reader(arrival.sender, uid) if is_account and arrival.sender else None


def _try(config: Config, row: ReceiptCopy) -> None:
    this = ReceiptCopy.objects.filter(pk=row.pk, seq=row.seq)
    try:
        _write(config, row.arrival)
    except summary.NotFinished:
        # It runs again, and its next end asks again; or it is not in failed yet.
        is_on_its_way = row.arrival.finished_at is None
        wait = timedelta(seconds=guarded_writes.backoff(row.attempts + 1))
        this.update(due_at=None if is_on_its_way else Now() + wait, attempts=F("attempts") + 1)
    except (DropslotError, OSError) as error:
        wait = timedelta(seconds=guarded_writes.backoff(row.attempts + 1))
        this.update(due_at=Now() + wait, attempts=F("attempts") + 1, error=str(error))
        log.warning(
            "A receipt could not be put into its sender's folder; this is retried",
            action="receipt_unwritten",
            arrival=row.arrival_id,
            error=str(error),
        )
    else:
        this.update(due_at=None, error="")


def _write(config: Config, arrival: Arrival) -> None:
    route, reader = config.routes.get(arrival.route), _reader(arrival)
    if route is None or route.receipts is None or reader is None:
        return
    with folder.opened(route.receipts, reader) as opened:
        if not lock(opened):
            raise ReceiptsFolderUnready("Another process writes receipts into the folder")
        now = Arrival.objects.get(pk=arrival.pk)  # within the lock: no older state replaces a newer one
        _write_signers(config, opened, reader)
        content = summary.signed(config, now).text().encode("ascii")
        folder.write(opened, reader, folder.file_name(now.evidence.get(SENT_AS, now.name), now.id), content)
        folder.sync(opened)


def _write_signers(config: Config, opened: Folder, reader: Reader) -> None:
    signing_key.receipt_key(config.keys)
    content = (config.keys / signing_key.ALLOWED_SIGNERS).read_bytes()
    if not folder.is_same(opened, folder.ALLOWED_SIGNERS, content):
        folder.write(opened, reader, folder.ALLOWED_SIGNERS, content)


def remove_old(config: Config) -> int:
    """Remove receipts that are older than `keep_receipts`, and return how many. Folders that are not there, or
    cannot be used, stay as they are."""
    return sum(_remove_old(route, route.receipts) for route in config.routes.values() if route.receipts)


def _remove_old(route: Route, template: str) -> int:
    count = 0
    with suppress(OSError):  # `doctor` says that the folder above them is missing or closed
        for sender in folder.senders(template):
            try:
                with folder.existing(template, sender) as opened:
                    count += folder.remove_old(opened, route.keep_receipts)
            except FileNotFoundError:
                continue
            except (OSError, Refused) as error:
                log.warning("Old receipts could not be removed", action="receipts_stay", error=str(error))
    return count


def failing(route: Route) -> QuerySet[ReceiptCopy]:
    """The receipts of a route that could not be written so far; the newest first."""
    rows = ReceiptCopy.objects.filter(due_at__isnull=False, arrival__route=route.key).exclude(error="")
    return rows.select_related("arrival").order_by("-seq")
