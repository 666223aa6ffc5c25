"""Upload: files and folders from a browser into an inbox. The pages only say what may be sent where; the browser sends
by the API (`api.tus`)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dropslot.access.roles import UPLOADS
from dropslot.access.section import portal_of, refuses_repeats
from dropslot.access.seen import Access
from dropslot.api.tus.on_disk.places import Place
from dropslot.api.tus.on_disk.tickets import Tickets
from dropslot.api.tus.problems import Problem
from dropslot.config.route_folders import FolderSet, folder_sets
from dropslot.core.names import UPLOADING, escape
from dropslot.core.templates import Template

_MOST_CHOICES = 2_000
_SHOWN = 10
_QUIET_SECONDS = 60.0


@login_required
@require_GET
def upload(request: HttpRequest) -> HttpResponse:
    """Where the account may send to, with the drop zone."""
    access: Access = request.access  # type: ignore[attr-defined]
    return render(request, "dropslot/upload.html", {"drop_zone": drop_zone(access)})


def drop_zone(access: Access) -> dict[str, Any]:
    """What the template `dropslot/drop_zone.html` needs as `drop_zone`; for each page that has one."""
    choices = [choice for _, choice in zip(range(_MOST_CHOICES), _choices(access), strict=False)]
    portal = portal_of(access.config)
    return {
        "choices": choices,
        "max_upload": portal.max_upload if portal else None,
        "unfinished": list(islice(_unfinished(access), _SHOWN)),
    }


def _unfinished(access: Access) -> Iterator[dict[str, Any]]:
    """What this account began to send, and for a while has not gone on with."""
    tickets = Tickets(access.config)
    for ticket in filter(None, map(tickets.find, _begun(access))):
        last = tickets.last_received(ticket)
        if ticket.account != access.name or ticket.ended or last > time.time() - _QUIET_SECONDS:
            continue
        with suppress(Problem, OSError), Place(ticket) as place:
            names = ", ".join(map(escape, place.names()))
            yield {"name": names, "route": ticket.route, "last": datetime.fromtimestamp(last, UTC)}


def _begun(access: Access) -> Iterator[str]:
    """The ids of uploads whose bytes are in an inbox. Tickets stay for a day after their end, and may be thousands."""
    for route in access.routes(UPLOADS):
        for folders in islice(folder_sets(route, make=False), _MOST_CHOICES):
            with suppress(OSError):
                for name in os.listdir(folders.inbox):
                    if name.startswith(UPLOADING):
                        yield name.removeprefix(UPLOADING)


def _choices(access: Access) -> Iterator[dict[str, Any]]:
    for route in access.routes(UPLOADS):
        for folders in folder_sets(route, make=False):
            yield _choice(folders)


def _choice(folders: FolderSet) -> dict[str, Any]:
    route = folders.route
    fields = {name: folders.fields[name] for name in Template(route.inbox).fields}
    values = ", ".join(f"{name} {value}" for name, value in fields.items())
    return {
        "route": route.key,
        "fields": fields,
        "label": f"{route.key}: {values}" if values else route.key,
        "takes": "directories" if route.complete == "marker" else route.takes,
        "name_help": route.name_help or "",
        "patterns": ", ".join(route.select.patterns),
        "max_item_size": route.select.max_item_size,
        "refuses_repeats": refuses_repeats(route),
    }
