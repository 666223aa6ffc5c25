"""Event processors: what to do on a file event. Named in config.yaml by dotted path, created once for each inbox."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

import structlog

from dropslot.config.plugins import load_dotted
from dropslot.core.names import escape
from dropslot.watching import completion, signals
from dropslot.watching.file_events import Event, mask_of
from dropslot.watching.partial_scans import Part

if TYPE_CHECKING:
    from dropslot.config import Route
    from dropslot.config.route_folders import FolderSet

log = structlog.get_logger()


class EventProcessor:
    """Base class; every method may be left out. All are called in the watcher's one thread, so none may
    block.

    An exception is logged and ends only the call that raised it.
    """

    # Kinds (`in_create` …) that this processor needs besides those that its route listens to.
    events: ClassVar[frozenset[str]] = frozenset()

    _collected: Sequence[os.DirEntry[str]] = ()

    def __init__(self, folders: FolderSet) -> None:
        self.folders = folders

    def on_any(self, event: Event) -> None:
        """Every event, before the method of its kind."""

    def on_created(self, event: Event) -> None:
        """A name was made in the inbox (by open, mkdir, link, symlink, mknod)."""

    def on_moved(self, event: Event) -> None:
        """A name came by rename, from another folder or from another name."""

    def on_modified(self, event: Event) -> None:
        """A file was written to; called many times."""

    def on_closed(self, event: Event) -> None:
        """A file that was open for writing was closed."""

    def on_deleted(self, event: Event) -> None:
        """A name is gone: deleted or moved away."""

    def on_opened(self, event: Event) -> None:
        """A file or the inbox itself was opened."""

    def on_scan(self, entries: list[os.DirEntry[str]]) -> None:
        """Everything in the inbox: at start, at each rescan, and after events were lost."""

    def on_part_of_scan(self, part: Part) -> None:
        """A part of a scan, in the order of the folder. By default all parts of one scan are collected for `on_scan`;
        a processor for inboxes with very many entries takes the parts themselves."""
        self._collected = [*([] if part.is_first else self._collected), *part.entries]
        if part.is_last:
            entries, self._collected = list(self._collected), ()
            self.on_scan(entries)

    def wants_scan(self) -> bool:
        """Whether it wants the next scan before its time. Asked once a second."""
        return False

    def wake(self) -> float | None:
        """When (time.monotonic) to call `on_wake`; a past time means at once, None never. Called often."""
        return None

    def on_wake(self) -> None:
        """The time that `wake` gave has come. All waiting events have been reported before."""

    def close(self) -> None:
        """The watcher ends."""


class LogEvents(EventProcessor):
    """Logs every event as one line."""

    def on_any(self, event: Event) -> None:
        path = escape(event.pathname)
        log.info(f"{event.maskname}: {path}", action="file_event", plain=True, mask=event.maskname, path=path)


class SendSignals(EventProcessor):
    """Sends every event as the Django signal of its kind (dropslot.watching.signals)."""

    def on_any(self, event: Event) -> None:
        signal = getattr(signals, event.signal)
        for receiver, answer in signal.send_robust(type(self), event=event, folders=self.folders):
            if isinstance(answer, Exception):
                name = (
                    f"{receiver.__module__}.{getattr(receiver, '__qualname__', type(receiver).__qualname__)}"
                )
                line = f"Receiver {name} of {event.signal} failed: {answer!r}. The watcher goes on."
                log.error(line, action="receiver_failed", plain=True, receiver=name, exc_info=answer)


Pair = tuple["FolderSet", Sequence[EventProcessor]]

_METHODS: dict[str, str] = {
    kind: f"on_{kind}" for kind in ("created", "moved", "modified", "closed", "deleted", "opened")
}


def dotted(processor: EventProcessor) -> str:
    """The dotted path of its class."""
    return f"{type(processor).__module__}.{type(processor).__qualname__}"


def tell(processor: EventProcessor, event: Event) -> None:
    """Call `on_any`, then the method of the event's kind."""
    processor.on_any(event)
    method = _METHODS.get(event.kind)
    if method is not None:
        getattr(processor, method)(event)


def listens_to(route: Route, processor: EventProcessor) -> int:
    """The inotify mask of the events that one processor of a route gets."""
    return mask_of(route.events or completion.EVENTS) | mask_of(processor.events)


class Pairs:
    """Folder sets with their event processors. Call it to find the present sets: the argument for a Watcher, and for
    its `refresh`. Only those are given whose inbox this process is to watch (`acts`); each processor is created once
    and kept as long as that is so. Whoever watches again later begins with new ones.
    """

    def __init__(
        self,
        find: Callable[[], Iterable[FolderSet]],
        acts: Callable[[FolderSet], bool] | None = None,
    ) -> None:
        self._find = find
        self._acts = acts
        self.known: dict[tuple[str, str], FolderSet] = {}
        self._made: dict[tuple[str, str], Pair] = {}

    def __call__(self) -> list[Pair]:
        for folders in self._find():
            self.known.setdefault((folders.route.key, str(folders.inbox)), folders)
        return self.acting()

    def acting(self) -> list[Pair]:
        """Of the known sets those that this process is to watch now; looks at no disk."""
        for key, folders in self.known.items():
            if self._acts is not None and not self._acts(folders):
                self._made.pop(key, None)
            elif key not in self._made:
                self._made[key] = (folders, [make(path, folders) for path in folders.route.processors])
        return list(self._made.values())


def make(path: str, folders: FolderSet) -> EventProcessor:
    """An event processor by the dotted path of its class (or of any callable that takes a folder set)."""
    processor = load_dotted(path)(folders)
    if not isinstance(processor, EventProcessor):
        expected = f"{EventProcessor.__module__}.{EventProcessor.__qualname__}"
        raise TypeError(f"{path} makes a {type(processor).__name__}; expected {expected}")
    return processor
