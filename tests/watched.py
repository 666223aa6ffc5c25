"""Routes, folder sets and a processor that the tests of the watcher share."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dropslot.config import FolderSet, from_mapping
from dropslot.running.stopping import Signal
from dropslot.watching.completion import Completion
from dropslot.watching.entries import Judged
from dropslot.watching.file_events import KINDS, Event
from dropslot.watching.processors import EventProcessor
from dropslot.watching.watcher import System, Watcher
from waiting import wait_until


def folder_set(base: Path, **keys: Any) -> FolderSet:
    """A folder set `r` under `base`, whose inbox is made; without a grace, unless one is given."""
    route = {"folders": "./r", "deliver": [{"to": "./to"}], "grace": 0} | keys
    config = from_mapping({"routes": {"r": route}}, base)
    folders = FolderSet(
        config.routes["r"], {}, *(base / "r" / name for name in ("inbox", "processing", "done", "failed"))
    )
    for folder in (folders.inbox, folders.processing):
        folder.mkdir(parents=True, exist_ok=True)
    return folders


class Taker(EventProcessor):
    """Takes what is complete out of the inbox, as Deliver does, and remembers everything."""

    events = frozenset(KINDS) - {"in_open", "in_access", "in_close_nowrite"}

    def __init__(self, folders: FolderSet) -> None:
        super().__init__(folders)
        self.completion = Completion(folders.route, folders.inbox)
        self.taken: list[Judged] = []
        self.told: list[tuple[float, Event]] = []
        self.scans: list[set[str]] = []
        self.closed = False

    def on_any(self, event: Event) -> None:
        self.told.append((time.monotonic(), event))

    def on_created(self, event: Event) -> None:
        self.completion.noticed(event.name, "created", time.monotonic())

    def on_moved(self, event: Event) -> None:
        self.completion.moved(event.name, event.moved_from, time.monotonic())

    def on_deleted(self, event: Event) -> None:
        self.completion.gone(event.name)

    def on_scan(self, entries: list[os.DirEntry[str]]) -> None:
        self.scans.append({entry.name for entry in entries})
        self.completion.scanned([entry.name for entry in entries], time.monotonic())

    def wake(self) -> float | None:
        return self.completion.next_look()

    def on_wake(self) -> None:
        for judged in self.completion.complete(time.monotonic()):
            try:
                os.rename(self.folders.inbox / judged.name, self.folders.processing / judged.name)
            except FileNotFoundError:
                continue
            self.taken.append(judged)

    def close(self) -> None:
        self.completion.close()
        self.closed = True

    @property
    def names(self) -> set[str]:
        return {judged.name for judged in self.taken}

    def kinds(self, name: str) -> list[str]:
        return [event.kind for _, event in self.told if event.name == name]

    def takes(self, *names: str, deadline_seconds: float = 60) -> None:
        """Wait until it has taken these."""
        wait_until(
            lambda: set(names) <= self.names, deadline_seconds=deadline_seconds, what=f"taking {names}"
        )


@contextmanager
def watching(*processors: EventProcessor, system: System | None = None, **options: Any) -> Iterator[Watcher]:
    """A watcher of these processors' inboxes, in a thread, ready."""
    ready = threading.Event()
    pairs: Sequence[Any] = [(one.folders, [one]) for one in processors]
    watcher = Watcher(pairs, ready=ready.set, system=system, **options)
    stop = Signal()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            watcher.run(stop)
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(60), failed
        yield watcher
    finally:
        stop.set()
        thread.join(60)
        stop.close()
        assert not thread.is_alive()
        assert not failed, failed
