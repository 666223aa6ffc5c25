"""The thread that keeps the index of the listings. It runs in one process of the portal, whichever took its lock, and
begins with the first request, so that it works under any server."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import structlog
from django.db import DatabaseError, connections

from dropslot.acknowledgments import unfetched
from dropslot.arrivals.listings.search import indexer
from dropslot.arrivals.registry import Finding
from dropslot.audit.event_wakeups import Ear
from dropslot.config import Config
from dropslot.core.context import kept

log = structlog.get_logger()
_IDLE_SECONDS, _AFTER_BATCH_SECONDS, _AFTER_ERROR_SECONDS = 1.0, 0.1, 30.0  # deliveries write in between
_LISTENING_SECONDS = 15.0  # where PostgreSQL wakes us


class _Started:
    """Locked from the first request of this process on."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def with_index(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The WSGI application, which starts the thread of its process with its first request."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if kept(_Started).lock.acquire(blocking=False):
            from dropslot.config import current

            threading.Thread(target=_run, args=(current(),), name="index", daemon=True).start()
        return application(environ, start_response)

    return answer


def _run(config: Config) -> None:
    while (lock := _locked(config.data / "portal")) is None:
        _wait(_AFTER_ERROR_SECONDS)
    ear = Ear((*indexer.KINDS, *unfetched.KINDS))
    try:
        while True:
            _wait_for_more(ear, keep())
    finally:
        os.close(lock)


def _wait_for_more(ear: Ear, seconds: float) -> None:
    """Where events wake us, there is no need to look each second."""
    try:
        if seconds != _IDLE_SECONDS:
            _wait(seconds)
        else:
            ear.wait([], _LISTENING_SECONDS if ear.hears() else seconds)
    except DatabaseError:
        connections.close_all()  # `keep` says so, if it lasts
        _wait(seconds)


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def keep() -> float:
    """Take in what there is next; returns the seconds until there may be more. Never raises for a database that is
    away."""
    try:
        unfetched.begin()
        taken = unfetched.catch_up()
        if indexer.is_possible():
            indexer.begin()
            taken += indexer.catch_up()
    except DatabaseError as error:
        log.warning("The index of the listings could not be kept", action="index_late", error=str(error))
        connections.close_all()
        return _AFTER_ERROR_SECONDS
    return _AFTER_BATCH_SECONDS if taken else _IDLE_SECONDS


def findings() -> Iterator[Finding]:
    """For `doctor`: what makes the portal's searches slow."""
    if not indexer.is_possible():
        yield Finding(
            "warning",
            "portal",
            "Searches of the portal read all rows: this SQLite was built without FTS5",
            "Use PostgreSQL, or a Python whose SQLite has FTS5; then run `dropslot rebuild` into a new database",
        )


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the lock; None: another process has it, or the folder is not there."""
    try:
        descriptor = os.open(folder / "index.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
