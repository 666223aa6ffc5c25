"""Quotas of a local disk: what the kernel keeps of accounts and groups (quotactl(2)), the project that a folder belongs
to, and the quota groups of btrfs. What the kernel does not know, or not tell this account, is left out.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from dropslot.files import syscalls

_GET = 0x800007  # Q_GETQUOTA
_FORMAT = 0x800004  # Q_GETFMT: fails where this kind of quota is off
USER, GROUP = 0, 1
_DQBLK = struct.Struct("=8QI4x")  # struct if_dqblk of linux/quota.h
_BLOCK = 1024

_GET_ATTRIBUTES = 0x801C581F  # FS_IOC_FSGETXATTR of linux/fs.h
_ATTRIBUTES = struct.Struct("=5I8x")
_INHERIT = 0x200  # FS_XFLAG_PROJINHERIT

_INO_LOOKUP, _TREE_SEARCH = 0xD0009412, 0xD0009411  # of linux/btrfs.h
_ARGUMENTS = 4096
_FIRST_INODE, _QUOTA_TREE = 256, 8
_INFO, _LIMIT = 242, 244
_KEY = struct.Struct("=7Q4I32x")
_HEADER = struct.Struct("=3Q2I")
_FIVE = struct.Struct("=5Q")
_ALL = 2**64 - 1


class Quota(NamedTuple):
    """How much somebody, or a folder, has and may have. `files` is None without a limit of their number."""

    used_bytes: int
    limit_bytes: int
    used_files: int = 0
    limit_files: int | None = None


def is_on(folder: int, kind: int) -> bool:
    """Whether the file system of this open folder limits accounts (USER) or groups (GROUP)."""
    return _quotactl(folder, _FORMAT, kind, 0, 4) is not None


def of_account(folder: int, kind: int, number: int) -> Quota | None:
    """What the account or group `number` may have on the file system of this open folder; None: no limit."""
    if (answer := _quotactl(folder, _GET, kind, number, _DQBLK.size)) is None:
        return None
    hard, soft, used, hard_files, soft_files, files, *_ = _DQBLK.unpack(answer)
    limit, limit_files = (hard or soft) * _BLOCK, hard_files or soft_files
    if not limit and not limit_files:
        return None
    # Without a limit of bytes the disk is the limit, which is looked at anyway.
    return Quota(used, limit or 2**63 - 1, files, limit_files or None)


def _quotactl(folder: int, command: int, kind: int, number: int, size: int) -> bytes | None:
    with suppress(OSError):
        return syscalls.quotactl_fd(folder, command << 8 | kind, number, size)
    return None


def project_of(folder: int) -> int:
    """The project that new files in this open folder belong to; 0: none. The size of a folder with a quota of its
    project is what statfs says of it."""
    try:
        attributes = fcntl.ioctl(folder, _GET_ATTRIBUTES, bytes(_ATTRIBUTES.size))
    except OSError:
        return 0
    flags, _, _, project, _ = _ATTRIBUTES.unpack(attributes)
    return int(project) if flags & _INHERIT else 0


def of_subvolume(folder: int) -> Quota | None:
    """The limit of the btrfs subvolume that this open folder is in; None: it has none, it is no btrfs, or this account
    may not see it (CAP_SYS_ADMIN)."""
    try:
        (subvolume,) = struct.unpack_from(
            "=Q", _ask(folder, _INO_LOOKUP, struct.pack("=2Q", 0, _FIRST_INODE))
        )
        for flags, most, most_exclusive in _found(folder, _LIMIT, subvolume):
            for _, referenced, exclusive in _found(folder, _INFO, subvolume, skip=1):
                if flags & 1:
                    return Quota(referenced, most)
                if flags & 2:
                    return Quota(exclusive, most_exclusive)
    except OSError:
        return None
    return None


def _found(folder: int, kind: int, subvolume: int, skip: int = 0) -> Iterator[tuple[int, int, int]]:
    """Three numbers of the item of this kind: limits are flags, bytes, own bytes; usage a generation, bytes and, after
    the compressed size (`skip`), own bytes."""
    key = _KEY.pack(_QUOTA_TREE, 0, 0, subvolume, subvolume, 0, _ALL, kind, kind, 1, 0)
    answer = _ask(folder, _TREE_SEARCH, key)
    if _KEY.unpack_from(answer)[9]:  # how many were found
        numbers = _FIVE.unpack_from(answer, _KEY.size + _HEADER.size)
        yield numbers[0], numbers[1], numbers[2 + skip]


def _ask(folder: int, request: int, arguments: bytes) -> bytearray:
    buffer = bytearray(arguments.ljust(_ARGUMENTS, b"\0"))
    fcntl.ioctl(folder, request, buffer)
    return buffer


def open_folder(path: str) -> int:
    """A descriptor of a folder, for the functions here. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
