"""A read lease on a source: while it is read, nobody has it open for writing or can open it for writing (fcntl(2),
"Leases").

A sender that opened a file before the seal can still write to it. A comparison afterwards sees such a write by its
ctime, but not every store into a mapped page; the lease is refused while any writer has the file, a mapping
included.
"""

from __future__ import annotations

import errno
import fcntl
import signal

from dropslot.core.errors import SourceUnready
from dropslot.core.names import escape

_SETSIG = 10  # F_SETSIG, which the fcntl module does not have


def take(fd: int, path: str) -> bool:
    """Lease an open item until its descriptor is closed. False: there is none to be had (another owner and no
    CAP_LEASE, or a file system without). Raises SourceUnready while a program has the item open for writing."""
    try:
        # Else whoever opens it for writing now would end this process: that is what SIGIO does. SIGURG is ignored.
        fcntl.fcntl(fd, _SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno != errno.EAGAIN:
            return False
        raise SourceUnready(
            f"{escape(path)} is still open for writing in some program",
            where="Nothing of the arrival was delivered; it waits in processing",
            next_step="It is retried, and goes on when that program has closed the file",
        ) from error
    return True
