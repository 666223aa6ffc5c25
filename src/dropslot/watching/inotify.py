"""Events from inotify: one descriptor for all inboxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from inotify_simple import INotify

from dropslot.watching.events import (
    IN_DELETE_SELF,
    IN_EXCL_UNLINK,
    IN_IGNORED,
    IN_MASK_ADD,
    IN_MOVE_SELF,
    IN_ONLYDIR,
    IN_Q_OVERFLOW,
)

Owner = TypeVar("Owner")

_ALWAYS = IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK


class Inotify(Generic[Owner]):
    """Watches folders (never below them), each for one or more owners.

    inotify_simple decodes names by os.fsdecode: bytes that are no UTF-8 come surrogate-escaped, which is how
    we keep them. Raises OSError as inotify(7) says: EMFILE when made, ENOSPC from `watch`.
    """

    def __init__(self) -> None:
        self._inotify = INotify(nonblocking=True)
        self._owners: dict[int, list[Owner]] = {}

    def fileno(self) -> int:
        return int(self._inotify.fileno())

    def watch(self, path: str, mask: int, owner: Owner) -> int:
        """Watch the folder `path` and return the watch; the same for owners whose paths lead to the same
        folder.
        """
        # The kernel has one watch a folder: the second owner's events are added, not put in place of the
        # first's.
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

    def read(self) -> Iterator[tuple[Owner | None, int, str]]:
        """What has happened: owner, mask, name. The owner is None for IN_Q_OVERFLOW, which concerns all."""
        for watch, mask, _cookie, name in self._inotify.read(timeout=0):
            if mask & IN_Q_OVERFLOW:
                yield None, mask, ""
            for owner in list(self._owners.get(watch, ())):
                yield owner, mask, name
            if mask & IN_IGNORED:
                self._owners.pop(watch, None)

    def close(self) -> None:
        self._inotify.close()
