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
from pathlib import Path


def _domain(folder: Path) -> str:
    """What the processes that see each other's locks have in common: one running system, and one folder of locks. The
    name of the machine is not it: it may change, and copies of a virtual machine have the same one."""
    booted = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    seen = os.stat(folder)
    return hashlib.sha256(f"{booted} {seen.st_dev} {seen.st_ino}".encode()).hexdigest()[:8]


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
    place = f"{socket.gethostname()}.{_domain(folder)}"
    while True:
        name = f"{place}:{os.getpid()}:{secrets.token_hex(4)}"
        unlocked = folder / f".{name}"
        descriptor = os.open(unlocked, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unlocked.rename(folder / name)
        except (BlockingIOError, FileNotFoundError):
            os.close(descriptor)  # swept in between: another name, then
        else:
            return name, descriptor


def domain_of(name: str) -> str:
    """Of the name of a worker, HOST.DOMAIN:PID:RANDOM, what `_domain` returned for it."""
    return name.removeprefix(".").rpartition(":")[0].rpartition(":")[0].rpartition(".")[2]


def is_of_this_machine(data: Path, name: str) -> bool:
    """Whether that worker's lock can be seen here."""
    folder = _folder(data)
    return folder.is_dir() and domain_of(name) == _domain(folder)


def is_dead(data: Path, name: str) -> bool:
    """Whether that worker surely ended: its lock would be seen here, and nobody holds it. False for workers of other
    machines, and for those from before a restart of this one: their leases decide."""
    folder = _folder(data)
    try:
        return domain_of(name) == _domain(folder) and not _is_locked(folder / name)
    except FileNotFoundError:
        return False  # there are no locks here at all


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def others(data: Path, name: str) -> bool:
    """Whether other workers than this one are alive on this host."""
    folder = _folder(data)
    names = os.listdir(folder) if folder.is_dir() else []
    return any(other != name and not other.startswith(".") and _is_locked(folder / other) for other in names)


def sweep(data: Path) -> None:
    """Remove the lock files of workers that ended without doing it themselves."""
    folder = _folder(data)
    if folder.is_dir():
        for name in os.listdir(folder):
            if not _is_locked(folder / name):
                (folder / name).unlink(missing_ok=True)
