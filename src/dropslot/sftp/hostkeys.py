"""Which servers are trusted: known_hosts, always. An unknown key is shown and refused, a changed one never accepted."""

from __future__ import annotations

from collections.abc import Callable

import asyncssh

from dropslot.core.addressing.addresses import DEFAULT_PORT
from dropslot.core.errors import DestinationUnready
from dropslot.core.names import escape
from dropslot.sftp.ssh_account import UNSENT, Account

# In OpenSSH's order of preference, so that the key to compare is the one that administrators look at.
_KINDS = {
    "ssh-ed25519": ("ssh-ed25519",),
    **{f"ecdsa-sha2-nistp{bits}": (f"ecdsa-sha2-nistp{bits}",) for bits in (256, 384, 521)},
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}


class HostKeyUnknown(DestinationUnready):
    """The server showed a key (`shown`, a line of OpenSSH), and known_hosts has none for this server."""

    code = "host-key-unknown"
    shown = ""


class HostKeyChanged(DestinationUnready):
    """The server showed another key than known_hosts has for it."""

    code = "host-key-changed"


class HostsUnreadable(DestinationUnready):
    """known_hosts itself cannot be read, or has a line that is none."""

    code = "known-hosts-unreadable"


def fingerprint(key: asyncssh.SSHKey) -> str:
    """As `ssh-keygen -l` shows it, with the kind of the key."""
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


def known(account: Account) -> list[asyncssh.SSHKey]:
    """The keys that known_hosts has for a server; those of certificate authorities are left to asyncssh."""
    return list(_matches(account)[0])


def is_revoked(account: Account, key: asyncssh.SSHKey) -> bool:
    """Whether known_hosts says that this key is never to be trusted again."""
    return key in _matches(account)[2]


def algorithms(account: Account) -> tuple[str, ...]:
    """The kinds of keys that the server may show, the best first: those that are known for it, or any. Empty:
    asyncssh's default."""
    keys, authorities, _revoked = _matches(account)
    if authorities:
        return ()
    kinds = {key.get_algorithm() for key in keys} or set(_KINDS)
    return tuple(name for kind, names in _KINDS.items() if kind in kinds for name in names)


def trusted(account: Account) -> Callable[[str, str, int | None], tuple[list[asyncssh.SSHKey], ...]]:
    """Tells asyncssh which keys are trusted: those of the name alone, as in ssh. By asyncssh's own look-up, a server
    would also pass with the key of another server that has the same address. Never returns empty bytes: for these
    asyncssh reads ~/.ssh/known_hosts, whatever the account's file is."""
    found = _matches(account)
    return lambda _host, _address, _port: found


def _matches(account: Account) -> tuple[list[asyncssh.SSHKey], ...]:
    data = contents(account)
    port = account.port if account.port != DEFAULT_PORT else None
    try:
        hosts = asyncssh.import_known_hosts(data.decode("utf-8", "replace"))
    except ValueError as error:
        raise HostsUnreadable(
            f"{escape(str(account.hosts_file))} has a line that cannot be read: {escape(str(error))}",
            where=UNSENT,
            next_step="Correct or remove that line; it is retried",
        ) from error
    keys, authorities, revoked = (list(part) for part in hosts.match(account.host, "", port)[:3])
    # If known_hosts has only revoked keys for a server with a port, asyncssh looks it up again without the port and
    # loses them.
    return keys, authorities, [*revoked, *hosts.match(pattern(account), "", None)[2]]


def contents(account: Account) -> bytes:
    """The bytes of known_hosts; none where there is no file. Raises HostsUnreadable."""
    try:
        return account.hosts_file.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise HostsUnreadable(
            f"{escape(str(account.hosts_file))} cannot be read: {error.strerror}",
            where=UNSENT,
            next_step="Give the service the right to read it, or correct `known_hosts`; it is retried",
        ) from error


def refusal(account: Account, key: asyncssh.SSHKey) -> DestinationUnready:
    """The error for a server whose key is not trusted."""
    shown, hosts = fingerprint(key), escape(str(account.hosts_file))
    keys = known(account)
    if is_revoked(account, key):
        return HostKeyChanged(
            f"{account.host} shows the host key {shown}, which {hosts} marks as revoked",
            where=UNSENT,
            next_step="Ask its administrator; somebody may be intercepting the connection",
        )
    if not keys:
        unknown = HostKeyUnknown(
            f"The host key of {account.host} is not known: {shown}",
            where=UNSENT,
            next_step="Compare this fingerprint with the one that its administrator has (on the server: ssh-keygen -lf"
            f" /etc/ssh/ssh_host_ed25519_key.pub). If it is the same: dropslot trust_host {account.url}",
        )
        unknown.shown = key.export_public_key("openssh").decode().strip()
        return unknown
    return HostKeyChanged(
        f"The host key of {account.host} has changed: it shows {shown}, and {hosts} has"
        f" {', '.join(sorted(fingerprint(one) for one in keys))}",
        where=UNSENT,
        next_step="Somebody may be intercepting the connection. Ask its administrator; only when the change is"
        f" theirs: ssh-keygen -R '{pattern(account)}' -f {hosts}, then dropslot trust_host {account.url}",
    )


def pattern(account: Account) -> str:
    """The server's name in known_hosts."""
    return account.host if account.port == DEFAULT_PORT else f"[{account.host}]:{account.port}"
