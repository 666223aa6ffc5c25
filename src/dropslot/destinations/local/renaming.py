"""Gives a delivered file another name, by an operation that cannot replace."""

from __future__ import annotations

import errno
import os
import stat

from dropslot.core.errors import DestinationUnready, Unsupported
from dropslot.core.names import escape
from dropslot.destinations.local.publishing import give_name, sync_folder
from dropslot.files import descriptors, faults, filesystems
from dropslot.files.descriptors import Descent, Folder

_PRIVATE = 0o700


def give_other_name(home: Folder, name: str, new: str) -> bool:
    """See `Destination.give_other_name`. Follows no link."""
    old_folder, _, old_name = name.rpartition("/")
    new_folder, _, new_name = new.rpartition("/")
    old, to = Descent(home.fd), Descent(home.fd)
    try:
        seen = _regular(old, old_folder, old_name, name)
        if not seen:
            return False
        _make(home, new_folder)
        _rename(old.fd(old_folder), old_name, to.fd(new_folder), new_name, new)
    except OSError as error:
        raise faults.at_destination(error, f"giving {escape(name)} another name") from error
    finally:
        old.close()
        to.close()
    return True


def _regular(descent: Descent, folder: str, last: str, name: str) -> bool:
    """Whether it is there. Raises Unsupported if it is no regular file."""
    try:
        seen = descriptors.look(descent.fd(folder), last)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        seen = None
    if seen is not None and not stat.S_ISREG(seen.st_mode):
        raise Unsupported(
            f"{escape(name)} is no longer a regular file", next_step="Move it out of the way by hand"
        )
    return seen is not None


def _make(home: Folder, path: str) -> None:
    """Make the missing folders of a path, each synced in the one above."""
    above = ""
    for part in path.split("/") if path else ():
        with home.beneath(above) as folder:
            if descriptors.make(folder.fd, part, _PRIVATE):
                sync_folder(folder.fd)
        above = f"{above}/{part}".lstrip("/")


def _rename(old: int, old_name: str, to: int, new_name: str, new: str) -> None:
    naming = filesystems.naming_of(to)
    if not give_name(naming, old, old_name, to, new_name):
        raise DestinationUnready(f"{escape(new)} is taken", where="Nothing was renamed")
    sync_folder(to)
    # A link has given the new name; the old one goes when that is durable. Nothing but this file has it.
    if (seen := descriptors.look(old, old_name)) and os.path.samestat(seen, os.stat(new_name, dir_fd=to)):
        os.unlink(old_name, dir_fd=old)
    sync_folder(old)
