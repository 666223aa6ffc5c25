"""The kind of a file system, by statfs(2), and its operation that names a file without replacing another."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable, Iterator
from enum import StrEnum

from dropslot.core.context import kept
from dropslot.core.errors import Unsupported
from dropslot.files import syscalls
from dropslot.files.descriptors import FOLDER, Folder, look, remove_folder

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
    RENAME_FILES = "renameat2, files only"
    LINK = "link"  # files only

    @property
    def renames(self) -> bool:
        """Whether files get their names by renameat2(RENAME_NOREPLACE)."""
        return self is not Naming.LINK


def kind_of(folder: int) -> str:
    """`ext4`, `nfs`, …; for an unknown one its magic number in hex."""
    magic = syscalls.file_system_magic(folder)
    return _KINDS.get(magic, hex(magic))


def is_network(kind: str) -> bool:
    """Whether other machines (or a FUSE program) may change it behind the kernel's back."""
    return kind in NETWORK


class Namings(dict[int, Naming]):
    """How files get their names on each file system, by its device number, as a trial showed."""


def is_known(folder: int) -> bool:
    """Whether this process has already found the no-replace operation of this file system."""
    return os.fstat(folder).st_dev in kept(Namings)


def naming_of(folder: int) -> Naming:
    """The no-replace operation of the file system on which `folder`, a private folder of ours, lies.

    Tried once for each file system and process. Raises Unsupported if there is none.
    """
    known, device = kept(Namings), os.fstat(folder).st_dev
    if device not in known:
        known[device] = _try_out(folder)
    return known[device]


def forget(device: int) -> None:
    """Forget the result of the trial: a file system that was mounted since may have the same device number."""
    kept(Namings).pop(device, None)


def _try_out(folder: int) -> Naming:
    if _refuses_and_renames(folder, _make_file):
        whole = _refuses_and_renames(folder, _make_folder)
        return Naming.RENAME if whole else Naming.RENAME_FILES
    if _refuses_and_links(folder):
        return Naming.LINK
    raise Unsupported(
        f"The file system ({kind_of(folder)}) can neither rename without replacing nor make hard links, so an earlier "
        "delivery could be overwritten on it",
        next_step="Deliver to a local disk, NFS, SMB, sshfs or bindfs, or straight to the server behind the mount "
        "with `to: sftp://…`; `rclone mount` and mounted object stores have neither operation",
    )


def _make_file(folder: int, name: str) -> None:
    with open(
        os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder), "wb"
    ) as new:
        new.write(b"x")


def _make_folder(folder: int, name: str) -> None:
    os.mkdir(name, 0o700, dir_fd=folder)


@contextlib.contextmanager
def _trial(folder: int, make: Callable[[int, str], None]) -> Iterator[tuple[int, int]]:
    """Two folders: `new` in the first, `taken` in the second. Some file systems link within one folder only."""
    name = f"probe-{os.getpid()}-{secrets.token_hex(4)}"
    _make_folder(folder, name)
    try:
        with Folder(os.open(name, FOLDER, dir_fd=folder)) as one:
            _make_folder(one.fd, "other")
            with Folder(os.open("other", FOLDER, dir_fd=one.fd)) as two:
                make(one.fd, "new")
                make(two.fd, "taken")
                yield one.fd, two.fd
    finally:
        remove_folder(folder, name)


def _refuses_and_renames(folder: int, make: Callable[[int, str], None]) -> bool:
    """Whether a taken name is refused and a free one is given. Both must be tried: a file system that ignores the flag
    would replace; and for a taken name the kernel itself answers EEXIST before it asks a file system without it."""
    with _trial(folder, make) as (one, two):
        return not _done(syscalls.rename_no_replace, one, "new", two, "taken") and _done(
            syscalls.rename_no_replace, one, "new", two, "free"
        )


def _refuses_and_links(folder: int) -> bool:
    with _trial(folder, _make_file) as (one, two):
        if _done(_link, one, "new", two, "taken"):
            return False
        _done(
            _link, one, "new", two, "free"
        )  # if an NFS server's answer was lost, the repeated request gives EEXIST
        made = look(two, "free")
        return made is not None and made.st_size == 1


def _link(from_folder: int, name: str, to_folder: int, new_name: str) -> None:
    os.link(name, new_name, src_dir_fd=from_folder, dst_dir_fd=to_folder, follow_symlinks=False)


def _done(give: Callable[[int, str, int, str], None], one: int, name: str, two: int, new_name: str) -> bool:
    """Whether the operation gave the name. False: it was taken, or there is no such operation here."""
    try:
        give(one, name, two, new_name)
    except OSError as error:
        if error.errno in (errno.EEXIST, *LACKING, *_NO_LINKS) or _fuse_lacks(error, one):
            return False
        raise
    return True


def _fuse_lacks(error: OSError, folder: int) -> bool:
    """Whether EIO means a missing operation, as in some FUSE programs. If another file can be made, the disk works."""
    if error.errno != errno.EIO or kind_of(folder) != "fuse":
        return False
    _make_file(folder, "another")
    return True


LACKING = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_NO_LINKS = (errno.EPERM, errno.EMLINK, errno.EXDEV)
