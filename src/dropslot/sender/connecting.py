"""From an address to its inbox: the scheme chooses the protocol, which is loaded only then."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from urllib.parse import urlsplit

from dropslot.core.addressing import addresses
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.sender.credentials import Credentials
from dropslot.sender.inbox import Inbox

PATHS = ("key", "known_hosts", "token_file")  # of what an Access has, those that name a file of this PC
SFTP, HTTPS, HTTP = "sftp", "https", "http"
_OVER_HTTPS = ("dropslot.sender.over_https.inbox", "HttpsInbox")
_PROTOCOLS = {SFTP: ("dropslot.sender.over_sftp.inbox", "SftpInbox"), HTTPS: _OVER_HTTPS, HTTP: _OVER_HTTPS}
_EXPECTED = "expected sftp://HOST/FOLDER, sftp://USER@HOST:PORT/FOLDER or https://HOST"


class BadAddress(DropslotError):
    """This is not the address of an inbox."""

    code = "bad-address"


@dataclass(frozen=True, slots=True)
class Access:
    """Where an inbox is, and how to sign in there. Empty: the default, or the person is asked.

    `trust` is the fingerprint (`SHA256:…`) of a host key that is trusted without a question. `receipts` is the folder
    of receipts, absolute or relative to the folder that holds the inbox; `{sender}` in it is the account. `route` is
    the portal's route, for HTTPS. `signer` is the line of the key that signs receipts.
    """

    to: str
    user: str = ""
    key: str = ""
    known_hosts: str = ""
    trust: str = ""
    token_file: str = ""
    receipts: str = ""
    route: str = ""
    signer: str = ""


def connect(access: Access, credentials: Credentials) -> Inbox:
    """Sign in. Raises BadAddress, and a DropslotError for what the server refuses; one that is `retryable` may go away
    by itself."""
    module, name = _PROTOCOLS[scheme(access.to)]
    inbox: Inbox = getattr(import_module(module), name)(access, credentials)
    return inbox


def scheme(to: str) -> str:
    """`sftp`, `https` or `http` (for a portal on this machine); raises BadAddress for all else."""
    found = addresses.scheme_of(to)
    if found not in _PROTOCOLS:
        raise BadAddress(
            f"'{escape(to)}' is not the address of an inbox: {_EXPECTED}", where="Nothing was sent"
        )
    return found


def place(to: str) -> str:
    """The inbox without the account: the same for everybody who sends there, in one spelling. Raises BadAddress."""
    try:
        if scheme(to) == SFTP:
            address = addresses.parse(to)._replace(user="")
            _require_name(address.host)
            return address.url
        return _portal(to)
    except ValueError as error:
        raise BadAddress(
            f"The address '{escape(to)}' cannot be used: {error}", where="Nothing was sent"
        ) from error


def _portal(to: str) -> str:
    parts = urlsplit(to)
    if parts.username or parts.password or not parts.hostname:
        raise ValueError("expected https://HOST, without an account: a token says who you are")
    _require_name(parts.hostname)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme.lower()}://{host}{port}{parts.path.rstrip('/')}"


def _require_name(host: str) -> None:
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError("no server can have this name") from None
    if len(host.split()) != 1:
        raise ValueError("expected no blanks in the name of the server")
