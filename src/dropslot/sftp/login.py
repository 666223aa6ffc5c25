"""Logging in: each kind of failure is a typed error with its next step."""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.saslprep import SASLPrepError, saslprep

from dropslot.core.errors import DestinationUnready
from dropslot.core.names import escape
from dropslot.sftp import hostkeys
from dropslot.sftp.channel import unlogged
from dropslot.sftp.ssh_account import UNSENT, Account

CONNECT_SECONDS = 20
LOGIN_SECONDS = 30
PERSON_SECONDS = 600  # when a person is asked; a server ends it earlier, sshd after two minutes
TOO_MANY = "Too many authentication failures"  # OpenSSH's words, when it ends the connection
_IGNORE = 2  # SSH_MSG_IGNORE
_REKEY_BYTES = 1 << 36  # as OpenSSH: 2^32 blocks of AES (RFC 4344, 3.2)
# AES-GCM first: chacha20 takes three times the processor time, and compression ten times.
_CIPHERS = (
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
    "chacha20-poly1305@openssh.com",
)


class LoginRefused(DestinationUnready):
    """The server accepts neither key nor password of the account."""

    code = "login-refused"


class Unreachable(DestinationUnready):
    """The server does not answer; it may answer soon."""

    code = "unreachable"


class Client(asyncssh.SSHClient):
    """Remembers the key that the server shows; trusts none but those of known_hosts."""

    shown: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, _host: str, _addr: str, _port: int, key: asyncssh.SSHKey) -> bool:
        self.shown = key
        return False


async def login(account: Account) -> asyncssh.SSHClientConnection:
    """A connection on which the account is logged in. Raises DestinationUnready and its like."""
    client: Client = account.client() if account.client else Client()
    options = _options(account)
    try:
        saslprep(account.user)  # asyncssh would refuse the name when it has the socket, and not close that
        if (
            account.client
        ):  # asyncssh's limit for the connection includes the time that a person takes to answer
            options |= {"sock": await _reached(account), "connect_timeout": None}
        connection, _ = await asyncio.wait_for(
            asyncssh.create_connection(lambda: client, account.host, account.port, **options),
            CONNECT_SECONDS + options["login_timeout"],
        )
    except asyncssh.HostKeyNotVerifiable as error:
        if client.shown is not None:
            raise hostkeys.refusal(account, client.shown) from error
        raise _unready(account, f"its host key cannot be verified: {escape(str(error))}") from error
    except (
        asyncssh.PermissionDenied,
        SASLPrepError,
    ) as error:  # the latter: no name that an account can have
        raise _refused(account) from error
    except asyncssh.ProtocolError as error:
        if TOO_MANY in str(error):
            raise _refused(account) from error
        raise unreachable(account, error) from error
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise _key_fault(account, error) from error
    except (OSError, asyncssh.Error, TimeoutError, UnicodeError) as error:  # the last: no name of a host
        raise unreachable(account, error) from error
    _send_nothing_to_ignore(connection)
    unlogged(connection)
    return connection


def _send_nothing_to_ignore(connection: asyncssh.SSHClientConnection) -> None:
    """asyncssh sends an empty packet before each packet: with CBC that hides the next initialization vector (Rogaway
    2002; RFC 4251, 9.3.1). `_CIPHERS` has no CBC, and these packets took a quarter of the time of a large file."""
    send: Callable[..., None] = connection.send_packet

    def send_packet(kind: int, *parts: bytes, **more: Any) -> None:
        if kind != _IGNORE:
            send(kind, *parts, **more)

    vars(connection)["send_packet"] = send_packet


async def _reached(account: Account) -> socket.socket:
    """A connected socket; raises OSError when there is no answer in time."""
    where = (account.host, account.port)
    connected = await asyncio.to_thread(socket.create_connection, where, CONNECT_SECONDS)
    connected.setblocking(False)
    return connected


def _options(account: Account) -> dict[str, Any]:
    options: dict[str, Any] = {
        "username": account.user,
        "password": account.password.read() if account.password else None,
        "known_hosts": hostkeys.trusted(account),
        "server_host_key_algs": hostkeys.algorithms(account),
        "config": None,  # ~/.ssh/config of another person must not send data elsewhere
        "encryption_algs": _CIPHERS,
        "compression_algs": None,
        "rekey_bytes": _REKEY_BYTES,
        "connect_timeout": CONNECT_SECONDS,
        "login_timeout": LOGIN_SECONDS,
        "keepalive_interval": 15,
        "keepalive_count_max": 4,
        "gss_host": None,
    }
    if account.client:
        options |= {"client_keys": None, "agent_path": None, "login_timeout": PERSON_SECONDS}
    elif account.key:
        options |= {"client_keys": [os.path.expanduser(account.key)], "agent_path": None}
    return options


def _refused(account: Account) -> LoginRefused:
    ways = [f"the key {escape(account.key)}"] if account.key else ["the keys of the agent and of ~/.ssh"]
    ways += [f"the password in {account.password.name}"] if account.password else []
    return LoginRefused(
        f"{account.host} refuses the login of {escape(account.user)} with {' and '.join(ways)}",
        where=UNSENT,
        next_step=f"Let its administrator put {_public(account)} into the account's authorized_keys, or correct `key`,"
        f" `password` or the user in the address; try it: {typed(account)}",
    )


def _public(account: Account) -> str:
    """The line for authorized_keys."""
    if not account.key:
        return "the public key"
    key = os.path.expanduser(account.key)
    try:
        line = Path(f"{key}.pub").read_text("utf-8").strip()
    except (OSError, UnicodeError):
        return f"the public key (ssh-keygen -y -f {shlex.quote(escape(key))})"
    return f"the line of {escape(key)}.pub ({escape(line)})"


def typed(account: Account) -> str:
    """The shell command that logs in as dropslot does."""
    options = []
    if account.known_hosts:
        options += ["-o", f"UserKnownHostsFile={os.path.expanduser(account.known_hosts)}"]
    if account.key:
        options += ["-o", "IdentitiesOnly=yes", "-i", os.path.expanduser(account.key)]
    words = ["ssh", *options, "-p", str(account.port), f"{account.user}@{account.host}"]
    return " ".join(shlex.quote(escape(word)) for word in words)


def _key_fault(account: Account, error: Exception) -> DestinationUnready:
    return LoginRefused(
        f"The key {escape(account.key or '~/.ssh')} cannot be used: {escape(str(error))}",
        where=UNSENT,
        next_step="Give a private key without a passphrase that only the service's account can read, or load it into"
        " the agent (SSH_AUTH_SOCK) and leave out `key`",
    )


def unreachable(account: Account, error: BaseException) -> DestinationUnready:
    """The error for a connection that could not be made, or that broke."""
    if isinstance(error, PermissionError) or (isinstance(error, OSError) and error.filename):
        return _key_fault(account, error)
    if isinstance(error, socket.gaierror):
        return _unready(account, f"there is no host with this name ({escape(str(error.strerror))})")
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return _unready(account, "it did not answer in time")
    return _unready(account, escape(str(error) or type(error).__name__))


def _unready(account: Account, why: str) -> Unreachable:
    return Unreachable(
        f"No connection to {escape(account.server)}: {why}",
        where=UNSENT,
        next_step="It is retried until the server answers; if this goes on, check that it runs and can be reached from"
        f" here: {typed(account)}",
    )
