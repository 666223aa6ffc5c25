"""A mail server on a loopback port, in a thread: keeps what it gets; with STARTTLS and a password, TLS, or neither."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from certificates import make_certificate
from dropslot.core.context import kept
from dropslot.mail.posting import Posting
from ports import free_port
from waiting import wait_until

USER, SECRET = "dropslot", "the mail server's password"


@dataclass
class Letter:
    """One mail as it came in."""

    sender: str
    to: list[str]
    message: EmailMessage
    was_encrypted: bool

    @property
    def text(self) -> str:
        return str(self.message.get_content()).replace("\r\n", "\n")


@dataclass
class Mailbox:
    """`key` is what config.yaml's `mail` says for this server."""

    key: dict[str, Any]
    refuses: str = ""  # an answer to every recipient
    letters: list[Letter] = field(default_factory=list)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        assert server.transport is not None
        encrypted = server.transport.get_extra_info("ssl_object") is not None
        self.letters.append(Letter(str(envelope.mail_from), list(envelope.rcpt_tos), message, encrypted))
        return "250 taken"


class _Session(SMTP):
    """Keeps which connections are open: what is open when the thread ends would never be closed."""

    opened: ClassVar[set[int]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opened.add(id(self))
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.opened.discard(id(self))


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Session(self.handler, **self.SMTP_kwargs)


def _knows(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (
        USER.encode(),
        SECRET.encode(),
    )
    return AuthResult(success=known, handled=False)


def _context(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for localhost that this machine trusts."""
    file = make_certificate(folder, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, file.with_suffix(".key"))
    return context


@pytest.fixture
def make_mailbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Mailbox]]:
    """`make_mailbox(how)`; how: `plain`, `starttls` with a password, or `tls`."""
    started: list[Controller] = []

    def make(how: str = "plain") -> Mailbox:
        port = free_port()
        box = Mailbox({"server": f"smtp://localhost:{port}", "from": "dropslot <dropslot@lab.example>"})
        more: dict[str, Any] = {}
        if how == "starttls":
            more = {"tls_context": _context(tmp_path / "tls", monkeypatch), "require_starttls": True}
            more |= {"authenticator": _knows, "auth_required": True}
            monkeypatch.setenv("MAIL_SECRET", SECRET)
            box.key |= {
                "server": f"smtp://{USER}@localhost:{port}",
                "password": "MAIL_SECRET",
                "starttls": True,
            }
        elif how == "tls":
            more = {"ssl_context": _context(tmp_path / "tls", monkeypatch)}
            box.key["server"] = f"smtps://localhost:{port}"
        controller = _Controller(box, hostname="127.0.0.1", port=port, **more)
        controller.start()
        started.append(controller)
        return box

    yield make
    kept(Posting).end()  # no mail is on its way any more
    wait_until(lambda: not _Session.opened, what="the end of all connections")
    for controller in started:
        controller.stop()
