"""What is known of an upload besides its bytes, one small file each in the data folder: it survives a restart.

A ticket stands for one single file or for one batch, which is a folder of many files. Its time of change is the last
time that something was received.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from dropslot.api.tus import problems
from dropslot.config import Config
from dropslot.config.secrets import make_private

_ID = re.compile(r"[0-9a-f]{32}")
_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Ticket:
    """One upload. `batch` is what its client calls it, empty for a single file; `inbox` is an absolute path."""

    id: str
    account: str
    route: str
    inbox: str
    batch: str
    created_at: float  # seconds of the epoch
    ended: Literal["", "finished", "expired"] = ""
    name: str = ""  # finished: the name in the inbox, the number of its files, and their bytes
    files: int = 0
    size_bytes: int = 0


class Tickets:
    """All tickets of an installation."""

    def __init__(self, config: Config) -> None:
        self._data = config.data
        self.folder = config.data / "portal" / "uploads"

    def make(self, account: str, route: str, inbox: Path, batch: str = "") -> Ticket:
        """A new ticket; for a batch the one that it has already, unless that has ended."""
        chosen = id_of_batch(account, route, batch) if batch else secrets.token_hex(16)
        if batch and (known := self.find(chosen)) is not None and not known.ended:
            return known
        ticket = Ticket(chosen, account, route, str(inbox), batch, time.time())
        self.write(ticket)
        return ticket

    def find(self, name: str) -> Ticket | None:
        """The ticket with an id; None: there is none."""
        if not _ID.fullmatch(name):
            return None
        try:
            return Ticket(**json.loads(self._path(name).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):  # not there, or cut off by a power failure
            return None

    def of_account(self, name: str, account: str) -> Ticket:
        """The same, but of this account. Raises Problem, also for one that has expired."""
        ticket = self.find(name)
        if ticket is None or ticket.account != account:
            raise problems.unknown()
        if ticket.ended == "expired":
            raise problems.expired()
        return ticket

    def of_batch(self, account: str, route: str, batch: str) -> Ticket:
        """The ticket of an account's batch. Raises Problem."""
        return self.of_account(id_of_batch(account, route, batch), account)

    def all(self) -> Iterator[tuple[Ticket, float]]:
        """Every ticket, and when something was last received for it."""
        with suppress(FileNotFoundError):
            for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
                if ticket := self.find(path.stem):
                    with suppress(FileNotFoundError):
                        yield ticket, path.stat().st_mtime

    def last_received(self, ticket: Ticket) -> float:
        """When something was last received for it, in seconds of the epoch."""
        try:
            return self._path(ticket.id).stat().st_mtime
        except FileNotFoundError:
            return ticket.created_at

    def touch(self, ticket: Ticket) -> None:
        """Something was received just now."""
        with suppress(FileNotFoundError):
            os.utime(self._path(ticket.id))

    def keep(self, ticket: Ticket) -> None:
        """Make it durable: the client will come back."""
        for path in (self._path(ticket.id), self.folder):
            with suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def end(self, ticket: Ticket, how: Literal["finished", "expired"]) -> Ticket:
        """Keep only that it has ended, for a client that asks later."""
        ended = replace(ticket, ended=how)
        self.write(ended)
        return ended

    def forget(self, ticket: Ticket) -> None:
        """Remove it."""
        self._path(ticket.id).unlink(missing_ok=True)

    def write(self, ticket: Ticket) -> None:
        """Write it, whole or not at all."""
        path = self._path(ticket.id)
        aside = path.with_name(f".{ticket.id}-{secrets.token_hex(4)}")
        try:
            aside.write_text(json.dumps(asdict(ticket)), "utf-8")
        except FileNotFoundError:
            make_private(self.folder.parent, self._data)
            make_private(self.folder, self._data)
            aside.write_text(json.dumps(asdict(ticket)), "utf-8")
        aside.replace(path)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_SUFFIX}"


def id_of_batch(account: str, route: str, batch: str) -> str:
    """The ticket's id of an account's batch; other accounts' batches of the same name have other ids."""
    return hashlib.sha256("\0".join((account, route, batch)).encode()).hexdigest()[:32]
