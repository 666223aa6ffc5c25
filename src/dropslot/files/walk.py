"""Lists an arrival by folder descriptors, without following links."""

from __future__ import annotations

import operator
import os
import stat
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from dropslot.core.file_names import litter
from dropslot.core.file_names.litter import Litter
from dropslot.core.names import LIMIT_BYTES, escape, fault_of_marks, fault_of_name, size_bytes
from dropslot.files import faults
from dropslot.files.descriptors import FOLDER
from dropslot.files.listing import Item, Listing, without_collection

MAX_DEPTH = 100
MAX_PATH_BYTES = 3_500  # PATH_MAX is 4,096; the rest is for the destination's own path
MAX_FAULTS = 1_000

_KIND = stat.S_IFMT(0o177777) | stat.S_ISUID | stat.S_ISGID
_name = operator.attrgetter("name")
_path = operator.itemgetter(0)
_SPECIAL = {
    stat.S_IFLNK: "is a symbolic link",
    stat.S_IFIFO: "is a FIFO",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFBLK: "is a block device",
    stat.S_IFCHR: "is a character device",
}


def list_arrival(path: Path, ignored: Litter = litter.NONE) -> Listing:
    """The listing of `path`: one regular file, or a folder with all its contents.

    Items are sorted by name, folder by folder; a folder's own items come before those of its folders. Only folders are
    opened. Entries that match `ignored` are named, whatever they are, and never opened. Direction marks in names are
    not faults here: the route decides (`marked`).

    Raises SourceChanged if `path` is gone or a folder is swapped meanwhile, StorageFault on EIO.
    """
    return _walked(path, [], ignored)


def _walked(path: Path, items: list[Item], ignored: Litter) -> Listing:
    text = os.fspath(path)
    try:
        seen = os.lstat(text)
    except OSError as error:
        raise faults.at_source(error, os.path.basename(text)) from error
    walk = _Walk(seen.st_dev, Listing(is_folder=stat.S_ISDIR(seen.st_mode), items=items, litter=ignored))
    if walk.listing.is_folder:
        with without_collection():
            walk.folder(text)
    else:
        walk.file(text, seen)
    return walk.finish()


def marked(listing: Listing) -> list[str]:
    """A sentence for each name that contains a direction mark; at most MAX_FAULTS."""
    paths = (
        path for path in chain(map(_path, listing.folders), map(_path, listing.items)) if not path.isascii()
    )
    found = (
        f"{escape(path)}: {fault}" for path in paths if (fault := fault_of_marks(path.rpartition("/")[2]))
    )
    return list(islice(found, MAX_FAULTS))


def changed(path: Path, listing: Listing) -> list[str]:
    """A sentence for each difference between `listing` and `path` as it is now.

    It compares names, kinds, sizes, mtime, ctime and inodes of items, and names of folders, but no ignored entries.
    """
    expected = _Expected(listing.items)
    now = _walked(path, expected, listing.litter)
    if expected.all_came() and _folders(now) == _folders(listing) and now.faults == listing.faults:
        return []
    return list(_differences(listing, list_arrival(path, listing.litter))) or [
        "something in it changed while it was read"
    ]


