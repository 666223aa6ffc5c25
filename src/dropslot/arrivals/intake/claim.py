"""The claim: a rename from inbox into processing that cannot replace, under an id that tells when the arrival was
dropped. Its row follows.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from ulid import ULID

from dropslot.arrivals import whereabouts
from dropslot.arrivals.intake import seal
from dropslot.config.route_folders import FolderSet
from dropslot.core.errors import SourceUnready, StorageFault
from dropslot.core.file_names.litter import Litter
from dropslot.core.names import escape
from dropslot.files import filesystems
from dropslot.files.descriptors import Folder
from dropslot.files.syscalls import rename_no_replace
from dropslot.files.walk import list_arrival
from dropslot.watching.entries import Judged

WRITABLE = (
    "let senders make their folders inside the inbox with umask 002, or chgrp them to a group that the service is in,"
    " and chmod g+w (a folder that was made elsewhere and moved in keeps its own group)"
)
REMEDY = f"Give the service CAP_CHOWN (the systemd unit does), or {WRITABLE}"


@dataclass(frozen=True, slots=True)
class Claim:
    """An entry that was taken from an inbox and is now in processing. `size_bytes` is None for a folder; `dropped_at`
    is None if the id contains it."""

    id: str
    folders: FolderSet
    name: str
    is_folder: bool
    uid: int
    size_bytes: int | None
    received_at: datetime
    evidence: dict[str, str] = field(default_factory=dict)
    dropped_at: datetime | None = None
    epoch: int = 0  # more only if the row was lost after work had begun


def new_id() -> str:
    """A new arrival id for an entry that is read in place: a ULID of now."""
    return str(ULID())


def claim_arrival(
    folders: FolderSet, judged: Judged, arrival: str, is_unused: Callable[[], bool] = lambda: True
) -> Claim | None:
    """Take an entry that was judged complete. None: it vanished, another process claimed it, or it is not the judged
    one any more (then it stays in the inbox). `is_unused` says whether the id is still free; it is called when no
    other process can begin to use it. Raises SourceUnready when the service may not take it yet. After a crash the
    entry is in the inbox or in processing/ID-1/, where recovery finds it.
    """
    holding = whereabouts.held(folders, arrival, 1)
    source, taken = folders.inbox / judged.name, holding / judged.name
    _look_before(source, judged, folders.route.litter)
    holding.mkdir(mode=0o700)
    try:
        if not is_unused():
            return None
        _move(source, taken, judged)
        if _is_judged(taken, judged):
            return _claimed(arrival, folders, judged, taken)
        _put_back(taken, source)
    except (FileNotFoundError, FileExistsError):
        return None
    finally:
        with suppress(OSError):  # not empty: it holds the claim
            holding.rmdir()
    return None


def _claimed(arrival: str, folders: FolderSet, judged: Judged, taken: Path) -> Claim:
    size = None if judged.is_folder else judged.size_bytes
    # A folder of the service's own may have been taken over by a process that was killed before it moved it.
    seems_ours = judged.is_folder and judged.uid == os.geteuid()
    uid = seal.sender(taken, folders.route.litter) if seems_ours else judged.uid
    return Claim(arrival, folders, judged.name, judged.is_folder, uid, size, datetime.now(UTC))


def _look_before(source: Path, judged: Judged, litter: Litter) -> None:
    """Without privilege, an entry that cannot be read completely must stay where its sender can fix it."""
    if judged.uid == os.geteuid() or seal.may_chown():
        return
    unreadable = list_arrival(source, litter).unreadable
    if unreadable:
        raise SourceUnready(
            f"{escape(judged.name)} cannot be read by the service: {unreadable[0]}",
            where="It stays in the inbox, untouched",
            next_step=REMEDY,
        )


def _move(source: Path, taken: Path, judged: Judged) -> None:
    try:
        move_to_own(source, taken)
    except PermissionError:
        # Moving a folder to another parent needs write permission on the folder itself.
        if not (
            judged.is_folder and seal.may_chown() and seal.take_over(source, judged.device, judged.inode)
        ):
            raise _unready(judged) from None
        move_to_own(source, taken)
        seal.give_back(taken, judged.uid)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EEXIST):
            raise
        raise StorageFault(
            f"{escape(judged.name)} could not be moved into processing: {error.strerror}",
            where="It stays in the inbox",
            next_step="inbox and processing must be on one file system; it is retried",
        ) from error


def _unready(judged: Judged) -> SourceUnready:
    return SourceUnready(
        f"{escape(judged.name)} cannot be moved by the service (its owner is user {judged.uid})",
        where="It stays in the inbox, untouched",
        next_step=REMEDY,
    )


def _is_judged(taken: Path, judged: Judged) -> bool:
    seen = os.lstat(taken)
    if (seen.st_dev, seen.st_ino) == (judged.device, judged.inode):
        return True
    alike = stat.S_ISDIR(seen.st_mode) if judged.is_folder else seen.st_size == judged.size_bytes
    return alike and _numbers_anew(taken)


def _numbers_anew(taken: Path) -> bool:
    """Some FUSE programs (`rclone mount`) give a file another inode number with each name."""
    with Folder.trusted(os.fspath(taken.parent)) as folder:
        return filesystems.kind_of(folder.fd) == "fuse"


def _put_back(taken: Path, source: Path) -> None:
    """Another entry took the name between the look and the rename. If that name is taken again by now, the entry
    stays in processing: recovery adopts it, nothing is lost."""
    with suppress(FileExistsError):
        move(taken, source)


_HERE = -100  # AT_FDCWD: paths are absolute
_NO_FLAG = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def move(source: Path, target: Path) -> None:
    """Rename `source` to `target`, a name that others may take at any time: a sender in the inbox, another arrival in
    done.

    Raises FileExistsError when the target is taken (nothing happened), also where the file system has no way to be
    sure; FileNotFoundError when the source is gone. After a crash a file may have both names, which the same call
    then repairs; before a folder is moved an empty one may be left at `target`.
    """
    if _moved(source, target):
        return
    if stat.S_ISDIR(os.lstat(source).st_mode):
        _move_folder(source, target)
    else:
        _move_by_link(source, target)


def move_to_own(source: Path, target: Path) -> None:
    """As `move`, to a name that only the service uses: it contains an id, or its folder's name does."""
    if not _moved(source, target):
        # Many network and FUSE file systems have no RENAME_NOREPLACE. Nobody else wants this name, so a check is
        # enough.
        os.lstat(source)  # first, as the system does: what was moved already is gone, not in its own way
        if os.path.lexists(target):
            raise _taken(target)
        os.rename(source, target)


