"""Events from inotify: one descriptor for all inboxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from inotify_simple import INotify

from dropslot.watching.file_events import (
    IN_DELETE_SELF,
    IN_EXCL_UNLINK,
    IN_IGNORED,
    IN_MASK_ADD,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_ONLYDIR,
    IN_Q_OVERFLOW,
)

Owner = TypeVar("Owner")

_UNPAIRED = 1000  # how many names that left and did not come again are remembered

_ALWAYS = IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK


class Heard(NamedTuple, Generic[Owner]):
    """One event. `owner` is None for IN_Q_OVERFLOW, which concerns all. `moved_from`: see `events.Event`."""

    owner: Owner | None
    mask: int
    name: str
    moved_from: str | None = None


class Inotify(Generic[Owner]):
    """Watches folders (never below them), each for one or more owners.

    inotify_simple decodes names by os.fsdecode: bytes that are not UTF-8 come surrogate-escaped, as we keep them.
    Raises OSError as inotify(7) says: EMFILE when made, ENOSPC from `watch`.
    """

    def __init__(self) -> None:
        self._inotify = INotify(nonblocking=True)
        self._owners: dict[int, list[Owner]] = {}
        self._left: dict[int, tuple[int, str]] = {}  # cookie of a move to the watch and the name that it left

    def fileno(self) -> int:
        return int(self._inotify.fileno())

    def watch(self, path: str, mask: int, owner: Owner) -> int:
        """Watch the folder `path` and return the watch; the same for owners whose paths lead to the same
        folder.
        """
        # The kernel has one watch for each folder: the second owner's events are added to the first's.
        watch = int(self._inotify.add_watch(path, mask | _ALWAYS | IN_MASK_ADD))
        owners = self._owners.setdefault(watch, [])
        if owner not in owners:
            owners.append(owner)
        return watch

    def unwatch(self, watch: int, owner: Owner) -> None:
        owners = self._owners.get(watch, [])
        if owner in owners:
            owners.remove(owner)
            if not owners:
                del self._owners[watch]
                self._remove(watch)

    def _remove(self, watch: int) -> None:
        try:
            self._inotify.rm_watch(watch)
        except OSError:
            return  # EINVAL: the kernel has removed it together with its folder

    def read(self) -> Iterator[Heard[Owner]]:
        """What has happened since the last call."""
        for watch, mask, cookie, name in self._inotify.read(timeout=0):
            if mask & IN_Q_OVERFLOW:
                yield Heard(None, mask, "")
            moved_from = self._pair(watch, mask, cookie, name)
            for owner in list(self._owners.get(watch, ())):
                yield Heard(owner, mask, name, moved_from)
            if mask & IN_IGNORED:
                self._owners.pop(watch, None)

    def _pair(self, watch: int, mask: int, cookie: int, name: str) -> str | None:
        """The name that an entry had in the same folder. The two halves of a move may be read apart."""
        if mask & IN_MOVED_FROM:
            if len(self._left) >= _UNPAIRED:  # most left for good, such as by our own claims
                del self._left[next(iter(self._left))]
            self._left[cookie] = watch, name
        if not mask & IN_MOVED_TO:
            return None
        left, moved_from = self._left.pop(cookie, (None, None))
        return moved_from if left == watch else None

    def close(self) -> None:
        self._inotify.close()
