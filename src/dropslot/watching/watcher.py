"""The loop that reports to event processors what happens in the inboxes: one thread for all of them."""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import structlog

from dropslot.files import network_mounts
from dropslot.watching import unwatchable
from dropslot.watching.file_events import (
    IN_DELETE_SELF,
    IN_IGNORED,
    IN_MOVE_SELF,
    IN_Q_OVERFLOW,
    IN_UNMOUNT,
    event,
)
from dropslot.watching.inotify import Inotify
from dropslot.watching.polling import Listings
from dropslot.watching.processors import Pair
from dropslot.watching.watched_inbox import Inbox

log = structlog.get_logger()

# The interval for polling an inbox, for looking for a missing one, and for comparing a watched one with its path.
CHECK_SECONDS = 1.0
_LOST = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED


class Stop(Protocol):
    """Says when to end: `fileno` becomes readable then."""

    def is_set(self) -> bool: ...

    def fileno(self) -> int: ...


class System(NamedTuple):
    """The watcher's access to the system; tests replace it."""

    filesystem_of: Callable[[str], str] = network_mounts.kind_of
    inotify: Callable[[], Inotify[Inbox]] = Inotify


class Watcher:
    """Watches the inboxes of `pairs` until it is stopped; if one fails, the others go on. `refresh` gives the present
    pairs at each rescan; those with a new (route, inbox) are added. `acting` gives once a second those that are to be
    watched now: others are closed, until they are among them again. `ready` is called once, when all inboxes have
    been attached and scanned or found missing; `beat` at least once a second while the loop is well.
    """

    def __init__(
        self,
        pairs: Iterable[Pair],
        *,
        refresh: Callable[[], Sequence[Pair]] | None = None,
        acting: Callable[[], Sequence[Pair]] | None = None,
        ready: Callable[[], None] = lambda: None,
        beat: Callable[[], None] = lambda: None,
        system: System | None = None,
    ) -> None:
        self._inboxes: dict[tuple[str, str], Inbox] = {}
        self._refresh = refresh
        self._refresh_at = float("-inf")
        self._acting = acting
        self._ready = ready
        self._beat = beat
        self._system = system or System()
        self._epoll = select.epoll()
        self._inotify: Inotify[Inbox] | None = None
        self._take_up(pairs)

    def run(self, stop: Stop) -> None:
        """Watch until `stop` is set, then close the processors. May be run once."""
        self._epoll.register(stop, select.EPOLLIN)
        try:
            self._check_all()
            self._ready()
            self._loop(stop)
        finally:
            self._close()

    def _loop(self, stop: Stop) -> None:
        check_at = time.monotonic() + CHECK_SECONDS
        while not stop.is_set():
            self._epoll.poll(max(0.0, self._next_time(check_at) - time.monotonic()))
            self._read_events()
            if time.monotonic() >= check_at:
                self._beat()
                self._check_all()
                check_at = time.monotonic() + CHECK_SECONDS
            self._wake_processors()

    def _next_time(self, check_at: float) -> float:
        times = (inbox.wake_at() for inbox in self._inboxes.values())
        return min((when for when in times if when is not None and when < check_at), default=check_at)

    def _wake_processors(self) -> None:
        now = time.monotonic()
        for inbox in self._inboxes.values():
            inbox.wake(now)

    # Events.

    def _read_events(self) -> None:
        if self._inotify is None:
            return
        for inbox, mask, name, moved_from in self._inotify.read():
            if inbox is None:
                self._overflow()
            else:
                self._tell(inbox, mask, name, moved_from)

    def _tell(self, inbox: Inbox, mask: int, name: str, moved_from: str | None = None) -> None:
        happened = event(mask, inbox.path, name, moved_from)
        if happened is not None:
            inbox.tell(happened)
        if mask & _LOST and inbox.watch is not None:
            self._detach(inbox)
            self._attach(inbox)

    def _overflow(self) -> None:
        line = f"Events were lost: {unwatchable.of_overflow()} All inboxes are scanned now."
        log.warning(line, action="events_lost", plain=True)
        for inbox in self._inboxes.values():
            if inbox.watch is not None:
                self._tell(inbox, IN_Q_OVERFLOW, "")
                self._scan(inbox)

    # Once a second.

    def _check_all(self) -> None:
        now = time.monotonic()
        if now >= self._refresh_at:
            self._pick_up_new()
            rescans = (inbox.route.rescan.total_seconds() for inbox in self._inboxes.values())
            self._refresh_at = now + min(rescans, default=CHECK_SECONDS)
        if self._acting is not None:
            self._match(self._acting())
        for inbox in list(self._inboxes.values()):
            self._check(inbox, now)

    def _check(self, inbox: Inbox, now: float) -> None:
        if inbox.attached and not self._is_same(inbox):
            self._detach(inbox)
        if not inbox.attached:
            self._attach(inbox)
        elif inbox.is_scan_due(now):
            self._rescan(inbox)
        elif inbox.listings is not None:
            self._poll(inbox)

    def _is_same(self, inbox: Inbox) -> bool:
        """Whether the path still leads to the folder that is watched: a parent may have been renamed, or
        unmounted.
        """
        try:
            return _identity(inbox.path) == inbox.identity
        except OSError:
            return False

    def _pick_up_new(self) -> None:
        if self._refresh is None:
            return
        try:
            self._take_up(self._refresh())
        except Exception:
            line = (
                "New inboxes could not be looked for; the known ones are still watched. This is retried soon."
            )
            log.exception(line, action="refresh_failed", plain=True)

    def _take_up(self, pairs: Iterable[Pair]) -> None:
        for pair in pairs:
            key = (pair[0].route.key, str(pair[0].inbox))
            if key not in self._inboxes:
                self._inboxes[key] = Inbox(pair)

    def _match(self, pairs: Sequence[Pair]) -> None:
        """Watch these, and no others."""
        present = {id(pair) for pair in pairs}
        for key, inbox in list(self._inboxes.items()):
            if id(inbox.pair) not in present:
                self._detach(inbox)
                inbox.close()
                del self._inboxes[key]
        self._take_up(pairs)

    def _rescan(self, inbox: Inbox) -> None:
        if inbox.listings is not None and self._must_poll(inbox) is None:
            # It is polled because there was no watch; perhaps there is one now.
            self._detach(inbox)
            self._attach(inbox)
        else:
            self._scan(inbox)

    # Attaching: first the watch, then the scan, so that nothing falls between them.

    def _attach(self, inbox: Inbox) -> None:
        try:
            inbox.identity = _identity(inbox.path)
            self._watch_or_poll(inbox)
        except OSError as error:
            inbox.say_lost(unwatchable.of_inbox(inbox.path, error))
            return
        inbox.say_watching()
        self._scan(inbox)

    def _watch_or_poll(self, inbox: Inbox) -> None:
        kind = self._must_poll(inbox)
        if kind is not None:
            inbox.listings = Listings()
            inbox.say_once("inbox_polled", unwatchable.of_shared(inbox.path, kind))
            return
        try:
            inbox.watch = self._open_inotify().watch(inbox.path, inbox.mask, inbox)
        except OSError as error:
            if error.errno not in unwatchable.LIMITS:
                raise
            inbox.listings = Listings()
            inbox.say_once("watch_limit", unwatchable.of_limit(inbox.path, error))

    def _must_poll(self, inbox: Inbox) -> str | None:
        """Why an inbox is to be polled: `poll: true`, or the kind of its file system; None when it is not."""
        if inbox.route.poll is True:
            return "poll: true"
        if inbox.route.poll is False:
            return None
        kind = self._system.filesystem_of(inbox.path)
        return kind if network_mounts.is_shared(kind) else None

    def _open_inotify(self) -> Inotify[Inbox]:
        if self._inotify is None:
            self._inotify = self._system.inotify()
            self._epoll.register(self._inotify, select.EPOLLIN)
        return self._inotify

    def _detach(self, inbox: Inbox) -> None:
        if inbox.watch is not None and self._inotify is not None:
            self._inotify.unwatch(inbox.watch, inbox)
        inbox.watch = inbox.listings = None

    def _scan(self, inbox: Inbox) -> None:
        if inbox.listings is not None:
            entries = self._poll(inbox)
            if entries is not None:
                inbox.tell_scan(entries)
            return
        try:
            with os.scandir(inbox.path) as entries_one_by_one:
                inbox.tell_scan(entries_one_by_one)
        except OSError as error:
            self._lose(inbox, error)
        else:
            inbox.well_again()

    def _poll(self, inbox: Inbox) -> list[os.DirEntry[str]] | None:
        """The entries of an inbox that is polled; differences are reported as events. None if it cannot be read now."""
        assert inbox.listings is not None
        try:
            with os.scandir(inbox.path) as found:
                entries = list(found)
            happened = inbox.listings.compare(entries)
        except OSError as error:
            self._lose(inbox, error)
            return None
        for mask, name, moved_from in happened:
            self._tell(inbox, mask, name, moved_from)
        return entries

    def _lose(self, inbox: Inbox, error: OSError) -> None:
        self._detach(inbox)
        inbox.say_lost(unwatchable.of_inbox(inbox.path, error))

    def _close(self) -> None:
        for inbox in self._inboxes.values():
            inbox.close()
        if self._inotify is not None:
            self._inotify.close()
        self._epoll.close()


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return status.st_dev, status.st_ino
