"""Moving an arrival between inbox, processing, done and failed: one file system, one rename, nothing replaced."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from dropslot.storage.syscalls import rename_no_replace

_HERE = -100  # AT_FDCWD: paths are absolute
_NOT_THERE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def move(source: Path, target: Path) -> None:
    """Rename `source` to `target`; both are seen by nobody but the service, or the target's folder is.

    Raises FileExistsError when the target is taken (nothing happened), FileNotFoundError when the source is gone.
    """
    try:
        rename_no_replace(_HERE, str(source), _HERE, str(target))
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        _move_on_network(source, target)


def _move_on_network(source: Path, target: Path) -> None:
    # NFS and CIFS have no RENAME_NOREPLACE. The target's folder is the service's own (0700) and names there are
    # ids, or names that a look shows to be free, so that nobody else can take them in between.
    os.lstat(source)  # first, as the system does: what was moved already is gone, not in its own way
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    os.rename(source, target)
