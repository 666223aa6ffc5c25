"""Removes files that are proved to be elsewhere: exactly these, and only if unchanged since the proof."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from dropslot.core.errors import SourceChanged
from dropslot.core.names import escape
from dropslot.files import descriptors
from dropslot.files.descriptors import FOLDER, Descent, Folder
from dropslot.files.listing import Item, Listing
from dropslot.files.regular_files import open_regular_in
from dropslot.files.walk import difference


class Emptying:
    """The listed file or folder at `path`. A context manager; follows no link beneath `path`."""

    def __init__(self, path: Path, listing: Listing) -> None:
        if not path.is_absolute():
            raise ValueError(
                f"{path} is not an absolute path: what would be emptied depends on the working directory"
            )
        self._path, self._listing = path, listing
        folder = path if listing.is_folder else path.parent
        self._top = Folder(os.open(folder, FOLDER)) if listing.is_folder else Folder.trusted(str(folder))
        self._descent = Descent(self._top.fd)
        self.device = os.fstat(self._top.fd).st_dev

    def __enter__(self) -> Emptying:
        return self

    def __exit__(self, *_: object) -> None:
        self._descent.close()
        self._top.close()

    def opened(self, item: Item) -> int | None:
        """A descriptor of an item, for reading; None if it is no longer a regular file. Raises OSError."""
        return open_regular_in(self._descent, item.path)

    def remove(self, items: Iterable[Item]) -> list[Item]:
        """Remove these items, then each folder that is empty now. Returns those that were still there.

        Raises SourceChanged at the first item that differs from the listing, OSError if the system refuses. After a
        crash some items are removed, and the rest is unchanged.
        """
        if self._listing.is_folder:
            self._require_there()
        removed = []
        for item in items:
            folder, _, name = item.path.rpartition("/")
            with contextlib.suppress(FileNotFoundError):  # another purge was faster, or somebody took it away
                _remove(self._descent.fd(folder), name, item)
                removed.append(item)
        for path, _time in reversed(self._listing.folders):
            folder, _, name = path.rpartition("/")
            with contextlib.suppress(FileNotFoundError):
                _remove_if_empty(name, self._descent.fd(folder))
        if self._listing.is_folder:
            with contextlib.suppress(FileNotFoundError):
                _remove_if_empty(self._path, None)
        return removed

    def _require_there(self) -> None:
        """Raise SourceChanged if the folder has been moved: where it lies now, somebody may want it."""
        ours = os.fstat(self._top.fd)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.lstat(self._path), ours):
                return
        if ours.st_nlink == 0:
            return  # another purge was faster
        raise SourceChanged(f"{escape(str(self._path))} was moved away")


def _remove(folder: int, name: str, item: Item) -> None:
    seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
    now = Item(item.path, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
    if now != item:
        raise SourceChanged(f"{escape(item.path)} {difference(item, now)} while it was looked at")
    os.unlink(name, dir_fd=folder)


def _remove_if_empty(name: str | Path, folder: int | None) -> None:
    try:
        os.rmdir(name, dir_fd=folder)
    except OSError as error:
        if error.errno not in descriptors.NOT_EMPTY:
            raise
