"""What a file system is and can: its kind by statfs(2), and its way of naming a file without replacing one."""

from __future__ import annotations

import errno
import os
from enum import StrEnum

from dropslot.core.errors import Unsupported
from dropslot.storage import syscalls
from dropslot.storage.folders import look

_KINDS = {  # linux/magic.h and the file systems' own sources
    0x6969: "nfs",
    0xFF534D42: "cifs",
    0xFE534D42: "cifs",
    0x517B: "smb",
    0x65735546: "fuse",
    0x01021997: "9p",
    0x00C36400: "ceph",
    0x5346414F: "afs",
    0x6B414653: "afs",
    0x0BD00BD0: "lustre",
    0x47504653: "gpfs",
    0x19830326: "beegfs",
    0x01161970: "gfs2",
    0x7461636F: "ocfs2",
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0x2FC12FC1: "zfs",
    0xF2F52010: "f2fs",
    0xCA451A4E: "bcachefs",
    0x01021994: "tmpfs",
    0x858458F6: "ramfs",
    0x794C7630: "overlay",
    0x4D44: "vfat",
    0x2011BAB0: "exfat",
    0x7366746E: "ntfs",
    0x5346544E: "ntfs",
}
NETWORK = frozenset(
    {"nfs", "cifs", "smb", "fuse", "9p", "ceph", "afs", "lustre", "gpfs", "beegfs", "gfs2", "ocfs2"}
)
WITHOUT_MODES = frozenset({"cifs", "smb", "fuse", "vfat", "exfat", "ntfs", "9p"})


class Naming(StrEnum):
    """How a staged file gets its final name without replacing another one."""

    RENAME = "renameat2"  # files and whole folders, atomic
    LINK = "link"  # files only


def kind_of(folder: int) -> str:
    """`ext4`, `nfs`, …, or the magic number in hex of one that is not known here."""
    magic = syscalls.file_system_magic(folder)
    return _KINDS.get(magic, hex(magic))


def is_network(kind: str) -> bool:
    """Whether other machines (or a FUSE program) may change it behind the kernel's back."""
    return kind in NETWORK


_naming: dict[int, Naming] = {}


def is_known(folder: int) -> bool:
    """Whether the no-replace operation of this file system was tried out by this process before."""
    return os.fstat(folder).st_dev in _naming


def naming_of(folder: int) -> Naming:
    """The no-replace operation of the file system on which `folder`, a private folder of ours, lies.

    Tried out once a file system and process. Raises Unsupported when there is none.
    """
    device = os.fstat(folder).st_dev
    if device not in _naming:
        _naming[device] = _try_out(folder)
    return _naming[device]


def _try_out(folder: int) -> Naming:
    ours = f"probe-{os.getpid()}"
    names = (f"{ours}-a", f"{ours}-b", f"{ours}-c")
    try:
        for name in names[:2]:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder))
        if _refuses_and_renames(folder, *names):
            return Naming.RENAME
        if _refuses_and_links(folder, *names):
            return Naming.LINK
    finally:
        for name in names:
            if look(folder, name):
                os.unlink(name, dir_fd=folder)
    raise Unsupported(
        f"The file system ({kind_of(folder)}) can neither rename without replacing nor make hard links",
        where="Nothing was delivered",
        next_step="Deliver to another file system: on this one an earlier delivery could be overwritten",
    )


def _refuses_and_renames(folder: int, first: str, taken: str, free: str) -> bool:
    """Both halves are tried: a file system that ignores the flag would replace."""
    try:
        syscalls.rename_no_replace(folder, first, folder, taken)
    except OSError as error:
        if error.errno not in (errno.EEXIST, *LACKING):
            raise
        if error.errno != errno.EEXIST:
            return False
    else:
        return False
    syscalls.rename_no_replace(folder, first, folder, free)
    return True


def _refuses_and_links(folder: int, first: str, taken: str, free: str) -> bool:
    source = taken if not look(folder, first) else first
    try:
        os.link(source, free, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (*LACKING, errno.EPERM, errno.EMLINK):
            raise
        return False
    return True


LACKING = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