class _Expected(list[Item]):
    """Compares appended items with the expected ones and does not keep them: 100,000 items take 30 MB."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._left = iter(items)
        self._alike = True

    def append(self, item: Item) -> None:
        self._alike = self._alike and item == next(self._left, None)

    def all_came(self) -> bool:
        """Whether each item was the expected one, and none is missing."""
        return self._alike and next(self._left, None) is None


def _folders(listing: Listing) -> list[str]:
    return [path for path, _time in listing.folders]


def _differences(before: Listing, now: Listing) -> Iterator[str]:
    old = {item.path: item for item in before.items}
    for item in now.items:
        was = old.pop(item.path, None)
        if was is None:
            yield f"{escape(item.path)} was added"
        elif was != item:
            yield f"{escape(item.path)} {difference(was, item)}"
    yield from (f"{escape(path)} was removed" for path in old)
    folders, folders_now = {f[0] for f in before.folders}, {f[0] for f in now.folders}
    yield from (f"folder {escape(path)} was added" for path in sorted(folders_now - folders))
    yield from (f"folder {escape(path)} was removed" for path in sorted(folders - folders_now))
    yield from sorted(set(now.faults) - set(before.faults))


def difference(was: Item, now: Item) -> str:
    """How one item differs from its listing."""
    if was.inode != now.inode:
        return "was replaced by another file"
    if was.size_bytes != now.size_bytes:
        verb = "grew" if now.size_bytes > was.size_bytes else "shrank"
        return f"{verb} from {was.size_bytes:,} to {now.size_bytes:,} bytes"
    return "was written to (its time changed)"


class _Walk:
    def __init__(self, device: int, listing: Listing) -> None:
        self.listing = listing
        self.device = device
        self.faults = 0
        self.uid = os.geteuid()
        self.gids = {os.getegid(), *os.getgroups()}

    def finish(self) -> Listing:
        if (more := self.faults - MAX_FAULTS) > 0:
            self.listing.faults.append(f"and {more:,} more faults")
        return self.listing

    def fault(self, path: str, why: str) -> None:
        self.faults += 1
        if self.faults <= MAX_FAULTS:
            self.listing.faults.append(f"{escape(path)}: {why}")

    def file(self, text: str, seen: os.stat_result) -> None:
        """Add an arrival that is not a folder."""
        name = os.path.basename(text)
        self.take(name, name, seen)
        if self.listing.items and not self._may_read(seen) and not _access(text, None):
            self.listing.unreadable.append(name)

    def folder(self, text: str) -> None:
        """Walk the whole tree depth first with an explicit stack: (path, names of folders still to enter, fd)."""
        stack: list[tuple[str, list[str], int]] = []
        try:
            self._enter(stack, "", text, None)
            while stack:
                path, inner, fd = stack[-1]
                if inner:
                    name = inner.pop()
                    self._enter(stack, f"{path}/{name}" if path else name, name, fd)
                else:
                    stack.pop()
                    os.close(fd)
        finally:
            for _path, _inner, fd in stack:
                os.close(fd)

    def _enter(
        self, stack: list[tuple[str, list[str], int]], path: str, name: str, parent: int | None
    ) -> None:
        try:
            fd = os.open(name, FOLDER, dir_fd=parent)
        except PermissionError:
            self.listing.unreadable.append(path or os.path.basename(name))
            return
        except OSError as error:
            raise faults.at_source(error, path or os.path.basename(name)) from error
        stack.append((path, [], fd))
        seen = os.fstat(fd)
        if seen.st_dev != self.device:
            self.fault(path, "is on another file system (something is mounted there)")
            return
        if path:
            self.listing.folders.append((path, seen.st_mtime_ns))
        try:
            stack[-1][1].extend(self._scan(path, fd, deep=len(stack) > MAX_DEPTH))
        except PermissionError:
            self.listing.unreadable.append(path or os.path.basename(name))
        except OSError as error:
            raise faults.at_source(error, path) from error

    def _scan(self, path: str, fd: int, *, deep: bool) -> list[str]:
        """List one folder's items; returns its folders, last first."""
        prefix = f"{path}/" if path else ""
        room = MAX_PATH_BYTES - size_bytes(prefix)
        with os.scandir(fd) as scan:
            entries = sorted(scan, key=_name)
        names = [entry.name for entry in entries]
        if self.listing.litter.may_be_among(path, names):
            entries = self._without_litter(prefix, entries)
        # Check all names together, and do one test for each common item: 100,000 items take a third of a second.
        plain = room > LIMIT_BYTES and _all_plain(names)
        folders = []
        add, new, device, uid, root = (
            self.listing.items.append,
            tuple.__new__,
            self.device,
            self.uid,
            self.uid == 0,
        )
        for entry in entries:
            name = entry.name
            try:
                seen = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone between two calls: the copy or `changed` notices it if it matters
            mode = seen.st_mode
            if (
                plain
                and mode & _KIND == stat.S_IFREG
                and seen.st_nlink == 1
                and seen.st_dev == device
                and (root or (seen.st_uid == uid and mode & stat.S_IRUSR))
            ):
                add(new(Item, (prefix + name, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)))
            elif not stat.S_ISDIR(mode):
                self.take(prefix + name, name, seen, room, fd)
            elif self._may_enter(prefix + name, name, room, deep=deep):
                folders.append(name)
        folders.reverse()
        return folders

    def _without_litter(self, prefix: str, entries: list[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
        wanted = []
        for entry in entries:
            if self.listing.litter.ignores(prefix + entry.name):
                self.listing.ignored.append(prefix + entry.name)
            else:
                wanted.append(entry)
        return wanted

    def _may_enter(self, path: str, name: str, room: int, *, deep: bool) -> bool:
        if why := fault_of_name(name, marks=True):
            self.fault(path, why)
        elif size_bytes(name) > room:
            self.fault(path[:80] + "…", f"the path has more than {MAX_PATH_BYTES:,} bytes")
        elif deep:
            self.fault(path, f"is more than {MAX_DEPTH} folders deep")
        else:
            return True
        return False

    def take(
        self,
        path: str,
        name: str,
        seen: os.stat_result,
        room: int = MAX_PATH_BYTES,
        folder: int | None = None,
    ) -> None:
        """Judge one entry that is not a folder."""
        mode = seen.st_mode
        if why := _SPECIAL.get(stat.S_IFMT(mode)) or fault_of_name(name, marks=True):
            self.fault(path, why)
        elif seen.st_nlink != 1:
            self.fault(path, f"has {seen.st_nlink} hard links; it may be somebody else's file")
        elif mode & (stat.S_ISUID | stat.S_ISGID):
            self.fault(path, "has a setuid or setgid bit")
        elif size_bytes(name) > room:
            self.fault(path[:80] + "…", f"the path has more than {MAX_PATH_BYTES:,} bytes")
        elif seen.st_dev != self.device:
            self.fault(path, "is on another file system (something is mounted there)")
        else:
            self._add(path, name, seen, folder)

    def _add(self, path: str, name: str, seen: os.stat_result, folder: int | None) -> None:
        if folder is not None and not self._may_read(seen) and not _access(name, folder):
            self.listing.unreadable.append(path)
        item = Item(path, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
        self.listing.items.append(item)

    def _may_read(self, seen: os.stat_result) -> bool:
        """Whether the mode bits allow reading. An ACL may differ; `_access` or the copy finds that out."""
        if seen.st_uid == self.uid:
            return bool(seen.st_mode & stat.S_IRUSR)
        return bool(seen.st_mode & (stat.S_IRGRP if seen.st_gid in self.gids else stat.S_IROTH))


def _all_plain(names: list[str]) -> bool:
    """Whether every name is short, printable ASCII that needs no closer look."""
    text = "".join(names)
    return text.isascii() and text.isprintable() and all(len(n) <= LIMIT_BYTES and n[0] != "." for n in names)


def _access(name: str, folder: int | None) -> bool:
    return os.access(name, os.R_OK, dir_fd=folder, effective_ids=True, follow_symlinks=False)
