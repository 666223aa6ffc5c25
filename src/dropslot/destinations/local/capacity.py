"""What limits how much fits into a folder of this machine: its file system, and quotas on it."""

from __future__ import annotations

import grp
import os
from collections.abc import Iterator

from dropslot.core.fullness import FILE_SYSTEM, Capacity
from dropslot.core.names import escape
from dropslot.destinations.base import Target
from dropslot.files import filesystems, network_mounts, quotas
from dropslot.files.network_mounts import Disk
from dropslot.files.quotas import GROUP, USER, Quota


class Looking:
    """One look at many folders: what is the same for all folders of a file system is asked once."""

    def __init__(self) -> None:
        self._disks: dict[int, Disk] = {}
        self._of_account: dict[int, Quota | None] = {}
        self._limits_groups: dict[int, bool] = {}
        self._numbers: dict[str, int | None] = {}

    def at(self, target: Target) -> list[Capacity]:
        """Of the target, or of the folder above it that exists, down to its fixed part; empty if that is away."""
        path = os.path.normpath(target.url)
        fixed = os.path.normpath(target.fixed)
        while path != fixed and not os.path.isdir(path):
            path = os.path.dirname(path)
        try:
            folder = quotas.open_folder(path)
        except OSError:
            return []
        try:
            return list(self._of(folder, target.rules.group))
        finally:
            os.close(folder)

    def _of(self, folder: int, group: str | None) -> Iterator[Capacity]:
        device = os.fstat(folder).st_dev
        disk = self._disk(device)
        whole = of_disk(folder, disk)
        if project := quotas.project_of(folder):
            whole = whole._replace(what=f"quota of project {project}", id=f"{disk.id} {project}")
        yield whole
        if quota := self._account(folder, device):
            yield _capacity(f"quota of account {os.geteuid()}", disk, "user", quota)
        if group and (quota := self._group(folder, device, group)):
            yield _capacity(f"quota of group {escape(group)}", disk, f"group {group}", quota)
        if filesystems.kind_of(folder) == "btrfs" and (quota := quotas.of_subvolume(folder)):
            yield _capacity("quota of the subvolume", disk, "subvolume", quota)

    def _disk(self, device: int) -> Disk:
        if device not in self._disks:
            self._disks[device] = network_mounts.disk_of(device)
        return self._disks[device]

    def _account(self, folder: int, device: int) -> Quota | None:
        if device not in self._of_account:
            self._of_account[device] = quotas.of_account(folder, USER, os.geteuid())
        return self._of_account[device]

    def _group(self, folder: int, device: int, group: str) -> Quota | None:
        if device not in self._limits_groups:
            self._limits_groups[device] = quotas.is_on(folder, GROUP)
        if not self._limits_groups[device]:
            return None
        number = self._number(group)
        return None if number is None else quotas.of_account(folder, GROUP, number)

    def _number(self, group: str) -> int | None:
        if group not in self._numbers:
            try:
                self._numbers[group] = grp.getgrnam(group).gr_gid
            except (KeyError, ValueError):
                self._numbers[group] = None
        return self._numbers[group]


def of_disk(folder: int | str, disk: Disk) -> Capacity:
    """What its file system says of itself. Raises OSError."""
    said = os.statvfs(folder)
    used, free = (said.f_blocks - said.f_bfree) * said.f_frsize, said.f_bavail * said.f_frsize
    files = said.f_favail if said.f_files else None
    return Capacity(FILE_SYSTEM, disk.id, used, free, said.f_files - said.f_ffree, files, disk.machine)


def _capacity(what: str, disk: Disk, whose: str, quota: Quota) -> Capacity:
    files = None if quota.limit_files is None else max(0, quota.limit_files - quota.used_files)
    free = max(0, quota.limit_bytes - quota.used_bytes)
    where = f"{disk.id} {whose}"
    return Capacity(what, where, quota.used_bytes, free, quota.used_files, files, disk.machine)
