"""Removes what nobody came back for: interrupted uploads older than `keep_uploads`, and what is left of them."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from django.db import DatabaseError, connections

from dropslot.access.section import Portal, portal_of
from dropslot.api.tus.on_disk.places import Place
from dropslot.api.tus.on_disk.tickets import Ticket, Tickets
from dropslot.api.tus.problems import Problem
from dropslot.api.tus.tus_requests import remove
from dropslot.arrivals.models import Upload
from dropslot.config import Config
from dropslot.config.route_folders import all_folders
from dropslot.core.names import UPLOADING
from dropslot.files.descriptors import FOLDER, look, remove_folder

log = structlog.get_logger()
EVERY_SECONDS = 3600.0
_TOLD_SECONDS = 24 * 3600.0  # how long a client may still ask for a finished upload


def start(config: Config) -> None:
    """Remove old uploads now and each hour, in a thread of this process."""
    threading.Thread(target=_run, args=(config,), name="uploads", daemon=True).start()


def remove_old(config: Config) -> int:
    """Remove what is too old; returns the number of uploads that were interrupted. Raises DatabaseError."""
    keep = (portal_of(config) or Portal.model_validate({})).keep_uploads.total_seconds()
    tickets, now = Tickets(config), time.time()
    count = 0
    for ticket, last in list(tickets.all()):
        if ticket.ended:
            if last + (keep if ticket.ended == "expired" else _TOLD_SECONDS) < now:
                tickets.forget(ticket)
        elif last + keep < now:
            count += _expire(tickets, ticket)
    for folders in all_folders(config):
        with suppress(OSError):
            _remove_orphans(tickets, str(folders.inbox), now - keep)
    _forget_senders(datetime.now(UTC) - timedelta(seconds=keep))
    return count


def _run(config: Config) -> None:
    while True:
        try:
            if count := remove_old(config):
                log.info("Interrupted uploads were removed", action="uploads_removed", count=count)
        except (DatabaseError, OSError) as error:
            log.warning("Old uploads could not be removed", action="uploads_stay", error=str(error))
        connections.close_all()
        threading.Event().wait(EVERY_SECONDS)


def _expire(tickets: Tickets, ticket: Ticket) -> bool:
    try:
        with Place(ticket) as place, place.alone():
            remove(tickets, place)
    except Problem as problem:
        if problem.status == 423:
            return False  # somebody has just come back
    except OSError:
        return False  # the inbox is away: later
    tickets.end(ticket, "expired")
    return True


def _remove_orphans(tickets: Tickets, inbox: str, before: float) -> None:
    """Folders of uploads without a ticket: the data folder was lost, or a process was killed while it removed one."""
    box = os.open(inbox, FOLDER & ~os.O_NOFOLLOW)
    try:
        for name in os.listdir(box):
            if not name.startswith(UPLOADING):
                continue
            ticket, seen = tickets.find(name.removeprefix(UPLOADING)), look(box, name)
            is_ours = seen is not None and seen.st_uid == os.geteuid()
            if seen and is_ours and (ticket is None or ticket.ended) and seen.st_mtime < before:
                remove_folder(box, name)
    finally:
        os.close(box)


def _forget_senders(before: datetime) -> None:
    """Rows of uploads that were never claimed, and are not in their inbox any more."""
    for row in Upload.objects.filter(at__lt=before):
        try:
            with os.scandir(row.inbox) as entries:
                is_there = any(entry.inode() == row.inode for entry in entries)
        except OSError:
            continue
        if not is_there:
            row.delete()