def _moved(source: Path, target: Path) -> bool:
    """False: the file system cannot rename without replacing; nothing happened."""
    try:
        rename_no_replace(_HERE, str(source), _HERE, str(target))
    except OSError as error:
        if error.errno not in _NO_FLAG:
            raise
        return False
    return True


def _move_folder(source: Path, target: Path) -> None:
    """The name is reserved by an empty folder, which only the service may fill: some FUSE programs (`rclone mount`)
    replace a folder with all that is in it."""
    target.mkdir(mode=0o700)
    try:
        os.rename(source, target)
    except OSError as error:
        with suppress(OSError):
            target.rmdir()
        if error.errno in (
            errno.ENOTEMPTY,
            errno.EEXIST,
        ):  # some FUSE programs do not even replace an empty one
            raise _taken(target) from error
        raise


def _move_by_link(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        if not os.path.samestat(os.lstat(source), os.lstat(target)):  # else: linked before a crash
            raise
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _taken(target) from error  # no links either
    os.unlink(source)


def _taken(target: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))


_MILLISECOND = 1_000_000  # in nanoseconds: 20 bits
_RANDOM_BITS = 60
_AHEAD_NS = 24 * 3600 * 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Dropped(Protocol):
    """What has a place in the order: an arrival, recorded or not."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def dropped_at(self) -> datetime: ...


def id_of_drop(ctime_ns: int) -> str:
    """A fresh arrival id for what was dropped at this time (ns since the epoch)."""
    milliseconds, rest = divmod(_possible(ctime_ns), _MILLISECOND)
    drawn = rest << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return str(ULID.from_bytes(milliseconds.to_bytes(6, "big") + drawn.to_bytes(10, "big")))


def dropped_at(arrival: str) -> datetime:
    """When the arrival with this id was dropped, in whole microseconds, as databases hold it."""
    number = int.from_bytes(ULID.from_str(arrival).bytes, "big")
    milliseconds, drawn = number >> 80, number & ((1 << 80) - 1)
    return time_of_drop(milliseconds * _MILLISECOND + (drawn >> _RANDOM_BITS))


def time_of_drop(ctime_ns: int) -> datetime:
    """The same of a ctime (ns since the epoch)."""
    return EPOCH + timedelta(microseconds=_possible(ctime_ns) // 1000)


def _possible(ctime_ns: int) -> int:
    """Now, if a file system has no such time, or an impossible one."""
    now = time.time_ns()
    return ctime_ns if 0 < ctime_ns < now + _AHEAD_NS else now


def in_order(arrival: Dropped) -> tuple[datetime, str, str]:
    """The key that arrivals are sorted by: all of them have another one, so that no two wait for each other."""
    return arrival.dropped_at, arrival.name, arrival.id
