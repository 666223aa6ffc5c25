"""Events by comparing two listings, where inotify gives none.

Our own, not watchdog's PollingObserver: that one runs a thread for each inbox and one more to dispatch, keys its
snapshots by (inode, device) alone, so that an inode reused for a new file looks like a move (which the `renamed` rule
would take for a complete upload).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dropslot.watching.file_events import (
    IN_ATTRIB,
    IN_CREATE,
    IN_DELETE,
    IN_ISDIR,
    IN_MODIFY,
    IN_MOVED_FROM,
    IN_MOVED_TO,
)


class _Facts(NamedTuple):
    inode: int
    mode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Listings:
    """Remembers the previous listing, and returns the differences as (mask, name, and the name that it was moved
    from). A rename is recognized by an inode under a new name with the same size and mtime: an inode alone may have
    been reused. A rename of a file that was written to in the same second counts as created, so it must become quiet.
    """

    def __init__(self) -> None:
        self._before: dict[str, _Facts] | None = None

    def compare(self, entries: Iterable[os.DirEntry[str]]) -> list[tuple[int, str, str | None]]:
        """What happened since the previous listing: first what went, then what came, then what changed. The first
        listing gives no events: the scan reports what was there.
        """
        before, now = self._before, dict(_facts(entries))
        self._before = now
        if before is None:
            return []
        went = {name: old for name, old in before.items() if name not in now or _replaced(old, now[name])}
        came = {name: new for name, new in now.items() if name not in before or name in went}
        sources = {_identity(old): name for name, old in went.items()}
        moved = {name: sources[_identity(new)] for name, new in came.items() if _identity(new) in sources}
        left = set(moved.values())
        happened = [(IN_MOVED_FROM if name in left else IN_DELETE, name, old) for name, old in went.items()]
        happened += [(IN_MOVED_TO if name in moved else IN_CREATE, name, new) for name, new in came.items()]
        happened += list(_changed(before, now, came))
        return [
            (
                mask | (IN_ISDIR if stat.S_ISDIR(facts.mode) else 0),
                name,
                moved.get(name) if mask == IN_MOVED_TO else None,
            )
            for mask, name, facts in happened
        ]


def _facts(entries: Iterable[os.DirEntry[str]]) -> Iterator[tuple[str, _Facts]]:
    for entry in entries:
        try:
            now = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield entry.name, _Facts(now.st_ino, now.st_mode, now.st_size, now.st_mtime_ns, now.st_ctime_ns)


def _identity(facts: _Facts) -> tuple[int, int, int, int]:
    return facts.inode, stat.S_IFMT(facts.mode), facts.size, facts.mtime_ns


def _replaced(old: _Facts, new: _Facts) -> bool:
    # Some FUSE file systems change their inode numbers: the number alone proves nothing.
    return old.inode != new.inode and (old.size, old.mtime_ns, old.ctime_ns) != (
        new.size,
        new.mtime_ns,
        new.ctime_ns,
    )


def _changed(
    before: dict[str, _Facts], now: dict[str, _Facts], came: dict[str, _Facts]
) -> Iterator[tuple[int, str, _Facts]]:
    for name, new in now.items():
        old = before.get(name)
        if old is None or name in came:
            continue
        if (old.size, old.mtime_ns) != (new.size, new.mtime_ns):
            if not stat.S_ISDIR(new.mode):
                yield IN_MODIFY, name, new
        elif old.ctime_ns != new.ctime_ns:
            yield IN_ATTRIB, name, new
