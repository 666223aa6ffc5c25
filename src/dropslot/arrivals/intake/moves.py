"""Moving an arrival between inbox, processing, done and failed: on one file system, and nothing is ever replaced."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from dropslot.files.syscalls import rename_no_replace

_HERE = -100  # AT_FDCWD: paths are absolute
_NO_FLAG = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def move(source: Path, target: Path) -> None:
    """Rename `source` to `target`, a name that others may take at any time: a sender in the inbox, another arrival in
    done.

    Raises FileExistsError when the target is taken (nothing happened), also where the file system has no way to be
    sure; FileNotFoundError when the source is gone. After a crash a file may have both names, which the same call then
    mends; before a folder is moved an empty one may be left at `target`.
    """
    if _moved(source, target):
        return
    if stat.S_ISDIR(os.lstat(source).st_mode):
        _move_folder(source, target)
    else:
        _move_by_link(source, target)


def move_to_own(source: Path, target: Path) -> None:
    """As `move`, to a name that is the service's alone: it carries an id, or its folder does."""
    if not _moved(source, target):
        # Many network and FUSE file systems have no RENAME_NOREPLACE. Nobody else wants this name, so a look will do.
        os.lstat(source)  # first, as the system does: what was moved already is gone, not in its own way
        if os.path.lexists(target):
            raise _taken(target)
        os.rename(source, target)


def _moved(source: Path, target: Path) -> bool:
    """False: the file system cannot rename without replacing; nothing happened."""
    try:
        rename_no_replace(_HERE, str(source), _HERE, str(target))
    except OSError as error:
        if error.errno not in _NO_FLAG:
            raise
        return False
    return True


def _move_folder(source: Path, target: Path) -> None:
    """The name is reserved by an empty folder, which only the service may fill: some FUSE programs (`rclone mount`)
    replace a folder with all that is in it."""
    target.mkdir(mode=0o700)
    try:
        os.rename(source, target)
    except OSError as error:
        with suppress(OSError):
            target.rmdir()
        if error.errno in (
            errno.ENOTEMPTY,
            errno.EEXIST,
        ):  # some FUSE programs do not even replace an empty one
            raise _taken(target) from error
        raise


def _move_by_link(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        if not os.path.samestat(os.lstat(source), os.lstat(target)):  # else: linked before a crash
            raise
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _taken(target) from error  # no links either
    os.unlink(source)


def _taken(target: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
