"""An SSH server that wants a password and then a code, as hospitals have it; its files are those of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh

from dropslot.sftp import runtime

PASSWORD, CODE = "right-one", "123456"


class _Careful(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "Sign in", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Any) -> Any:
        if list(responses) == [PASSWORD]:
            return "", "From your phone", "", [("Verification code: ", True)]
        return list(responses) == [CODE]


@contextmanager
def careful_server(folder: Path) -> Iterator[tuple[int, str]]:
    """Its port, and the fingerprint of its key."""
    host, own = asyncssh.generate_private_key("ssh-ed25519"), runtime.current()

    def files(connection: asyncssh.SSHServerChannel[Any]) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(connection, chroot=str(folder).encode())

    async def begin() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_factory=_Careful, server_host_keys=[host], sftp_factory=files
        )

    server = own.run(begin())
    yield server.get_port(), host.get_fingerprint()
    own.loop.call_soon_threadsafe(server.close)
