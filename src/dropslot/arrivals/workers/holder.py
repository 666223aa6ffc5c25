"""A name and a lock for each worker process. A holder on this host lives as long as its lock, not its process id: ids
are reused, and a lock ends with the last process that shares it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=16)
def _host(folder: Path) -> str:
    """This machine's name, and what distinguishes it from another one, or from a container, with that name and the same
    database: only who sees the same folder of locks can ask them."""
    try:
        machine = Path("/etc/machine-id").read_text("ascii").strip()
    except (OSError, ValueError):
        machine = ""
    seen = folder.stat()
    whole = f"{machine} {seen.st_dev} {seen.st_ino}"
    return f"{socket.gethostname()}.{hashlib.sha256(whole.encode()).hexdigest()[:8]}"  # machine-id(5) must stay secret


def _folder(data: Path) -> Path:
    return data / "workers"


@contextmanager
def holding(data: Path) -> Iterator[str]:
    """A worker's name, locked for the time of the block."""
    folder = _folder(data)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name, descriptor = _locked_name(folder)
    try:
        yield name
    finally:
        (folder / name).unlink(missing_ok=True)
        os.close(descriptor)


def _locked_name(folder: Path) -> tuple[str, int]:
    """Locked first, named afterwards: a visible lock file without a lock belongs to a dead worker."""
    while True:
        name = f"{_host(folder)}:{os.getpid()}:{secrets.token_hex(4)}"
        unlocked = folder / f".{name}"
        descriptor = os.open(unlocked, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unlocked.rename(folder / name)
        except (BlockingIOError, FileNotFoundError):
            os.close(descriptor)  # swept in between: another name, then
        else:
            return name, descriptor


def is_dead(data: Path, name: str) -> bool:
    """Whether that worker surely ended: it ran on this host and nobody holds its lock."""
    if not _folder(data).is_dir() or _host_of(name) != _host(_folder(data)):
        return False
    try:
        descriptor = os.open(_folder(data) / name, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _host_of(name: str) -> str:
    return name.removeprefix(".").rpartition(":")[0].rpartition(":")[0]


def others(data: Path, name: str) -> bool:
    """Whether other workers than this one are alive on this host."""
    folder = _folder(data)
    names = os.listdir(folder) if folder.is_dir() else []
    return any(other != name and not other.startswith(".") and not is_dead(data, other) for other in names)


def sweep(data: Path) -> None:
    """Remove the lock files of workers that ended without doing it themselves."""
    folder = _folder(data)
    if folder.is_dir():
        for name in os.listdir(folder):
            if is_dead(data, name):
                (folder / name).unlink(missing_ok=True)
