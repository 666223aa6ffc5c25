"""Reads regular files without following links."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator

from dropslot.core.names import escape
from dropslot.files import faults
from dropslot.files.descriptors import Descent, Folder

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
CHUNK_BYTES = 1024 * 1024


def open_regular(root: Folder, path: str) -> int | None:
    """A descriptor of the regular file at `path` below `root`; None if there is no regular file."""
    descent = Descent(root.fd)
    try:
        return open_regular_in(descent, path)
    finally:
        descent.close()


def open_at_source(root: Folder, path: str) -> int:
    """A descriptor of an item of an arrival. Raises SourceChanged if it is gone, SourceUnready and StorageFault."""
    try:
        fd = open_regular(root, path)
    except OSError as error:
        raise faults.at_source(error, path) from error
    if fd is None:
        raise faults.source_changed(f"{escape(path)} is gone, or no longer a regular file")
    return fd


def open_regular_in(descent: Descent, path: str) -> int | None:
    """Like `open_regular`, for many paths below the same root."""
    folder, _, name = path.rpartition("/")
    try:
        fd = os.open(name, READ, dir_fd=descent.fd(folder))
    except OSError as error:
        if error.errno in faults.NOT_THERE:
            return None
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def chunks_of(fd: int, name: str) -> Iterator[bytes]:
    """The bytes up to the end; closes the descriptor. Raises StorageFault on EIO."""
    with os.fdopen(fd, "rb", buffering=0) as stream:
        try:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
        except OSError as error:
            raise faults.at_destination(error, f"reading {escape(name)}") from error


def sha256_of(fd: int, name: str) -> str:
    """SHA-256 (hex) of the remaining bytes; closes the descriptor. Raises StorageFault on EIO."""
    digest = hashlib.sha256(usedforsecurity=False)
    for chunk in chunks_of(fd, name):
        digest.update(chunk)
    return digest.hexdigest()
