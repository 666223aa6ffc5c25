"""Runs of a verification, each a small file in the data folder. The one that goes on holds a lock; when its process is
gone, however it ended, so is the lock."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from dropslot.arrivals.whereabouts import is_id
from dropslot.config import Config
from dropslot.config.secrets import make_private
from dropslot.core.errors import DropslotError

KEPT = 50
LISTED_FAULTS = 200


class AlreadyVerifying(DropslotError):
    """One verification at a time: two would only slow each other down."""

    code = "already-verifying"


@dataclass
class Run:
    """One verification. Times are as in events; `outcome`: empty while it goes on, `ok`, `faults`, `stopped`,
    `failed`."""

    id: str
    by: str
    address: str
    fixity: bool
    started_at: str
    step: str = "starting"  # then chain, files, originals
    step_since: float = 0.0  # seconds since 1970
    stamps: int = 0
    stamped: str = ""  # the event up to which the newest time stamp proves the trail, and its time
    receipts: int = 0
    receipts_total: int = 0
    events: int = 0
    events_total: int = 0
    files: int = 0
    files_total: int = 0
    size_bytes: int = 0
    total_bytes: int = 0
    acknowledged: int = 0  # deliveries that cannot be read back
    originals: int = 0
    found: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    head: str = ""
    against: str = ""  # a head that somebody kept elsewhere
    ended_at: str = ""
    outcome: str = ""
    error: str = ""


def folder_of(config: Config) -> Path:
    """Where the runs are."""
    return config.data / "portal" / "verify"


def save(config: Config, run: Run) -> None:
    """Put the run's file in place, whole. Raises OSError."""
    path = folder_of(config) / f"{run.id}.json"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(run)), "utf-8")
    draft.replace(path)


def load(config: Config, id: str) -> Run | None:
    """The run with this id; None if there is none, or its file cannot be read."""
    if not is_id(id):
        return None
    try:
        found = json.loads((folder_of(config) / f"{id}.json").read_text("utf-8"))
        known = {one.name for one in fields(Run)}
        return Run(**{key: value for key, value in found.items() if key in known})
    except (OSError, ValueError, TypeError):
        return None


def ids(config: Config) -> list[str]:
    """Of all runs, the newest first."""
    return sorted((path.stem for path in folder_of(config).glob("*.json") if is_id(path.stem)), reverse=True)


def runs(config: Config) -> Iterator[Run]:
    """The newest first."""
    return (run for id in ids(config)[:KEPT] if (run := load(config, id)))


def latest(config: Config) -> list[Run]:
    """The last verification of the stored files that has ended, and before it a later one of the trail alone."""
    found: list[Run] = []
    for run in runs(config):
        if run.outcome and (run.fixity or not found):
            found.append(run)
        if run.outcome and run.fixity:
            break
    return found


def forget_old(config: Config) -> None:
    """Remove the files of all but the newest runs."""
    for id in ids(config)[KEPT:]:
        for suffix in (".json", ".stop", ".log"):
            with suppress(FileNotFoundError):
                (folder_of(config) / f"{id}{suffix}").unlink()


def is_running(config: Config) -> bool:
    """Whether a verification goes on."""
    try:
        with _opened(config) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


@contextmanager
def locked(config: Config) -> Iterator[int]:
    """The lock, to be handed to the process that verifies: it holds it as long as it lives. Raises AlreadyVerifying,
    OSError."""
    folder = folder_of(config)
    make_private(folder.parent, config.data)
    make_private(folder, config.data)
    with _opened(config, os.O_CREAT) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyVerifying(
                "A verification is going on already", next_step="Wait for its end, or stop it"
            ) from error
        yield lock


@contextmanager
def _opened(config: Config, more: int = 0) -> Iterator[int]:
    lock = os.open(folder_of(config) / "lock", os.O_RDWR | os.O_CLOEXEC | more, 0o600)
    try:
        yield lock
    finally:
        os.close(lock)
