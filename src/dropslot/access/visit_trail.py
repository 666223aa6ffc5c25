"""Visits of the portal as events of the trail, without a page that waits for it.

A visit is first a line in a file of this process (one write, which a killed process does not lose). A thread takes the
file over about once a second and appends its lines to the chain, all in one transaction. The row of that file in
RecordedVisits is part of this transaction, so after a crash no line is recorded twice and none is lost.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from django.db import Error, connections, transaction
from django.http import HttpRequest
from ulid import ULID

from dropslot.access.models import RecordedVisits
from dropslot.arrivals.intake.record import user_name
from dropslot.audit.chain import Entry, append, timestamp
from dropslot.audit.kinds import Kind, entry
from dropslot.audit.visits import RightsChanged
from dropslot.config.secrets import make_private
from dropslot.core.context import kept

log = structlog.get_logger()
SECONDS = 1.0
_OPEN, _CLOSED = "noting-", "noted-"


class Trail:
    """The visits of one process. `folder` is in the data folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._recording = threading.Lock()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._stream = -1
        self._path = folder / "none"
        self._thread: threading.Thread | None = None

    def note(self, kind: Kind, arrival: str, data: Mapping[str, Any]) -> None:
        """Keep one visit. Raises OSError if it can be kept neither here nor in the trail (a full disk): then the page
        must not show what nobody could prove that it was shown."""
        line = json.dumps([kind.value, arrival, dict(data)], ensure_ascii=False).encode("utf-8", "replace")
        with self._lock:
            if self._stream < 0:
                self._begin()
            os.write(self._stream, line + b"\n")
        self._wake.set()

    def record(self) -> int:
        """Append what is noted to the trail; returns how many visits. Raises DatabaseError: they stay noted."""
        with self._lock:
            if self._stream >= 0:
                os.close(self._stream)
                self._stream = -1
                self._path.rename(self._path.with_name(self._path.name.replace(_OPEN, _CLOSED)))
        with self._recording:
            return sum(_record(path) for path in sorted(self._folder.glob(f"{_CLOSED}*")))

    def end(self) -> None:
        """Record what is noted, and end the thread."""
        self._ended.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.record()

    def _begin(self) -> None:
        make_private(self._folder, self._folder.parent)
        if self._thread is None or not self._thread.is_alive():
            _adopt(self._folder)
            self._thread = threading.Thread(target=self._run, name="trail", daemon=True)
            self._thread.start()
        self._path = self._folder / f"{_OPEN}{ULID()}"
        draft = self._path.with_name(f".{self._path.name}")
        self._stream = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        # Locked before it has its name: another process takes files that nobody holds.
        fcntl.flock(self._stream, fcntl.LOCK_EX)
        draft.rename(self._path)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._wake.wait()
            self._ended.wait(SECONDS)  # what comes meanwhile goes into the same transaction
            self._wake.clear()
            try:
                self.record()
            except (Error, OSError) as error:
                log.warning("Visits could not be recorded yet", action="visits_unrecorded", error=str(error))
                connections.close_all()
                self._wake.set()
        connections.close_all()


def _adopt(folder: Path) -> None:
    """Close the files of processes that have ended, so that they are recorded next."""
    for path in folder.glob(f"{_OPEN}*"):
        with suppress(BlockingIOError, FileNotFoundError), path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.rename(path.with_name(path.name.replace(_OPEN, _CLOSED)))


def _record(path: Path) -> int:
    entries = list(_entries(path))
    with transaction.atomic():
        _, is_new = RecordedVisits.objects.get_or_create(name=path.name)
        if is_new:
            append(entries)
    path.unlink(missing_ok=True)
    RecordedVisits.objects.filter(name=path.name).delete()
    return len(entries) if is_new else 0


_entry: Callable[[Kind, str, Any], Entry] = entry  # whoever noted it gave what its kind needs


def _entries(path: Path) -> Iterator[Entry]:
    for line in path.read_bytes().splitlines():
        try:
            kind, arrival, data = json.loads(line)
        except ValueError:  # cut off by a full disk
            continue
        yield _entry(Kind(kind), arrival, data)


class _Trails(dict[Path, Trail]):
    """The trails of this process, by their folder."""


def trail() -> Trail:
    """The trail of this process's configuration."""
    from dropslot.config import current

    folder = current().data / "portal"
    return kept(_Trails).setdefault(folder, Trail(folder))


def end() -> None:
    """End the trails of this process; what is noted later begins new ones."""
    trails = kept(_Trails)
    while trails:
        trails.popitem()[1].end()


def visit(request: HttpRequest) -> dict[str, str]:
    """Who, from where and when, for the data of an event."""
    access = getattr(request, "access", None)
    who = {"by": access.name if access else "", "address": address_of(request)}
    token = getattr(request, "token", None)
    return who | {"at": timestamp(datetime.now(UTC))} | ({"token": token.id} if token else {})


def note(request: HttpRequest, kind: Kind, arrival: str = "", **data: Any) -> None:
    """Keep a visit as an event of this kind. Raises OSError if it cannot be kept."""
    trail().note(kind, arrival, visit(request) | data)


def address_of(request: HttpRequest) -> str:
    """The address of the other side: with `proxies: N` the N-th of X-Forwarded-For from its end, which the outermost
    of these servers has added."""
    from dropslot.access.section import portal_of
    from dropslot.config import current

    portal = portal_of(current())
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    if portal is not None and portal.proxies and len(forwarded) >= portal.proxies:
        return str(forwarded[-portal.proxies][:60])
    return str(request.META.get("REMOTE_ADDR", ""))


def of_command() -> dict[str, str]:
    """The same for a command: `by` is the account of the system that runs it."""
    return {"by": user_name(os.getuid()), "address": "", "at": timestamp(datetime.now(UTC))}


def record_rights(who: Mapping[str, str], of: str, what: str) -> None:
    """Append a change of rights to the chain, in the caller's transaction: neither is there without the other."""
    data: RightsChanged = {
        "by": who["by"],
        "address": who["address"],
        "at": who["at"],
        "of": of,
        "what": what,
    }
    append([entry(Kind.RIGHTS_CHANGED, "", data)])
