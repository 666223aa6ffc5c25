"""The kind of file system that a folder is on, and whether changes by other machines raise events there."""

from __future__ import annotations

import os
import re

# inotify reports only changes by this kernel. These file systems are also changed by others: other machines, a
# hypervisor's host, or a user-space program.
_SHARED = frozenset(
    {
        "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "drvfs", "fuse", "fuseblk", "gfs2",
        "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "prl_fs", "smb3", "smbfs",
        "vboxsf", "virtiofs", "vmhgfs",
    }
)  # fmt: skip


def kind_of(path: str) -> str:
    """The type of the file system on which `path` lies, as mount(8) names it (`ext4`, `nfs4`, `fuse.sshfs`).

    Read from /proc/self/mountinfo (proc(5)), which asks no server: a statfs of a dead NFS server would hang.
    """
    wanted = os.fsencode(os.path.realpath(path))
    best, kind = b"", b""
    with open("/proc/self/mountinfo", "rb") as mounts:
        for line in mounts:
            before, _, after = line.partition(b" - ")
            mount_point = _unescaped(before.split(b" ")[4])
            # `>=`: a mount on top of another comes later in the file.
            if _contains(mount_point, wanted) and len(mount_point) >= len(best):
                best, kind = mount_point, after.split(b" ", 1)[0]
    return os.fsdecode(kind)


def is_shared(kind: str) -> bool:
    """Whether files may appear without an event: a network or FUSE file system."""
    return kind in _SHARED or kind.startswith("fuse.")


def _contains(mount_point: bytes, path: bytes) -> bool:
    return path == mount_point or path.startswith(mount_point.rstrip(b"/") + b"/")


def _unescaped(text: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), text)
