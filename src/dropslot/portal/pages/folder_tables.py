"""Folder tables: look at them, load a new file after a look at what it would change, retry what that heals."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path, PurePath
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from dropslot.access.roles import AUDITS, OPERATES
from dropslot.access.seen import Access
from dropslot.arrivals.listings.queries import contains
from dropslot.arrivals.upkeep.missing_folders import found_now
from dropslot.config.secrets import make_private
from dropslot.core.names import escape
from dropslot.lookup import load_tables
from dropslot.lookup.models import Folder, FolderTable
from dropslot.lookup.table_file import LARGEST_BYTES, BadTable
from dropslot.portal.requests import access_in

ROLES = OPERATES | AUDITS
_SHOWN = 100
_REPORTED = 100
_CHANGES = 200
_KEPT_SECONDS = 3600
_SHA256 = re.compile(r"[0-9a-f]{64}")


@login_required
@require_GET
def folders(request: HttpRequest) -> HttpResponse:
    """One table: its entries, by search, and the form for a new file."""
    access = access_in(request)
    known = _tables(access)
    if not access.has(ROLES):
        raise Http404
    table = request.GET.get("table", "") or next(iter(known), "")
    if table and table not in known:
        raise Http404
    facts = {"tables": list(known), "table": table, **(_entries(request, table) if table else {})}
    facts["may_load"] = bool(table) and _may_load(access, table)
    if facts["may_load"]:
        facts["healed"] = _healed(access, table)
    return render(request, "dropslot/folders.html", facts)


@login_required
@require_POST
def folders_preview(request: HttpRequest) -> HttpResponse:
    """What a file would change. It is kept for an hour, so that what is loaded is what was looked at."""
    access = access_in(request)
    table = _loadable(access, request.POST.get("table", ""))
    replace = request.POST.get("replace") == "yes"
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile) or file.size is None:
        messages.error(request, "Choose a CSV file first.")
        return _to(table)
    if file.size > LARGEST_BYTES:
        messages.error(request, f"The file has {file.size:,} bytes; {LARGEST_BYTES:,} is the limit.")
        return _to(table)
    content, name = file.read(), PurePath(file.name or "table.csv").name
    try:
        loaded = load_tables.preview(content, Path(name), table, replace=replace)
    except BadTable as error:
        messages.error(request, str(error))
        return _to(table)
    facts = _report(loaded, name, replace=replace)
    facts |= {"changes": loaded.changes[:_CHANGES], "more_changes": max(0, len(loaded.changes) - _CHANGES)}
    facts |= {"kept": _keep(access, content), "table": table, "name": name, "replace": replace}
    return render(request, "dropslot/folders_preview.html", facts)


@login_required
@require_POST
def folders_load(request: HttpRequest) -> HttpResponse:
    """Load the file that was looked at."""
    access = access_in(request)
    table = _loadable(access, request.POST.get("table", ""))
    content = _kept(access, request.POST.get("kept", ""))
    if content is None:
        messages.error(request, "The file is no longer kept here. Choose it again.")
        return _to(table)
    name, replace = (
        PurePath(request.POST.get("name", "")).name or "table.csv",
        request.POST.get("replace") == "yes",
    )
    try:
        loaded = load_tables.load_content(
            access.config, content, Path(name), table, by=access.name, replace=replace
        )
    except BadTable as error:
        messages.error(request, str(error))
        return _to(table)
    facts = _report(loaded, name, replace=replace)
    facts |= {"table": table, "name": name, "replace": replace, "healed": _healed(access, table)}
    return render(request, "dropslot/folders_loaded.html", facts)


def _tables(access: Access) -> dict[str, Path]:
    """The tables of the routes that the account operates or audits."""
    seen = {lookup.table for route in access.routes(ROLES) for lookup in route.lookup}
    return {name: path for name, path in load_tables.tables(access.config).items() if str(path) in seen}


def _may_load(access: Access, table: str) -> bool:
    """Whether the account operates every route that the table decides for."""
    file = str(load_tables.tables(access.config)[table])
    using = [
        key for key, route in access.config.routes.items() if any(each.table == file for each in route.lookup)
    ]
    return all(access.may_operate(key) for key in using)


def _loadable(access: Access, table: str) -> str:
    if table not in _tables(access) or not _may_load(access, table):
        raise Http404
    return table


def _entries(request: HttpRequest, table: str) -> dict[str, Any]:
    row = FolderTable.objects.filter(name=table).first()
    search, after = request.GET.get("search", "").strip()[:200], request.GET.get("after", "")
    rows = Folder.objects.filter(table=row) if row else Folder.objects.none()
    count = rows.count()
    if search:
        rows = rows.filter(contains(search, "folder", "folder_tag", "label", "base_path") | Q(folder=search))
    if after.isascii() and after.isdigit() and len(after) < 19:
        rows = rows.filter(pk__gt=int(after))
    found = list(rows.order_by("pk")[: _SHOWN + 1])
    last = found[_SHOWN - 1].pk if len(found) > _SHOWN else None
    asked = {"table": table, "search": search}
    return {
        "loaded_at": row.loaded_at if row else None,
        "count": count,
        "entries": found[:_SHOWN],
        "search": search,
        "next": f"?{urlencode(asked | {'after': last})}" if last else "",
    }


def _report(loaded: load_tables.Loaded, name: str, *, replace: bool) -> dict[str, Any]:
    """The lines that the command `load_remote_folders` prints."""
    return {
        "loaded": loaded,
        "shown_name": escape(name),
        "refusals": list(load_tables.refusals(loaded, Path(name), _REPORTED)),
        "suspicions": list(load_tables.suspicions(loaded.suspected, Path(name), _REPORTED)),
        "not_removed": bool(loaded.kept and replace),
    }


def _healed(access: Access, table: str) -> list[Any]:
    """Failed arrivals that the table has a folder for now, if the account may retry them."""
    found = [row.id for row in found_now(access.config, table)]
    return list(access.operable().filter(pk__in=found[:1000]).order_by("id"))


def _keep(access: Access, content: bytes) -> str:
    folder = access.config.data / "folder-tables"
    make_private(folder, access.config.data)
    for old in folder.iterdir():
        if time.time() - old.stat().st_mtime > _KEPT_SECONDS:
            old.unlink(missing_ok=True)
    digest = hashlib.sha256(content).hexdigest()
    beside = folder / f"{digest}.{os.getpid()}"
    beside.write_bytes(content)
    beside.chmod(0o600)
    beside.replace(folder / digest)
    return digest


def _kept(access: Access, digest: str) -> bytes | None:
    if not _SHA256.fullmatch(digest):
        return None
    try:
        return (access.config.data / "folder-tables" / digest).read_bytes()
    except FileNotFoundError:
        return None


def _to(table: str) -> HttpResponse:
    return redirect(f"{reverse('dropslot:folders')}?{urlencode({'table': table})}")
