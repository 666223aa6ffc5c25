"""An upload that is whole gets its final name in the inbox: everything is synced, then one rename that cannot replace.

The row that says who sent it comes first. After a crash before the rename the same call does it again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import structlog
from django.http import HttpRequest

from dropslot.access import visit_trail
from dropslot.api.tus.beforehand import entry_rules, upload_target
from dropslot.api.tus.beforehand.entry_rules import Entry, Item
from dropslot.api.tus.on_disk.places import DATA, Part, Place
from dropslot.api.tus.on_disk.tickets import Ticket, Tickets
from dropslot.api.tus.problems import Problem
from dropslot.api.tus.together import Together
from dropslot.arrivals.intake.claim import move
from dropslot.arrivals.models import Upload
from dropslot.audit.kinds import Kind
from dropslot.config import Config, Route
from dropslot.config.route_folders import FolderSet
from dropslot.core.context import kept
from dropslot.core.names import escape
from dropslot.files.syscalls import syncfs

log = structlog.get_logger()
_WAIT_SECONDS = 10.0  # for an earlier entry of the same name, which the watcher takes after `grace`
_TICK_SECONDS = 0.05
_NAMED = 20


def finish_file(
    request: HttpRequest, tickets: Tickets, place: Place, part: Part, *, at_once: bool = False
) -> Ticket:
    """Put a single file, whose bytes are all there and synced, into the inbox. Raises Problem if its name is still
    taken there: the client asks again later. `at_once`: it came with one request, so nobody asks for it again."""
    if place.size(part) >= 0:  # else it was renamed before a crash
        _publish(place, part.path, part.path)
    done = replace(place.ticket, ended="finished", name=part.path, files=1, size_bytes=part.length)
    if at_once:
        tickets.forget(done)
    else:
        tickets.write(done)
    _note(request, done)
    place.remove()
    return done


def finish_batch(
    request: HttpRequest, tickets: Tickets, place: Place, folders: FolderSet, wanted: tuple[str, int]
) -> Ticket:
    """Put a folder, whose files are all there, into the inbox; `wanted` is its name there and the number of its files.
    Raises Problem."""
    name, parts = wanted[0], place.parts()
    if parts and not os.listdir(place.path / DATA):  # renamed before a crash
        entry = Entry(name, True, [_item(part) for part in parts])
    else:
        entry = _entry(place, parts, wanted)
        _require_allowed(request.access.config, folders, entry)  # type: ignore[attr-defined]
        syncfs(place.fd)
        _publish(place, _top(place), name)
    total = sum(item.size_bytes for item in entry.items)
    done = replace(place.ticket, ended="finished", name=name, files=len(entry.items), size_bytes=total)
    tickets.write(done)
    _note(request, done)
    place.remove()
    return done


def _entry(place: Place, parts: Sequence[Part], wanted: tuple[str, int]) -> Entry:
    name, files = wanted
    missing = [part.path for part in parts if place.size(part) != part.length]
    if missing or len(parts) != files:
        raise Problem(
            409,
            f"{len(parts) - len(missing):,} of {files:,} files are complete",
            "Send the others, then finish the batch again",
            incomplete=[escape(path) for path in sorted(missing)[:_NAMED]],
        )
    return Entry(name, True, [_item(part) for part in parts])


def _item(part: Part) -> Item:
    return Item(part.path.partition("/")[2], part.length)


def require_allowed_file(config: Config, folders: FolderSet, part: Part) -> None:
    """Raise Problem if a single file would be refused."""
    _require_allowed(config, folders, Entry(part.path, False, [Item(part.path, part.length)]))


def refused(route: Route, name: str, reasons: Sequence[str], *, is_folder: bool) -> Problem:
    """The answer for what breaks a rule of the route."""
    step = entry_rules.next_step(route, name, is_folder=is_folder)
    return Problem(422, reasons[0], step, reasons=list(reasons))


def _require_allowed(config: Config, folders: FolderSet, entry: Entry) -> None:
    reasons = entry_rules.faults(config, folders.route, entry)
    if not reasons and upload_target.was_sent(folders, [entry.name]):
        reasons = [upload_target.fault_of_repeat(entry.name)]
    if reasons:
        raise refused(folders.route, entry.name, reasons, is_folder=entry.is_folder)


def _top(place: Place) -> str:
    names = os.listdir(place.path / DATA)
    if len(names) != 1:
        raise Problem(422, "The files are not in one folder", "Begin each relativePath with the same folder")
    return names[0]


def _publish(place: Place, source: str, name: str) -> None:
    """Rename it into the inbox; the sender's row first, since the claim may follow at once."""
    ticket, path = place.ticket, place.path / DATA / source
    target = Path(ticket.inbox) / name
    inode = os.lstat(path).st_ino
    kept(Publishing).senders.ask(
        Upload(inbox=ticket.inbox, name=escape(name), inode=inode, sender=ticket.account)
    )
    end = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            move(path, target)
            break
        except FileExistsError:
            if time.monotonic() > end:
                raise _name_is_taken(name) from None
        threading.Event().wait(_TICK_SECONDS)
    kept(Publishing).synced.ask(ticket.inbox)


def _name_is_taken(name: str) -> Problem:
    return Problem(
        503,
        f"An earlier {escape(name)} is still in the inbox",
        "All bytes are received. Try again in a minute; the service takes the earlier one first",
        headers={"Retry-After": "30"},
    )


def _note(request: HttpRequest, ticket: Ticket) -> None:
    facts = {"route": ticket.route, "name": escape(ticket.name)}
    try:
        visit_trail.note(request, Kind.UPLOADED, **facts, files=ticket.files, size_bytes=ticket.size_bytes)
    except OSError as error:  # it is in the inbox; its claim is an event in any case, with the same sender
        log.warning("An upload could not be noted", action="upload_unnoted", error=str(error))


def _write_senders(rows: Sequence[Upload]) -> None:
    Upload.objects.bulk_create(
        rows, update_conflicts=True, update_fields=["sender", "at"], unique_fields=["inbox", "name", "inode"]
    )


def _sync_folders(paths: Sequence[str]) -> None:
    for path in set(paths):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Publishing:
    """What requests of this process do together."""

    def __init__(self) -> None:
        self.senders = Together(_write_senders)
        self.synced = Together(_sync_folders)
