"""SQLite's file when it can be read but not written: by an auditor's account, or on a read-only disk.

A write-ahead log makes this hard: a reader must write into the index of the log, `-shm`.
"""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.db.backends.base.base import BaseDatabaseWrapper

_COPIES = 10


def file_of(connection: BaseDatabaseWrapper) -> Path | None:
    """The file of an SQLite database; None for one in memory, and for others."""
    name = str(connection.settings_dict.get("NAME") or "")
    if connection.vendor != "sqlite" or name == ":memory:" or "mode=memory" in name:
        return None
    return Path(unquote(urlsplit(name).path)) if name.startswith("file:") else Path(name)


def prove_writable(file: Path) -> None:
    """Raise the OSError, with its path, that keeps the database from being written."""
    os.stat(file.parent)
    for path in (file, _beside(file, "-wal"), _beside(file, "-shm")):
        if os.path.lexists(path):
            os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    prove_folder_writable(file.parent)


def prove_folder_writable(folder: Path) -> None:
    """Raise the OSError, with its path, that keeps files from being made and written in `folder`."""
    try:
        with tempfile.TemporaryFile(
            dir=folder
        ) as trial:  # by trying it: nothing else shows quotas and faults
            trial.write(bytes(4096))
            trial.flush()
            os.fsync(trial.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error


def is_needed(connection: BaseDatabaseWrapper) -> bool:
    """Whether there is a database that this process may not write."""
    file = file_of(connection)
    if file is None or not os.path.lexists(file):
        return False  # a missing one is made, or reported
    several = [path for path in (_beside(file, "-wal"), _beside(file, "-shm")) if path.exists()]
    return not (
        os.access(file.parent, os.W_OK) and all(os.access(path, os.W_OK) for path in (file, *several))
    )


def is_stuck(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database exists and cannot be written now, as on a full disk."""
    file = file_of(connection)
    if file is None or not os.path.lexists(file):
        return False
    try:
        prove_writable(file)
    except OSError:
        return True
    return False


def open_to_read(connection: BaseDatabaseWrapper) -> None:
    """Let every connection of this process read, and none write; what is committed is seen, and nothing else.

    Raises OSError when the file cannot be read.
    """
    file = file_of(connection)
    assert file is not None
    os.close(os.open(file, os.O_RDONLY | os.O_CLOEXEC))
    connection.close()
    # The mapping from which connections of other threads are made.
    connection.settings_dict["NAME"] = _address(file)
    connection.settings_dict["OPTIONS"] = {"timeout": connection.settings_dict["OPTIONS"].get("timeout", 20)}


def _address(file: Path) -> str:
    wal, index = _beside(file, "-wal"), _beside(file, "-shm")
    if not (wal.exists() and wal.stat().st_size):
        if os.statvfs(file).f_flag & os.ST_RDONLY:
            return f"{file.as_uri()}?immutable=1"  # nobody can write: no lock and no index is needed
    elif index.exists():
        return f"{file.as_uri()}?mode=ro"
    return f"{_copied(file).as_uri()}?mode=rw"


def _copied(file: Path) -> Path:
    """A copy, with what its log holds, that is removed when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="dropslot-read-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    sources = (file, _beside(file, "-wal"))
    for _ in range(_COPIES):
        before = _seen(*sources)
        for source in sources:
            target = folder / source.name
            target.unlink(missing_ok=True)
            if source.exists():
                shutil.copyfile(source, target)
        if _seen(*sources) == before:
            return folder / file.name
    raise OSError(errno.EBUSY, "it is being written to again and again", str(file))


def _seen(*paths: Path) -> list[Any]:
    stats = [os.stat(path) if path.exists() else None for path in paths]
    return [(seen.st_ino, seen.st_size, seen.st_mtime_ns) if seen else None for seen in stats]


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)
