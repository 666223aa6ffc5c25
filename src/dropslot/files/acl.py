"""POSIX access control lists of open files and folders (acl(5)), as Linux stores them in an extended attribute."""

from __future__ import annotations

import errno
import os
import stat
import struct

_ATTRIBUTE = "system.posix_acl_access"
_VERSION = struct.pack("<I", 2)
_OWNER, _USER, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
_NOBODY = 0xFFFFFFFF
_READ, _ENTER = 4, 1


def is_unsupported(error: OSError) -> bool:
    """Whether the file system has no such lists."""
    return error.errno in (errno.ENOTSUP, errno.ENOSYS)


def let_read_alone(descriptor: int, uid: int) -> None:
    """Only the owner, and the account `uid` for reading, may use this file or folder. The owner may do this without
    other rights. Raises OSError (`is_unsupported`)."""
    is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
    theirs = _READ | (_ENTER if is_folder else 0)
    ours = 7 if is_folder else 6
    entries = ((_OWNER, ours, _NOBODY), (_USER, theirs, uid), (_GROUP, 0, _NOBODY), (_MASK, theirs, _NOBODY))
    packed = b"".join(struct.pack("<HHI", *entry) for entry in (*entries, (_OTHERS, 0, _NOBODY)))
    os.setxattr(descriptor, _ATTRIBUTE, _VERSION + packed)
