"""The file system that a folder is on: its kind, whether changes by other machines raise events there, and which
machines see it."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from typing import NamedTuple

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
    best, kind = b"", ""
    for mount in _mounts():
        # `>=`: a mount on top of another comes later in the file.
        if _contains(mount.point, wanted) and len(mount.point) >= len(best):
            best, kind = mount.point, mount.kind
    return kind


def is_shared(kind: str) -> bool:
    """Whether files may appear without an event: a network or FUSE file system."""
    return kind in _SHARED or kind.startswith("fuse.")


class Disk(NamedTuple):
    """A file system, by an id that no other one has on any machine. `machine` is the only one that sees it; empty: a
    share of a server, which others may have mounted as well."""

    id: str
    machine: str


def disk_of(device: int) -> Disk:
    """The file system with this number (`st_dev`), which on another machine is the number of another one."""
    machine, number = socket.gethostname(), f"{os.major(device)}:{os.minor(device)}"
    for mount in _mounts():
        if mount.number == number and is_shared(mount.kind) and _names_a_server(mount.source):
            return Disk(os.fsdecode(mount.source), "")
    return Disk(f"{machine} {device}", machine)


def _names_a_server(source: bytes) -> bool:
    """Whether it is like `fs.lab:/export` or `//fs.lab/share`. A program's own mount may have any source."""
    return b":/" in source or source.startswith(b"//")


class _Mount(NamedTuple):
    number: str
    point: bytes
    kind: str
    source: bytes


def _mounts() -> Iterator[_Mount]:
    with open("/proc/self/mountinfo", "rb") as mounts:
        for line in mounts:
            before, _, after = line.partition(b" - ")
            number, _, point = before.split(b" ")[2:5]
            kind, source = after.split(b" ")[:2]
            yield _Mount(number.decode("ascii"), _unescaped(point), os.fsdecode(kind), _unescaped(source))


def _contains(mount_point: bytes, path: bytes) -> bool:
    return path == mount_point or path.startswith(mount_point.rstrip(b"/") + b"/")


def _unescaped(text: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), text)
