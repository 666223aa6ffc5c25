"""Examines folders, for `doctor`."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from dropslot.core import fullness
from dropslot.files import descriptors, filesystems, syscalls
from dropslot.files.descriptors import Folder

_PROBE = ".dropslot-probe-"


def rename_trial(inbox: Path, processing: Path) -> str | None:
    """Like `try_rename`, in words: None, or the reason why a claim would fail."""
    error = try_rename(inbox, processing)
    if error is None:
        return None
    if error.errno == errno.EXDEV:
        return "they are on different file systems or mounts (in a systemd unit: different ReadWritePaths)"
    return f"{os.strerror(error.errno or 0)} ({errno.errorcode.get(error.errno or 0, error.errno)})"


def try_rename(inbox: Path, processing: Path) -> OSError | None:
    """Rename a folder of our own from one to the other and remove it. Returns the error, or None.

    Device numbers do not suffice: renames between two bind mounts of one file system fail.
    """
    try:
        with Folder.trusted(os.fspath(inbox)) as first, Folder.trusted(os.fspath(processing)) as second:
            for folder in (first, second):
                descriptors.remove_unlocked(folder, _PROBE)
            name, probe = descriptors.make_locked(first, _PROBE)
            with probe:
                try:
                    rename_into(first.fd, name, second.fd, name)
                finally:
                    descriptors.remove_folder(first.fd, name)
                    descriptors.remove_folder(second.fd, name)
    except OSError as error:
        return error
    return None


def rename_into(from_folder: int, name: str, to_folder: int, new_name: str) -> None:
    """Rename without replacing, if the system can; otherwise prove that the name is free, then rename."""
    try:
        syscalls.rename_no_replace(from_folder, name, to_folder, new_name)
    except OSError as error:
        if error.errno not in filesystems.LACKING:
            raise
        os.rename(name, new_name, src_dir_fd=from_folder, dst_dir_fd=to_folder)


def folds_names(folder: int) -> tuple[bool, bool]:
    """Whether the file system of a private folder of ours folds names: (their case, their Unicode normal forms)."""
    stem = f"fold-{secrets.token_hex(4)}"
    made, other_case, other_form = f"{stem}-a\u00e9", f"{stem}-A\u00e9", f"{stem}-ae\u0301"
    os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder))
    try:
        return descriptors.exists(folder, other_case), descriptors.exists(folder, other_form)
    finally:
        os.unlink(made, dir_fd=folder)


def percent_full(folder: str) -> int:
    """How full the file system of a folder is."""
    disk = os.statvfs(folder)
    return fullness.percent_full(disk.f_blocks, disk.f_bfree, disk.f_bavail)
