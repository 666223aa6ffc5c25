"""Logs on other machines, over SFTP: host keys are checked against known_hosts always, keys found as OpenSSH does."""

from __future__ import annotations

import asyncio
import os
import posixpath
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import asyncssh

from dropslot.acknowledgments.sources import LogFile, LogUnready, Source
from dropslot.core.names import escape

_T = TypeVar("_T")
_PATIENCE_SECONDS = 30
_BLOCK = 256 << 10


class RemoteFolder(Source):
    """A folder behind `sftp://user@host[:port]/path`; a path that begins with `/~/` is beneath the account's home.

    One connection, made at first use. Raises LogUnready in words for whatever the network and the server refuse.
    """

    def __init__(self, log: str, key: str | None = None, known_hosts: str | None = None) -> None:
        parts = urlsplit(log)
        path = unquote(parts.path)
        path = path[3:] if path.startswith("/~/") else path
        self._folder, self.name = posixpath.split(path)
        self._shown = escape(log)
        self._host, self._port, self._user = parts.hostname or "", parts.port, parts.username
        self._key, self._known_hosts = key, known_hosts
        self._runner = asyncio.Runner()
        self._client: asyncssh.SFTPClient | None = None
        self._connection: asyncssh.SSHClientConnection | None = None

    def names(self) -> list[str]:
        found = self.run(lambda sftp: sftp.listdir(self._folder or "."))
        return [os.fsdecode(name) for name in found]

    def open(self, name: str) -> LogFile:
        path = posixpath.join(self._folder, name)
        return _RemoteFile(self, self.run(lambda sftp: sftp.open(path, "rb", block_size=_BLOCK)))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._runner.run(self._connection.wait_closed())
        self._runner.close()

    def run(self, call: Any) -> Any:
        """The result of one call of the SFTP client."""
        try:
            return self._runner.run(self._timely(self._called(call)))
        except asyncssh.SFTPNoSuchFile as error:
            raise FileNotFoundError(self._shown) from error
        except (asyncssh.Error, OSError, TimeoutError) as error:
            self._client = None
            raise self._unready(error) from error

    async def _timely(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await coroutine

    async def _called(self, call: Any) -> Any:
        if self._client is None:
            self._connection = await asyncssh.connect(self._host, **self._options())
            self._client = await self._connection.start_sftp_client()
        return await call(self._client)

    def _options(self) -> dict[str, Any]:
        given = {"port": self._port, "username": self._user, "known_hosts": self._known_hosts}
        options = {name: value for name, value in given.items() if value}
        return options | ({"client_keys": [self._key]} if self._key else {})

    def _unready(self, error: Exception) -> LogUnready:
        words, next_step = _explained(error, self._host, self._port or 22)
        return LogUnready(
            f"The log {self._shown} cannot be read: {words}",
            where="What was read of it before is recorded; reading goes on from there",
            next_step=next_step,
        )


class _RemoteFile(LogFile):
    def __init__(self, folder: RemoteFolder, file: asyncssh.SFTPClientFile) -> None:
        self._folder, self._file = folder, file

    def size(self) -> int:
        return int(self._folder.run(lambda _: self._file.stat()).size or 0)

    def read(self, offset: int, length: int) -> bytes:
        data: bytes = self._folder.run(lambda _: self._file.read(length, offset))
        return data

    def close(self) -> None:
        try:
            self._folder.run(lambda _: self._file.close())
        except LogUnready:
            return  # the connection is gone, and the file with it


def _explained(error: Exception, host: str, port: int) -> tuple[str, str]:
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        accept = f"ssh-keyscan -p {port} {host}" if port != 22 else f"ssh-keyscan {host}"
        return (
            f"the key of host {escape(host)} is not the one in known_hosts, or in none",
            f"Compare the host's key with what its administrator says, then add it: `{accept} >> ~/.ssh/known_hosts`",
        )
    if isinstance(error, asyncssh.PermissionDenied):
        return "the server refused the login", "See that the key of the service's account may log in there"
    if isinstance(error, asyncssh.SFTPPermissionDenied):
        return "the server gives no permission", "Let the account that logs in read the log"
    if isinstance(error, TimeoutError):
        return f"no answer within {_PATIENCE_SECONDS} s", "It is tried again"
    return escape(str(error) or type(error).__name__), "It is tried again; see whether the server is well"
