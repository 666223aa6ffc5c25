"""One watched inbox: its processors, how it is watched now, and the warnings already given about it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

import structlog

from dropslot.core.names import escape
from dropslot.watching.file_events import IN_DELETE_SELF, IN_MOVE_SELF, IN_Q_OVERFLOW, IN_UNMOUNT, Event
from dropslot.watching.partial_scans import parts
from dropslot.watching.polling import Listings
from dropslot.watching.processors import EventProcessor, Pair, dotted, listens_to, tell

log = structlog.get_logger()

_TELL_ALL = IN_DELETE_SELF | IN_MOVE_SELF | IN_Q_OVERFLOW | IN_UNMOUNT
_TIMES = 4  # a scan that was wanted early comes after this many times as long as the last one took
_PAUSE_SECONDS = 1.0  # after a processor's on_wake has failed


class _Listener:
    """One processor, and the events that it gets."""

    def __init__(self, processor: EventProcessor, mask: int) -> None:
        self.processor = processor
        self.mask = mask | _TELL_ALL
        self.paused_until = float("-inf")


class Inbox:
    """The inbox of one folder set. Exactly one of `watch` (inotify) and `listings` (polling) is set while
    attached.
    """

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.folders, processors = pair
        self.route = self.folders.route
        self.path = str(self.folders.inbox)
        self._listeners = [_Listener(one, listens_to(self.route, one)) for one in processors]
        self.watch: int | None = None
        self.listings: Listings | None = None
        self.identity: tuple[int, int] | None = None  # device and inode of the folder that is attached
        self.scan_at = self._not_before = float("-inf")
        self._said = ""
        self._announced = False

    @property
    def attached(self) -> bool:
        return self.watch is not None or self.listings is not None

    @property
    def mask(self) -> int:
        """The events that its processors want."""
        mask = 0
        for listener in self._listeners:
            mask |= listener.mask & ~_TELL_ALL
        return mask

    def tell(self, event: Event) -> None:
        for listener in self._listeners:
            if event.mask & listener.mask:
                self._guarded(listener, tell, listener.processor, event)

    def tell_scan(self, entries: Iterable[os.DirEntry[str]]) -> None:
        """Report a scan, in parts. Raises OSError if the folder cannot be read to its end."""
        begun = time.monotonic()
        for part in parts(entries):
            for listener in self._listeners:
                self._guarded(listener, listener.processor.on_part_of_scan, part)
        now = time.monotonic()
        self.scan_at = now + self.route.rescan.total_seconds()
        # An inbox with very many entries must not keep the watcher from the others.
        self._not_before = now + _TIMES * (now - begun)

    def is_scan_due(self, now: float) -> bool:
        """Whether it is time for a rescan, or a processor wants one."""
        return now >= self.scan_at or (
            now >= self._not_before and any(map(self._wants_scan, self._listeners))
        )

    def _wants_scan(self, listener: _Listener) -> bool:
        answers: list[bool] = []
        self._guarded(listener, lambda: answers.append(listener.processor.wants_scan()))
        return any(answers)

    def wake_at(self) -> float | None:
        """The earliest time at which one of its processors wants to be called."""
        times = [self._wake_of(listener) for listener in self._listeners]
        return min((when for when in times if when is not None), default=None)

    def wake(self, now: float) -> None:
        """Call the processors whose time has come."""
        for listener in self._listeners:
            when = self._wake_of(listener)
            if when is not None and when <= now and not self._guarded(listener, listener.processor.on_wake):
                # Its time is still due, so it would be called again and again without a pause.
                listener.paused_until = time.monotonic() + _PAUSE_SECONDS

    def _wake_of(self, listener: _Listener) -> float | None:
        if time.monotonic() < listener.paused_until:
            return listener.paused_until
        answers: list[float | None] = []
        if not self._guarded(listener, lambda: answers.append(listener.processor.wake())):
            listener.paused_until = time.monotonic() + _PAUSE_SECONDS
            return listener.paused_until
        return answers[0]

    def close(self) -> None:
        for listener in self._listeners:
            self._guarded(listener, listener.processor.close)

    def say_watching(self) -> None:
        """Log how it is watched, once after it appeared or came back."""
        if self._announced:
            return
        self._announced = True
        for listener in self._listeners:
            name = dotted(listener.processor)
            line = f"Adding watch on {self.shown}, processed by {name}"
            log.info(
                line, action="watch_added", plain=True, route=self.route.key, inbox=self.shown, processor=name
            )

    def say_once(self, action: str, line: str) -> None:
        """Log a warning about the inbox once, until another one follows."""
        if line != self._said:
            self._said = line
            log.warning(line, action=action, plain=True, route=self.route.key, inbox=self.shown)

    def say_lost(self, line: str) -> None:
        """It cannot be watched or polled now."""
        self._announced = False
        self.say_once("inbox_lost", line)

    def well_again(self) -> None:
        if self._said:
            line = f"{self.shown} is watched again."
            log.info(line, action="inbox_well", plain=True, route=self.route.key, inbox=self.shown)
        self._said = ""

    @property
    def shown(self) -> str:
        return escape(self.path)

    def _guarded(self, listener: _Listener, call: Callable[..., object], *args: object) -> bool:
        """Whether the call succeeded. An error in a processor must not end the watch of all the others."""
        try:
            call(*args)
        except Exception:
            name = dotted(listener.processor)
            line = f"{name} failed on {self.shown}. The watcher goes on; the next rescan reports the entry again."
            log.exception(line, action="processor_failed", plain=True, route=self.route.key, processor=name)
            return False
        return True
