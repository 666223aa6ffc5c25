"""The remedy when a file or folder of the installation cannot be used, by the kind of error."""

from __future__ import annotations

import errno
import os
import pwd
import sys
from pathlib import Path

from dropslot.core.names import escape

_BROKEN = frozenset({errno.EIO, errno.EBADMSG, errno.ENODATA, errno.EILSEQ})
if sys.platform == "linux":  # others have no such errors
    _BROKEN |= {errno.EREMOTEIO, errno.EUCLEAN}
_GONE = frozenset({errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENODEV, errno.ENXIO})


def remedy_for(error: OSError, path: Path) -> str:
    """What to do about `error`, which a system call on `path` gave; a sentence without its full stop, or empty."""
    number = error.errno or 0
    if number == errno.EROFS:
        return _read_only(path)
    if number == errno.ENOSPC:
        return f"The disk is full: free space (`df -h {_named(path)}`; when it has room, `df -i`)"
    if number == errno.EDQUOT:
        return "The quota of this account is used up: free space, or have it raised"
    if number in _BROKEN:
        return "The disk or its file system has a fault: look at the kernel's log (`dmesg`)"
    if number in _GONE:
        return f"The disk of {_named(path)} is not mounted: mount it again"
    if number in (errno.EACCES, errno.EPERM):
        return _denied(number, path)
    if number in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
        return _in_the_way(path)
    if number == errno.EEXIST:
        return "Nothing is overwritten: choose another name, or move away what is there"
    if number in (errno.EMFILE, errno.ENFILE):
        return "Too many files are open: raise the limit (LimitNOFILE in the systemd unit, `ulimit -n`)"
    return ""


def in_words(error: OSError, path: Path) -> str:
    """What the system said, and what to do about it."""
    remedy = remedy_for(error, path)
    said = error.strerror or str(error)
    return f"{said}. {remedy}" if remedy else said


def account_of(uid: int) -> str:
    """The name of an account; its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _read_only(path: Path) -> str:
    point = _mount_point(path)
    return (
        f"The file system at {_named(point)} is mounted read-only. A disk fault may be the cause (`dmesg`). Then run:"
        f" mount -o remount,rw {_named(point)}"
    )


def _mount_point(path: Path) -> Path:
    for parent in (path, *path.parents):
        if os.path.ismount(parent):
            return parent
    return Path("/")


def _denied(number: int, path: Path) -> str:
    for each in (*reversed(path.parents), path):
        try:
            seen = os.stat(each)
        except FileNotFoundError:
            break
        except OSError:
            continue
        closed = each
        if not os.access(each, os.X_OK if each.is_dir() else os.R_OK | os.W_OK):
            break
    else:
        closed = path
    try:
        seen = os.stat(closed)
    except OSError:
        return ""
    here, owner = account_of(os.geteuid()), account_of(seen.st_uid)
    if seen.st_uid == os.geteuid():
        if number == errno.EPERM or seen.st_mode & 0o700 == 0o700:
            return f"{_named(closed)} is {here}'s own; see what protects it: `lsattr -d {_named(closed)}`, `getfacl`"
        return f"{_named(closed)} cannot be entered by its own account: chmod u+rwX {_named(closed)}"
    if closed != Path(closed.anchor) and os.stat(closed.parent).st_uid == os.geteuid():
        return f"{_named(closed)} is {owner}'s in a folder of {here}'s: as root run chown -R {here} {_named(closed)}"
    return f"{_named(closed)} is {owner}'s, and this is {here}: run it as {owner} (sudo -u {owner} -H dropslot ...)"


def _in_the_way(path: Path) -> str:
    for each in (*reversed(path.parents), path):
        if os.path.islink(each) and not os.path.exists(each):
            return f"{_named(each)} is a link to nothing: correct it, or mount the disk that it points to"
        if not os.path.lexists(each):
            return f"{_named(each)} is missing: mount its disk, or make it"
        if each != path and not os.path.isdir(each):
            return f"{_named(each)} is not a folder: move it away"
    if os.path.islink(path):
        return f"{_named(path)} is a link, which dropslot does not follow: put the file itself there"
    return ""


def _named(path: Path) -> str:
    return escape(str(path))
