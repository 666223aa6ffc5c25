"""Looks through a folder of this PC: one listing a folder, one stat a file, no link followed."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from dropslot.sender.ledger.known_contents import Known
from dropslot.sender.local_paths import reachable, shown_path
from dropslot.sender.new_files.name_filter import Rules
from dropslot.sender.plan import LeftFile, NewFile, Watcher
from dropslot.sender.presets.preset import Folder

_WINDOWS = sys.platform == "win32"
_JUNCTION = 0xA0000003  # IO_REPARSE_TAG_MOUNT_POINT
_NO_TEXT = "the path has characters that are not valid Unicode: rename the folder or file, then send again"
_MISSING = "it is not there. Is a disk or network drive missing?"


class Walk:
    """What was found so far: `files` with their paths in the arrival, how many others are `known` by their size and
    time, and what cannot be sent."""

    def __init__(self, known: Known, watcher: Watcher) -> None:
        self.files: list[NewFile] = []
        self.left: list[LeftFile] = []
        self.known = 0
        self._known = known
        self._but_not: frozenset[str] = frozenset()
        self._watcher = watcher

    def add(self, folder: Folder, exclude: Iterable[str] = (), but_not: frozenset[str] = frozenset()) -> None:
        """Look through a folder of a preset, or at one file. The folder itself may be a link. What was sent to the
        subfolders `but_not` alone is not known."""
        self._but_not = but_not
        root = os.path.abspath(folder.path)
        if not _is_text(root):
            self._leave(root, folder.subfolder, "name", _NO_TEXT)
            return
        try:
            found = os.stat(reachable(root))
        except OSError as error:
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            why = _MISSING if missing else f"{error.strerror}"
            self._leave(root, folder.subfolder, "missing" if missing else "unreadable", why)
            return
        if stat.S_ISDIR(found.st_mode):
            self._look_through(root, folder.subfolder, Rules(folder, tuple(exclude)))
        else:
            name = os.path.basename(root)
            path = f"{folder.subfolder}/{name}" if folder.subfolder else name
            self._add_file(reachable(root), path, found)

    def _look_through(self, root: str, subfolder: str, rules: Rules) -> None:
        start = len(subfolder) + 1 if subfolder else 0
        folders = [(root, f"{subfolder}/" if subfolder else "")]
        while folders:
            place, prefix = folders.pop()
            self._watcher.check()
            folders += self._look_at(place, prefix, start, rules)
            self._watcher.looked(len(self.files) + self.known)

    def _look_at(self, place: str, prefix: str, start: int, rules: Rules) -> list[tuple[str, str]]:
        """Add the files of one folder; returns the folders in it."""
        try:
            with _entries(reachable(place)) as entries:
                return self._judge(self._kept(entries, prefix[start:], rules), place, prefix, start, rules)
        except OSError as error:
            why = f"the folder cannot be opened: {error.strerror}"
            self._leave(place, prefix.rstrip("/"), "unreadable", why)
            return []

    def _judge(
        self, entries: Iterable[os.DirEntry[str]], place: str, prefix: str, start: int, rules: Rules
    ) -> list[tuple[str, str]]:
        folders: list[tuple[str, str]] = []
        base = place.rstrip(os.sep)
        # For 100,000 known files each call here counts: one stat, one look into a small dictionary, and no more.
        look_up, is_regular, includes_all = (
            self._known.within(base, self._but_not).get,
            stat.S_ISREG,
            rules.includes_all,
        )
        known = 0
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
                name = entry.name
                if look_up(name) == (found.st_size, found.st_mtime_ns) and is_regular(found.st_mode):
                    known += 1
                elif entry.is_dir(follow_symlinks=False) and not (_WINDOWS and _is_junction(entry)):
                    folders.append((f"{base}{os.sep}{name}", f"{prefix}{name}/"))
                elif includes_all or rules.includes(prefix[start:] + name):
                    self._add_file(reachable(f"{base}{os.sep}{name}"), prefix + name, found)
            except OSError as error:
                why = f"it cannot be looked at: {error.strerror}"
                self._leave(f"{base}{os.sep}{entry.name}", prefix + entry.name, "unreadable", why)
        self.known += known
        return folders

    @staticmethod
    def _kept(entries: list[os.DirEntry[str]], path: str, rules: Rules) -> list[os.DirEntry[str]]:
        if rules.excludes_some([entry.name for entry in entries]):
            return [entry for entry in entries if not rules.excludes(path + entry.name)]
        return entries

    def _add_file(self, source: str, path: str, found: os.stat_result) -> None:
        if self._known.get(source, self._but_not) == (found.st_size, found.st_mtime_ns):
            self.known += 1
        elif stat.S_ISREG(found.st_mode):
            self.files.append(NewFile(source, path, found.st_size, found.st_mtime_ns))
        else:
            self._leave_other(source, path, found.st_mode)

    def _leave_other(self, source: str, path: str, mode: int) -> None:
        if stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode):
            why = "it is a link, and links are not followed. Exclude it, or put the file itself there"
            self._leave(source, path, "link", why)
        else:
            self._leave(
                source, path, "special", "it is a pipe, socket or device, not a regular file. Exclude it"
            )

    def _leave(self, source: str, path: str, kind: str, why: str) -> None:
        self.left.append(LeftFile(source, path, kind, f"{shown_path(source)}: {why}"))


def _is_text(path: str) -> bool:
    """Whether the ledger can keep a path: bytes that are no UTF-8, or half a character of Windows, it cannot."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _entries(place: str) -> Iterator[list[os.DirEntry[str]]]:
    """What is in a folder. Where the system can, by a descriptor: each stat is then spared the way to the folder."""
    if os.scandir not in os.supports_fd:
        with os.scandir(place) as found:
            yield list(found)
        return
    descriptor = os.open(place, os.O_RDONLY)
    try:
        with os.scandir(descriptor) as found:
            entries = list(found)
        yield entries
    finally:
        os.close(descriptor)


def _is_junction(entry: os.DirEntry[str]) -> bool:
    """A folder of Windows that stands for another one."""
    if sys.platform != "win32":
        return False
    return entry.stat(follow_symlinks=False).st_reparse_tag == _JUNCTION
