"""Makes the data and names of several stagings durable, with as few syncs as the file systems allow.

A sync that failed is never repeated: the kernel may have dropped the pages, and the next sync would succeed.
"""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable, Sequence

from dropslot.destinations.local.staging import Stage
from dropslot.files import faults, syscalls
from dropslot.files.descriptors import Folder

FEW_SYNCS = 16
_NO_SYNC_HERE = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)  # some network file systems, for folders


def sync_staged(stages: Sequence[Stage]) -> None:
    """Data and folders of these stagings are on the disk. Raises StorageFault: stage again."""
    for group in _by_device([stage for stage in stages if stage.unsynced]):
        files = sum(len(stage.kept) for stage in group)
        inner = sum(len(stage.folders) + 1 for stage in group)
        whole = any(s.sync_all for s in group) or (not group[0].network and files + inner > FEW_SYNCS)
        _guarded(group, functools.partial(_whole if whole else _each, group))
        for stage in group:
            stage.unsynced = stage.sync_all = False
            stage.folders.clear()
            while stage.kept:
                os.close(stage.kept.pop())


def _by_device(stages: Sequence[Stage]) -> list[list[Stage]]:
    groups: dict[int, list[Stage]] = {}
    for stage in sorted(stages, key=lambda s: s.opened):
        groups.setdefault(stage.device, []).append(stage)
    return list(groups.values())


def _whole(group: Sequence[Stage]) -> None:
    syscalls.syncfs(group[0].folder.fd)  # opened first: it sees every error since


def _each(group: Sequence[Stage]) -> None:
    for fd in (fd for stage in group for fd in stage.kept):
        syscalls.start_writeback(fd)  # all at once, then wait for each
    for stage in group:
        for fd in stage.kept:
            os.fsync(fd)
        for path in (*reversed(stage.folders), ""):
            with stage.folder.beneath(path) as folder:
                sync_folder(folder.fd)


def sync_folder(fd: int) -> None:
    """fsync of a folder; fine where the file system has none (its names are durable by other means or not at all)."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_SYNC_HERE:
            raise


def sync_names(stages: Sequence[Stage], folders: Sequence[Folder]) -> None:
    """The names in these folders are on the disk. `stages` are those that published into them."""
    by_device: dict[int, dict[int, Folder]] = {}
    for folder in folders:
        seen = os.fstat(folder.fd)
        by_device.setdefault(seen.st_dev, {})[seen.st_ino] = folder
    whole = {group[0].device: group[0] for group in _by_device(stages)}
    for device, distinct in by_device.items():
        stage = whole.get(device)
        if stage and not stage.network and len(distinct) > FEW_SYNCS:
            _guarded(stages, functools.partial(syscalls.syncfs, stage.folder.fd))
        else:
            _guarded(stages, functools.partial(_folders, list(distinct.values())))


def _folders(folders: Sequence[Folder]) -> None:
    for folder in folders:
        sync_folder(folder.fd)


def _guarded(stages: Sequence[Stage], sync: Callable[[], object]) -> None:
    try:
        sync()
    except OSError as error:
        for stage in stages:
            stage.failed = True
        raise faults.sync_failed(error) from error
