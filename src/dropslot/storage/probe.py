"""What `doctor` wants to know of a folder."""

from __future__ import annotations

import errno
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from dropslot.core.errors import Unsupported
from dropslot.storage import faults, filesystems, folders, syscalls
from dropslot.storage.folders import Folder

_PROBE = ".dropslot-probe-"


@dataclass(frozen=True, slots=True)
class FileSystem:
    """`no_replace` is None when it has no such operation, or when the folder may not be written to."""

    kind: str
    network: bool
    no_replace: str | None
    read_only: bool
    total_bytes: int
    free_bytes: int
    free_items: int | None  # None: no fixed number


def inspect(folder: Path) -> FileSystem:
    """Look at the file system of a folder; leaves nothing behind. Raises DestinationUnready when it is not there."""
    try:
        with Folder.trusted(os.fspath(folder)) as opened:
            disk = os.fstatvfs(opened.fd)
            kind = filesystems.kind_of(opened.fd)
            return FileSystem(
                kind=kind,
                network=filesystems.is_network(kind),
                no_replace=_no_replace(opened),
                read_only=bool(disk.f_flag & os.ST_RDONLY),
                total_bytes=disk.f_blocks * disk.f_frsize,
                free_bytes=disk.f_bavail * disk.f_frsize,
                free_items=disk.f_favail if disk.f_files else None,
            )
    except OSError as error:
        raise faults.at_destination(error, f"looking at {folder}") from error


def _no_replace(folder: Folder) -> str | None:
    name = f"{_PROBE}{secrets.token_hex(4)}"
    try:
        os.mkdir(name, 0o700, dir_fd=folder.fd)
    except OSError:
        return None  # no right to write here: `Destination.check` says it
    try:
        with folder.beneath(name) as ours:
            return str(filesystems.naming_of(ours.fd))
    except Unsupported:
        return None
    finally:
        folders.remove_folder(folder.fd, name)


def rename_trial(inbox: Path, processing: Path) -> str | None:
    """As `try_rename`, in words: None, or the reason why a claim would fail."""
    error = try_rename(inbox, processing)
    if error is None:
        return None
    if error.errno == errno.EXDEV:
        return "they are on different file systems or mounts (in a systemd unit: different ReadWritePaths)"
    return f"{os.strerror(error.errno or 0)} ({errno.errorcode.get(error.errno or 0, error.errno)})"


def try_rename(inbox: Path, processing: Path) -> OSError | None:
    """Rename a folder of our own from one to the other and remove it; what stood in the way.

    Device numbers do not tell: two bind mounts of one file system refuse a rename.
    """
    try:
        with Folder.trusted(os.fspath(inbox)) as first, Folder.trusted(os.fspath(processing)) as second:
            for folder in (first, second):
                folders.remove_unlocked(folder, _PROBE)
            name, probe = folders.make_locked(first, _PROBE)
            with probe:
                try:
                    rename_into(first.fd, name, second.fd, name)
                finally:
                    folders.remove_folder(first.fd, name)
                    folders.remove_folder(second.fd, name)
    except OSError as error:
        return error
    return None


def rename_into(from_folder: int, name: str, to_folder: int, new_name: str) -> None:
    """Rename without replacing where the system can, else a plain rename of a name proved free."""
    try:
        syscalls.rename_no_replace(from_folder, name, to_folder, new_name)
    except OSError as error:
        if error.errno not in filesystems.LACKING:
            raise
        os.rename(name, new_name, src_dir_fd=from_folder, dst_dir_fd=to_folder)


def folds_names(folder: int) -> tuple[bool, bool]:
    """Whether the file system of a private folder of ours folds (case, Unicode normal forms) of names."""
    stem = f"fold-{secrets.token_hex(4)}"
    made, other_case, other_form = f"{stem}-a\u00e9", f"{stem}-A\u00e9", f"{stem}-ae\u0301"
    os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder))
    try:
        return folders.exists(folder, other_case), folders.exists(folder, other_form)
    finally:
        os.unlink(made, dir_fd=folder)
