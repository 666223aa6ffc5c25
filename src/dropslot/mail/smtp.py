"""Sends a mail by the server of config.yaml, through Django's own backend, and says in words why it could not."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from dropslot.config.secrets import secret
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.mail.section import Mail

SECONDS = 5.0  # for each answer of the server


class MailUnsent(DropslotError):
    """The mail server did not take a mail, or cannot be reached; nothing is kept of the mail."""

    code = "mail"
    retryable = True


class MailRefused(MailUnsent):
    """The server will never take this mail: it does not know the address, or refuses the content."""

    code = "mail-refused"
    retryable = False


def send(mail: Mail, message: EmailMessage, seconds: float = SECONDS) -> None:
    """Have one mail sent; returns once the server has taken it. `seconds` is for each answer of the server. Raises
    MailUnsent, and MailRefused if it will never take this mail."""
    with _connected(mail, seconds) as backend:
        message.from_email = mail.from_
        backend.send_messages([message])


def prove(mail: Mail) -> None:
    """Connect, encrypt and sign in as for a mail, and send none. Raises MailUnsent."""
    with _connected(mail):
        pass


@contextmanager
def _connected(mail: Mail, seconds: float = SECONDS) -> Iterator[EmailBackend]:
    server = mail.server
    backend = EmailBackend(
        host=server.host,
        port=server.port,
        username=server.user,
        password=(secret(mail.password) or "") if mail.password else "",
        use_tls=mail.uses_starttls,
        use_ssl=server.scheme == "smtps",
        timeout=seconds,
        fail_silently=False,
    )
    try:
        backend.open()
        yield backend
    except (OSError, smtplib.SMTPException) as error:
        what, remedy = _in_words(error, mail, seconds)
        kind = MailRefused if _is_for_good(error) else MailUnsent
        raise kind(
            f"The mail server {server} {what}", next_step=f"{remedy[:1].upper()}{remedy[1:]}"
        ) from error
    finally:
        _close(backend)


def _close(backend: EmailBackend) -> None:
    try:
        backend.close()
    except (OSError, smtplib.SMTPException):
        backend.connection = None  # it is gone already


def _is_for_good(error: Exception) -> bool:
    """Whether the server has refused the address or the mail for ever (RFC 5321, 4.2.1), rather than for now."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            return all(code >= 500 for code, _ in error.recipients.values())
        case smtplib.SMTPDataError():
            return error.smtp_code >= 500
        case _:
            return False


def _in_words(error: Exception, mail: Mail, seconds: float) -> tuple[str, str]:
    """What happened, and what to do about it."""
    at_key = "correct mail.smtp in config.yaml"
    if isinstance(error, smtplib.SMTPServerDisconnected) and isinstance(error.__context__, TimeoutError):
        error = error.__context__  # smtplib has no word of its own for it
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"has a certificate that this machine does not trust: {error.verify_message}",
                "write the name that is in the certificate, or add its authority to this machine's: put its .crt into"
                " /usr/local/share/ca-certificates, then run update-ca-certificates",
            )
        case ssl.SSLError():
            return "does not speak TLS as expected", "smtps:// is for port 465, smtp:// for ports 587 and 25"
        case socket.gaierror():
            return "has a name that cannot be looked up", at_key
        case ConnectionRefusedError():
            return "refuses connections", f"start it, or {at_key}"
        case TimeoutError():
            return f"does not answer within {seconds:.0f} s", f"a firewall may be in between; or {at_key}"
        case smtplib.SMTPAuthenticationError():
            return (
                f"does not accept the user and password: {_answer(error)}",
                f"correct the secret {mail.password}",
            )
        case smtplib.SMTPNotSupportedError():
            return (
                f"cannot do what is needed: {escape(str(error))}",
                "use another server or port; `starttls: false` only for a relay of your own network",
            )
        case smtplib.SMTPSenderRefused():
            return (
                f"does not take mail from {mail.from_}: {_answer(error)}",
                "correct mail.from in config.yaml",
            )
        case smtplib.SMTPRecipientsRefused():
            refused = next(iter(error.recipients.values()), (0, b""))
            return f"does not take mail for the address: {_text(*refused)}", "correct the account's address"
        case smtplib.SMTPResponseException():
            return f"refused: {_answer(error)}", "ask the people who run it"
        case smtplib.SMTPServerDisconnected():
            return "ended the connection", f"the server's log says why; or {at_key}"
        case _:
            return f"cannot be used: {escape(str(error))}", at_key


def _answer(error: smtplib.SMTPResponseException) -> str:
    return _text(error.smtp_code, error.smtp_error)


def _text(code: int, words: bytes | str) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return escape(f"{code} {' '.join(text.split())}"[:300])
