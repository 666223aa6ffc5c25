"""A file of this PC while it is sent: it must be what was found, before it is read and after it."""

from __future__ import annotations

import os
import stat
import sys

from dropslot.sender.inbox import Outgoing

CHANGED = "it changed while it was sent; it is sent next time"
_OPEN = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_BINARY", "O_CLOEXEC", "O_NOCTTY", "O_NONBLOCK", "O_NOINHERIT")
)


class Unsendable(Exception):
    """This file cannot be sent now; the others can. Its text is the reason, for people."""


def opened(file: Outgoing) -> int:
    """A descriptor of the file, which is as it was when it was found. Raises Unsendable."""
    try:
        descriptor = os.open(file.source, _OPEN)
    except OSError as error:
        raise unreadable(error) from error
    try:
        require_same(file, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def require_same(file: Outgoing, descriptor: int) -> None:
    """Raise Unsendable if it is another file now, or was changed."""
    seen = os.fstat(descriptor)
    if not stat.S_ISREG(seen.st_mode):
        raise Unsendable("it is no longer a regular file")
    if (seen.st_size, seen.st_mtime_ns) != (file.size_bytes, file.mtime_ns):
        raise Unsendable(CHANGED)


def unreadable(error: OSError) -> Unsendable:
    """Why it cannot be read."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Unsendable("it was deleted or renamed before it was sent")
    if isinstance(error, PermissionError):
        locked = " (another program may have locked it)" if sys.platform == "win32" else ""
        return Unsendable(f"it cannot be read: permission denied{locked}")
    return Unsendable(f"it cannot be read: {error.strerror or error}")
