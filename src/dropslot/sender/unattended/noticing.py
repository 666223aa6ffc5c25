"""Notices that something changes in folders: by the system's events where watchdog is installed, else by looking again
and again."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropslot.sender.engine.control import Control

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

POLL_SECONDS = 30.0
# Events may be missed, and network drives have none: the folders are looked through in any case.
LONGEST_SECONDS = 300.0
_STEP_SECONDS = 0.5


class Notices:
    """`wait` returns when something changed, or when it is time to look in any case."""

    def __init__(self, *, has_events: bool) -> None:
        self._has_events, self._changed = has_events, False

    def on_any_event(self, event: Any) -> None:
        """Called by watchdog, in a thread of its own."""
        self._changed = self._changed or event.event_type not in ("opened", "closed_no_write")

    def wait(self, seconds: float, control: Control) -> None:
        """Wait, at most so long; a change ends an infinite wait. Raises what `control` raises."""
        end = time.monotonic() + min(seconds, LONGEST_SECONDS if self._has_events else POLL_SECONDS)
        while not (self._changed and seconds == math.inf) and (left := end - time.monotonic()) > 0:
            control.wait(min(_STEP_SECONDS, left))
        self._changed = False


@contextmanager
def noticed(folders: Iterable[Path]) -> Iterator[Notices]:
    """Notices of changes at any depth of these folders. One that is missing is looked for again and again, and so are
    all where the system watches no more folders (Linux: fs.inotify.max_user_watches)."""
    if find_spec("watchdog") is None:
        yield Notices(has_events=False)
        return
    from watchdog.events import FileSystemEventHandler
    from watchdog.observers import Observer

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: Any) -> None:
            notices.on_any_event(event)

    observer = Observer()
    scheduled = [_scheduled(observer, Handler(), folder) for folder in folders]
    notices = Notices(has_events=_started(observer) and all(scheduled))
    try:
        yield notices
    finally:
        if observer.is_alive():
            observer.stop()
            observer.join()


def _started(observer: BaseObserver) -> bool:
    try:
        observer.start()
    except OSError:
        return False
    return True


def _scheduled(observer: BaseObserver, handler: Any, folder: Path) -> bool:
    if not folder.is_dir():
        return False
    observer.schedule(handler, str(folder), recursive=True)
    return True
