"""An SFTP server of our own that breaks its word; asyncssh speaks the protocol, so that only the lies are ours."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import asyncssh
from asyncssh.sftp import SFTPServerHandler

HARDLINK, FSYNC = b"hardlink@openssh.com", b"fsync@openssh.com"


class Honest(asyncssh.SFTPServer):
    """Keeps its word; the others differ from it in one thing."""

    without: tuple[bytes, ...] = ()  # extensions that it does not have


class WithoutFsync(Honest):
    without = (FSYNC,)


class OpensFolders(Honest):
    """As OpenSSH does; its disk fails when they are synced."""

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        if os.path.isdir(self.map_path(path)):
            return _OpenFolder()
        return super().open(path, pflags, attrs)

    def fsync(self, file_obj: object) -> None:
        if isinstance(file_obj, _OpenFolder):
            raise asyncssh.SFTPFailure("Input/output error")
        super().fsync(file_obj)

    def close(self, file_obj: object) -> None:
        if not isinstance(file_obj, _OpenFolder):
            super().close(file_obj)


class FailsToSync(Honest):
    """Its disk fails once: a second sync would succeed, as Linux has it, and what it took is lost all the same."""

    failed = False

    def fsync(self, file_obj: object) -> None:
        if not type(self).failed:
            type(self).failed = True
            raise asyncssh.SFTPFailure("Input/output error")
        super().fsync(file_obj)


class _OpenFolder:
    """The handle of a folder."""


class WithoutHardlink(Honest):
    """Its rename looks first and then renames: asyncssh's own."""

    without = (HARDLINK,)


class ReplacingRename(Honest):
    without = (HARDLINK,)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        os.replace(oldpath, newpath)


class LinkingRename(Honest):
    """As OpenSSH renames files: by link and unlink, which replaces nothing."""

    without = (HARDLINK,)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        if os.path.isdir(oldpath):
            super().rename(oldpath, newpath)
        else:
            os.link(oldpath, newpath, follow_symlinks=False)
            os.unlink(oldpath)


class ReplacingLink(Honest):
    """Says that it links, and replaces."""

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        if os.path.lexists(newpath):
            os.unlink(newpath)
        os.link(oldpath, newpath)


class LosesBytes(Honest):
    """Acknowledges a write that it did not make."""

    def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        if len(data) > 1000:
            return cast(int, super().write(file_obj, offset, data[:-1])) + 1
        return cast(int, super().write(file_obj, offset, data))


class ChangesBytes(Honest):
    """Stores as many bytes as it got, and not the same."""

    def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        return cast(int, super().write(file_obj, offset, b"\0" * len(data) if len(data) > 1000 else data))


class ForgetsReply(Honest):
    """Does the first linking of a published name, and never says so."""

    forgotten = False

    async def link(self, oldpath: bytes, newpath: bytes) -> None:
        os.link(oldpath, newpath)
        if b"/naming-" not in newpath and not type(self).forgotten:
            type(self).forgotten = True
            await asyncio.Event().wait()


class GivesMore(Honest):
    """Gives more bytes than it was asked for."""

    def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        data = super().read(file_obj, offset, size)
        assert isinstance(data, bytes)
        return data + b"more" if data else data


class ListsForEver(Honest):
    """Its folders have no end."""

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        while True:
            yield asyncssh.SFTPName(b".")


class RefusesToList(Honest):
    """Lets nobody look into a folder."""

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        raise asyncssh.SFTPPermissionDenied("not to be listed")
        yield  # as a generator is made


class RefusesAtTheEnd(Honest):
    """Says only when the first handle of the file `large` is closed that it could not store what it took."""

    closed = False

    def close(self, file_obj: Any) -> None:
        super().close(file_obj)
        if os.path.basename(os.fsencode(file_obj.name)) == b"large" and not type(self).closed:
            type(self).closed = True
            raise asyncssh.SFTPFailure("quota")


class _Noted(asyncssh.SSHServer):
    """Says which connections there are."""

    def __init__(self, connections: list[asyncssh.SSHServerConnection]) -> None:
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connections.append(conn)


class Misbehaving:
    """Runs one of these in a thread; logs in whoever has the key."""

    def __init__(self, folder: Path, kind: type[Honest], monkeypatch: Any) -> None:
        self.key, self.known_hosts, self.port = folder / "key", folder / "known_hosts", 0
        self._kind = kind
        self._connections: list[asyncssh.SSHServerConnection] = []
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        # asyncssh has no public way to leave an extension out.
        left = [pair for pair in SFTPServerHandler._extensions if pair[0] not in kind.without]  # noqa: SLF001
        monkeypatch.setattr(SFTPServerHandler, "_extensions", left)
        client, self._host = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
        client.write_private_key(str(self.key))
        self.key.chmod(0o600)
        self._authorized = folder / "authorized"
        self._authorized.write_bytes(client.export_public_key())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(60)

    def url(self, path: Path | str) -> str:
        return f"sftp://root@127.0.0.1:{self.port}/{str(path).lstrip('/')}"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(60)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._cancel_all())
        self._loop.close()

    async def _listen(self) -> None:
        factory: Callable[..., Any] = self._kind
        self._server = await asyncssh.listen(
            server_factory=lambda: _Noted(self._connections),
            host="127.0.0.1",
            port=0,
            server_host_keys=[self._host],
            authorized_client_keys=str(self._authorized),
            sftp_factory=factory,
        )
        self.port = self._server.get_port()
        public = self._host.export_public_key().decode().strip()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public}\n")

    def _end(self) -> None:
        self._server.close()
        for connection in self._connections:
            connection.abort()
        self._loop.call_later(0.05, self._loop.stop)

    async def _cancel_all(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
