"""The requests of the tus protocol: begin an upload, ask for its offset, go on, cancel; and finish a batch."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from dropslot.access.section import Portal, portal_of
from dropslot.access.seen import Access
from dropslot.api.tus import finishing, problems, tus_headers
from dropslot.api.tus.beforehand import entry_rules, upload_target
from dropslot.api.tus.beforehand.entry_rules import Item
from dropslot.api.tus.bodies import Body
from dropslot.api.tus.on_disk.account_quota import Quota
from dropslot.api.tus.on_disk.places import Part, Place
from dropslot.api.tus.on_disk.tickets import Ticket, Tickets
from dropslot.api.tus.problems import Problem
from dropslot.api.tus.write_body import Received, Wanted, receive
from dropslot.arrivals.models import Upload
from dropslot.core.names import escape

LONGEST_BATCH = 100  # characters
_LONGEST_PATH = 8_192  # characters


class Given(NamedTuple):
    """What the uploads of one request have to do with."""

    request: HttpRequest
    access: Access
    portal: Portal
    tickets: Tickets

    @classmethod
    def of(cls, request: HttpRequest, access: Access) -> Given:
        config = access.config
        return cls(request, access, portal_of(config) or Portal.model_validate({}), Tickets(config))

    @property
    def quota(self) -> Quota:
        return Quota(self.tickets, self.access.name, self.portal.quota)


def begin(given: Given, body: Body) -> HttpResponse:
    """POST: make an upload, and take the bytes that come with it. Raises Problem."""
    request = given.request
    with_body = tus_headers.has_body(request, is_empty=body.length == 0)
    said = tus_headers.metadata(request)
    part, batch = _part(tus_headers.length(request), said)
    folders = upload_target.target(given.access, said)
    if batch:
        faults = list(entry_rules.of_part(given.access.config, folders.route, Item(part.path, part.length)))
        if faults:
            raise finishing.refused(folders.route, part.path, faults, is_folder=True)
    else:
        finishing.require_allowed_file(given.access.config, folders, part)
    given.quota.require(part.length)
    ticket = given.tickets.make(given.access.name, folders.route.key, folders.inbox, batch)
    try:
        return _create(given, ticket, part, body if with_body else None)
    except (Problem, OSError):
        _forget_if_empty(given, ticket)
        raise


def offset(given: Given, ticket_id: str, part_id: str) -> HttpResponse:
    """HEAD: how much is there, durably. Raises Problem, also while an earlier request still writes: what that has
    received would be sent again, only to be thrown away."""
    ticket = _ticket(given, ticket_id)
    if ticket.ended:
        return _finished(ticket)
    with Place(ticket) as place:
        part = place.part(part_id)
        if not ticket.batch and place.size(part) in (-1, part.length):
            with place.alone():
                return _finished(finishing.finish_file(given.request, given.tickets, place, part))
        descriptor = place.open(part)
        try:
            os.fdatasync(descriptor)
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
    return _answer(given, ticket, 200, size, part.length)


def go_on(given: Given, ticket_id: str, part_id: str, body: Body) -> HttpResponse:
    """PATCH: append a body. Raises Problem."""
    tus_headers.has_body(given.request, is_empty=body.length == 0)
    begin_at = tus_headers.number(given.request, "Upload-Offset")
    if begin_at is None:
        raise Problem(400, "Upload-Offset is missing", "Say where in the file the bytes begin")
    ticket = _ticket(given, ticket_id)
    if ticket.ended:
        raise Problem(410, "This upload is finished", "Nothing is left to be sent")
    with Place(ticket) as place, place.shared():
        part = place.part(part_id)
        descriptor = place.open(part, to_write=True)
        try:
            received = _receive(given, place, descriptor, part, body, begin_at)
        finally:
            os.close(descriptor)
    given.tickets.touch(ticket)
    return _answer(given, ticket, 204, received.offset)


def cancel(given: Given, ticket_id: str, part_id: str = "") -> HttpResponse:
    """DELETE: remove an upload, or one file of a batch (`part_id`). Raises Problem."""
    ticket = _ticket(given, ticket_id)
    if ticket.ended:
        raise Problem(410, "This upload is finished", "What was delivered cannot be taken back")
    with Place(ticket) as place:
        if ticket.batch and part_id:
            with place.shared():
                part = place.part(part_id)
                os.close(place.open(part, to_write=True))
                place.remove_part(part)
        else:
            with place.alone():
                remove(given.tickets, place)
    given.quota.changed()
    return HttpResponse(status=204)


def remove(tickets: Tickets, place: Place) -> None:
    """Remove an upload that nobody writes to, with everything that is known of it."""
    inodes = []
    for part in place.parts():
        with suppress(Problem):
            descriptor = place.open(part)
            inodes.append(os.fstat(descriptor).st_ino)
            os.close(descriptor)
    Upload.objects.filter(
        inbox=place.ticket.inbox, inode__in=inodes[:1], sender=place.ticket.account
    ).delete()
    place.remove()
    tickets.forget(place.ticket)


def received(given: Given, ticket: Ticket) -> dict[str, object]:
    """For each file of a batch that was begun: its path, how much is there, its length, and its address. Small ones may
    not be durable yet; finishing the batch looks again. Raises Problem."""
    ticket = _ticket(given, ticket.id)
    if ticket.ended:
        return {"finished_as": ticket.name, "files": []}
    with Place(ticket) as place:
        files = [
            [part.path, max(place.size(part), 0), part.length, _address(ticket, part)]
            for part in place.parts()
        ]
    return {"finished_as": None, "files": files}


def _address(ticket: Ticket, part: Part) -> str:
    return reverse("dropslot_api:tus_upload", args=[ticket.id, part.id])


def finish(given: Given, batch: str, wanted: Mapping[str, object]) -> Ticket:
    """Put a batch into its inbox as one folder. May be called again. Raises Problem."""
    name, files = wanted.get("name"), wanted.get("files")
    if not isinstance(name, str) or not name or type(files) is not int or files < 1:
        raise Problem(
            400, "`name` and `files` are missing", "Say the folder's name and the number of its files"
        )
    fields = {key: value for key, value in wanted.items() if isinstance(value, str)}
    folders = upload_target.target(given.access, fields)
    ticket = given.tickets.of_batch(given.access.name, folders.route.key, batch)
    if ticket.ended:
        return ticket
    with Place(ticket) as place, place.alone():
        empty, tops = _empty_folders(wanted), {part.path.partition("/")[0] for part in place.parts()}
        if any(path.partition("/")[0] not in tops for path in empty):
            raise Problem(422, "`folders` names another folder", "Begin each with the folder of the files")
        for path in empty:
            if fault := entry_rules.of_path(folders.route, path):
                raise finishing.refused(folders.route, name, [fault], is_folder=True)
            place.add_folder(path)
        done = finishing.finish_batch(given.request, given.tickets, place, folders, (name, files))
    given.quota.changed()
    return done


def _empty_folders(wanted: Mapping[str, object]) -> list[str]:
    folders = wanted.get("folders", [])
    if not isinstance(folders, list) or not all(isinstance(path, str) and path for path in folders):
        raise Problem(
            400, "`folders` is not a list of paths", "Name the folders that hold nothing, or leave it out"
        )
    return folders


def _part(length: int, said: Mapping[str, str]) -> tuple[Part, str]:
    """The file, and its batch: empty if it is an arrival by itself."""
    path, batch = said.get("relativePath") or said.get("filename", ""), said.get("batch", "")
    if len(path) > _LONGEST_PATH or len(batch) > LONGEST_BATCH:
        raise Problem(400, "relativePath or batch is too long", f"{LONGEST_BATCH} characters for a batch")
    if not path:
        raise Problem(
            400, "The metadata has no filename", "Send `filename`, and `relativePath` inside a folder"
        )
    if "/" not in path:
        batch = ""
    elif not batch:
        raise Problem(
            400, "A file inside a folder needs a batch", "Give all files of a folder the same `batch`"
        )
    modified = said.get("modified", "")  # milliseconds of the epoch, as browsers have it
    modified_ns = int(modified) * 1_000_000 if modified.isdigit() and len(modified) < 14 else None
    return Part(path, length, modified_ns), batch


def _create(given: Given, ticket: Ticket, part: Part, body: Body | None) -> HttpResponse:
    with Place(ticket, is_new=True) as place, place.shared():
        descriptor = place.add(part)
        try:
            if body is None and part.length:
                received = Received(0, False)
            else:
                received = _receive(given, place, descriptor, part, body, 0, at_once=True)
        finally:
            os.close(descriptor)
    if received.is_broken and not ticket.batch:
        raise Problem(400, "The connection ended too early", "Send it again")
    if received.offset < part.length:
        given.tickets.keep(ticket)
    response = _answer(given, ticket, 201, received.offset)
    response["Location"] = given.request.build_absolute_uri(_address(ticket, part))
    return response


def _receive(
    given: Given,
    place: Place,
    descriptor: int,
    part: Part,
    body: Body | None,
    begin_at: int,
    *,
    at_once: bool = False,
) -> Received:
    wanted = Wanted(begin_at, tus_headers.checksum(given.request), bool(place.ticket.batch))
    received = receive(descriptor, part, body or Body.empty(), wanted, given.quota)
    if received.offset == part.length:
        if part.modified_ns is not None:
            os.utime(descriptor, ns=(part.modified_ns, part.modified_ns))
        if not place.ticket.batch:
            finishing.finish_file(given.request, given.tickets, place, part, at_once=at_once)
            given.quota.changed()
    return received


def _ticket(given: Given, ticket_id: str) -> Ticket:
    """The account's ticket, not expired. Raises Problem."""
    ticket = given.tickets.of_account(ticket_id, given.access.name)
    if not given.access.may_upload(ticket.route):
        raise problems.unknown()
    if not ticket.ended and _expires(given, ticket) < time.time():
        raise problems.expired()
    return ticket


def _expires(given: Given, ticket: Ticket) -> float:
    return given.tickets.last_received(ticket) + given.portal.keep_uploads.total_seconds()


def _forget_if_empty(given: Given, ticket: Ticket) -> None:
    """After a creation that failed, nothing is left that nobody could address."""
    with suppress(Problem, OSError), Place(ticket) as place, place.alone():
        if not ticket.batch or not place.parts():
            remove(given.tickets, place)
            return
    if not ticket.batch:
        given.tickets.forget(ticket)


def _answer(given: Given, ticket: Ticket, status: int, at: int, length: int | None = None) -> HttpResponse:
    response = HttpResponse(status=status)
    response["Upload-Offset"] = str(at)
    if length is not None:
        response["Upload-Length"] = str(length)
    expires = datetime.fromtimestamp(_expires(given, ticket), UTC)
    response["Upload-Expires"] = format_datetime(expires, usegmt=True)
    return response


def _finished(ticket: Ticket) -> HttpResponse:
    if ticket.batch:
        raise Problem(410, f"The batch is finished as {escape(ticket.name)}", "Nothing is left to be sent")
    response = HttpResponse(status=200)
    response["Upload-Offset"] = response["Upload-Length"] = str(ticket.size_bytes)
    return response
