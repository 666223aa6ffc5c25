"""Sealing: the service takes over owner and modes of a claimed arrival, so that its sender can change nothing.

Only by descriptors that were opened without following links: a plain recursive chown would follow a sender's
link to someone else's file. See docs/design.md, "Sealing".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from dropslot.core.context import once
from dropslot.core.file_names.litter import Litter
from dropslot.core.names import escape

_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_CAP_CHOWN = 1 << 0


@once
def may_chown() -> bool:
    """Whether this process has CAP_CHOWN (capabilities(7)): root does, and the systemd unit gives it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return os.geteuid() == 0
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) & _CAP_CHOWN)


def take_over(path: Path, device: int, inode: int) -> bool:
    """Make the service the owner of one folder in the inbox, so that it can be moved. False: it is another folder
    now."""
    descriptor = os.open(path, _LOOK)
    try:
        seen = os.fstat(descriptor)
        if (seen.st_dev, seen.st_ino) != (device, inode) or not stat.S_ISDIR(seen.st_mode):
            return False
        _own(descriptor, 0o700)
        return True
    finally:
        os.close(descriptor)


def give_back(path: Path, uid: int) -> None:
    """Give a folder that was taken over for the move back to its sender: until its claim is recorded, only the owner
    shows whose it is."""
    descriptor = os.open(path, _LOOK)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.chown(f"/proc/self/fd/{descriptor}", uid, -1)
    finally:
        os.close(descriptor)


def sender(source: Path, litter: Litter) -> int:
    """The sender: the owner. For a folder that had to be chowned before the move, the owner of its content; without
    litter, which network storage makes under an account of its own."""
    seen = os.lstat(source)
    if seen.st_uid != os.geteuid() or not stat.S_ISDIR(seen.st_mode):
        return seen.st_uid
    with os.scandir(source) as entries:
        sent = (entry for entry in entries if not litter.match(entry.name))
        owners = (entry.stat(follow_symlinks=False).st_uid for entry in sent)
        return next((uid for uid in owners if uid != os.geteuid()), seen.st_uid)


def seal_arrival(path: Path, uid: int, litter: Litter) -> list[str]:
    """Seal a claimed arrival whose sender is `uid`, top down. Returns faults, one sentence each. An entry that
    belongs to neither sender nor service is left alone, and named unless it is litter, which network storage makes as
    root. An entry that the listing refuses stays as it is, so that each later look finds the same. May be repeated;
    does nothing for the service's own files."""
    if uid == os.geteuid() or not may_chown():
        return []
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return list(_Seal((uid, os.geteuid()), litter).entry(parent, path.name, ""))
    finally:
        os.close(parent)


class _Seal:
    def __init__(self, owners: tuple[int, int], litter: Litter) -> None:
        self._owners, self._litter = owners, litter

    def entry(self, parent: int, name: str, prefix: str) -> Iterator[str]:
        """Seal one entry and what is in it. `prefix` leads to it from the folder that holds the arrival."""
        try:
            descriptor = os.open(name, _LOOK, dir_fd=parent)
        except FileNotFoundError:
            return  # the listing that follows shows what is there
        try:
            seen = os.fstat(descriptor)
            path = prefix + name
            if not (stat.S_ISDIR(seen.st_mode) or (stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1)):
                return  # the listing names it as a fault
            is_litter = self._litter.ignores(path.partition("/")[2])
            if seen.st_uid not in self._owners:
                if not is_litter:
                    yield f"{escape(path)} belongs to user {seen.st_uid}, not to the sender"
                return
            if _is_set_id(seen) and not is_litter:
                return  # a change of owner would clear the bits, and nothing would show them after a crash
            _own(descriptor, 0o700 if stat.S_ISDIR(seen.st_mode) else 0o600)
            if stat.S_ISDIR(seen.st_mode):
                yield from self._inside(descriptor, path + "/")
        finally:
            os.close(descriptor)

    def _inside(self, folder: int, prefix: str) -> Iterator[str]:
        if prefix.count("/") > 128:
            return  # the listing refuses such depth
        readable = os.open(f"/proc/self/fd/{folder}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in sorted(os.listdir(readable)):
                yield from self.entry(readable, name, prefix)
        finally:
            os.close(readable)


def _is_set_id(seen: os.stat_result) -> bool:
    return stat.S_ISREG(seen.st_mode) and bool(seen.st_mode & (stat.S_ISUID | stat.S_ISGID))


def _own(descriptor: int, mode: int) -> None:
    # By way of /proc, since fchown and fchmod do not take a descriptor that was opened with O_PATH.
    path = f"/proc/self/fd/{descriptor}"
    seen = os.fstat(descriptor)
    if seen.st_uid != os.geteuid():
        os.chown(path, os.geteuid(), -1)
    if stat.S_IMODE(seen.st_mode) != mode:
        os.chmod(path, mode)
