"""What is wrong with the mail server, and how to fix it: for `doctor`."""

from __future__ import annotations

from collections.abc import Iterator

from dropslot.arrivals.registry import Finding
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.mail import smtp
from dropslot.mail.section import Mail, mail_of, missing_secret

_ABOUT = "mail"


def examine(config: Config) -> Iterator[Finding]:
    """Connect to it and sign in, as for a mail; none is sent."""
    mail = mail_of(config)
    if mail is None:
        return
    try:
        if missing := missing_secret(mail):
            yield Finding(
                "error", _ABOUT, f"the environment has no {missing}", f"set {missing}, or {missing}_FILE"
            )
            return
        smtp.prove(mail)
    except DropslotError as error:
        yield Finding("error", _ABOUT, error.what, error.next_step)
        return
    yield from _in_the_open(mail)
    yield Finding("ok", _ABOUT, f"{mail.server} takes mails from {mail.from_}")


def _in_the_open(mail: Mail) -> Iterator[Finding]:
    if mail.server.scheme == "smtp" and not mail.uses_starttls and not mail.server.is_loopback:
        what = (
            f"mails go to {mail.server} without encryption; links that set a password can be read on the way"
        )
        yield Finding("warning", _ABOUT, what, "remove `starttls: false`, or use smtps://")
