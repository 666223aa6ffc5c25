"""Turns the system's errors into dropslot's own."""

from __future__ import annotations

import errno
import os

from dropslot.core.errors import (
    DestinationUnready,
    DiskFull,
    DropslotError,
    Refused,
    SourceChanged,
    SourceUnready,
    StorageFault,
)
from dropslot.core.names import escape

_FULL = {errno.ENOSPC, errno.EDQUOT}
_BROKEN = {errno.EIO, errno.EREMOTEIO, errno.EUCLEAN, errno.EBADMSG, errno.ENODATA, errno.EILSEQ}
_IMPOSSIBLE = {errno.ENAMETOOLONG, errno.EFBIG}
NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENODEV}
_DENIED = {errno.EACCES, errno.EPERM}

_KEPT = "The source is untouched, and what was delivered before stays as it is"
_NEXT = {
    errno.EACCES: "Give the service's account the right to write and search there, or correct `to`; it is retried",
    errno.EPERM: "Give the service's account the right to do this there, or correct the rule; it is retried",
    errno.EROFS: "Mount the file system read-write again (a disk error may have made it read-only); it is retried",
    errno.ENOENT: "Mount the disk or make the folder; dropslot never fills an unmounted disk. It is retried",
    errno.ESTALE: "The server of this network file system has lost the folder: mount it again; it is retried",
    errno.EXDEV: "Another file system is mounted inside the target; it is staged again at the next attempt",
    errno.EMFILE: "Raise the limit of open files of the service (LimitNOFILE); it is retried",
}


def at_destination(error: OSError, doing: str) -> DropslotError:
    """The typed error for a system call that failed at a destination; `doing` is like "writing scan.nii.gz"."""
    number = error.errno or 0
    what = _sentence(error, doing)
    if number in _FULL:
        step = "Free space there, or raise the quota; it is retried until it fits"
        return DiskFull(what, where=_KEPT, next_step=step)
    if number in _BROKEN:
        step = "Look at the disk and the kernel's log; the staged data is thrown away and staged again"
        return StorageFault(what, where=_KEPT, next_step=step)
    if number in _IMPOSSIBLE:
        return Refused([f"{what}: the destination's file system cannot hold it"])
    step = _NEXT.get(
        number, "It is retried; if this goes on, look at the disk and the kernel's log (`dmesg`)"
    )
    return DestinationUnready(what, where=_KEPT, next_step=step)


def no_folder_or(error: OSError, path: str, doing: str) -> DropslotError:
    """Like `at_destination`, but says so if `path`, a folder of the target, is a link or not a folder."""
    if error.errno not in (errno.ELOOP, errno.ENOTDIR):
        return at_destination(error, doing)
    return DestinationUnready(
        f"{escape(path)} at the destination is a link or not a folder; dropslot never writes through it",
        where="Published files stay; the rest waits",
        next_step="Move it out of the way, or make it a real folder; it is retried",
    )


def at_source(error: OSError, path: str) -> DropslotError:
    """The typed error for a system call that failed while reading the item or folder `path` of an arrival."""
    number = error.errno or 0
    shown = escape(path)
    if number in NOT_THERE:
        return source_changed(f"{shown} was removed or replaced while the arrival was read")
    if number in _DENIED:
        return SourceUnready(
            f"{shown} cannot be read ({os.strerror(number)})",
            where="Nothing of the arrival was delivered; it stays where it is",
            next_step="Let the sender chmod -R g+rX, or give the service CAP_CHOWN; it is retried",
        )
    what = _sentence(error, f"reading {shown}")
    step = "Look at the disk and the kernel's log; it is retried"
    return StorageFault(what, where="Nothing of the arrival was delivered", next_step=step)


def source_changed(what: str) -> SourceChanged:
    """`what` names the item and how it differs."""
    return SourceChanged(
        what,
        where="Nothing of the arrival was delivered; it waits in processing and is retried",
        next_step="If this repeats, let the sender write under a temporary name and rename when done",
    )


def sync_failed(error: OSError) -> StorageFault:
    """The typed error for a failed sync. Whatever its number, data may be lost, and a second sync would not say so."""
    return StorageFault(
        f"Writing to the disk failed: {os.strerror(error.errno or 0)}",
        where="The source is untouched; the staged data is thrown away",
        next_step="Look at the disk and the kernel's log (dmesg); it is staged again",
    )


def _sentence(error: OSError, doing: str) -> str:
    number = error.errno or 0
    return f"{doing} failed: {os.strerror(number)} ({errno.errorcode.get(number, number)})"
