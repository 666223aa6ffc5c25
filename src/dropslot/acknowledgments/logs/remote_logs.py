"""Logs on other machines, over SFTP: the connection, its login and its host keys are those of destinations."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager

from dropslot.acknowledgments.logs.log_sources import KEPT, LogFile, LogUnready, Source, no_file, unlistable
from dropslot.core.addressing import addresses
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.sftp import faults, remote, runtime, wire
from dropslot.sftp.remote_file import OpenFile
from dropslot.sftp.ssh_account import Account
from dropslot.sftp.wire import Said


class RemoteFolder(Source):
    """A folder behind `sftp://user@host[:port]/path`; a path that begins with `/~/` is beneath the account's home.

    The connection is kept and shared, and made again if it is lost.
    """

    def __init__(self, log: str, account: Account) -> None:
        self._log, self._account = log, account
        self._folder, self.name = posixpath.split(addresses.parse(log).remote_path)

    def names(self) -> list[str]:
        folder = self._folder or "."
        with _told(self._log, self._account):
            try:
                found = runtime.run_again(lambda c: remote.listing(c, folder), self._account)
            except Said as said:
                if said.code == wire.PERMISSION_DENIED:
                    raise unlistable(f"{addresses.SCHEME}{self._account.server}{folder}", _NO_RIGHT) from said
                raise
        if found is None:
            raise FileNotFoundError(2, "no such folder", self._folder)
        return list(found)

    def open(self, name: str) -> LogFile:
        with _told(self._log, self._account):
            try:
                file = OpenFile(self._account, posixpath.join(self._folder, name))
            except IsADirectoryError as error:
                raise no_file(self._log) from error
        return _RemoteFile(file, self._log, self._account)


class _RemoteFile(LogFile):
    def __init__(self, file: OpenFile, log: str, account: Account) -> None:
        self._file, self._log, self._account = file, log, account

    def size(self) -> int:
        with _told(self._log, self._account):
            return self._file.size()

    def read(self, offset: int, length: int) -> bytes:
        with _told(self._log, self._account):
            return self._file.read(offset, length)

    def close(self) -> None:
        self._file.close()


_NO_RIGHT = "the server gives no permission"


@contextmanager
def _told(log: str, account: Account) -> Iterator[None]:
    """Turns errors of the network and the server into LogUnready."""
    try:
        with faults.told(account.server, "Reading"):
            try:
                yield
            except Said as said:
                if said.code == wire.PERMISSION_DENIED:
                    raise _unready(log, _NO_RIGHT, "Let the account that logs in there read it") from said
                raise
    except LogUnready:
        raise
    except DropslotError as error:
        raise _unready(log, error.what, error.next_step) from error


def _unready(log: str, why: str, next_step: str) -> LogUnready:
    return LogUnready(f"The log {escape(log)} cannot be read: {why}", where=KEPT, next_step=next_step)
