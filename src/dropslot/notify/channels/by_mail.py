"""A message by mail: text and HTML, one recipient."""

from __future__ import annotations

from email.utils import parseaddr

from django.core.mail import EmailMultiAlternatives

from dropslot.mail import smtp
from dropslot.mail.section import Mail
from dropslot.notify.channels.message import Message, NeverSent, NotSent

SECONDS = 30.0  # for each answer: some servers look for viruses before they take a mail


def send(mail: Mail | None, address: str, message: Message) -> None:
    """Returns once the server has taken it. Raises NotSent, and NeverSent if it will never take this one."""
    if mail is None:
        raise NeverSent("config.yaml has no mail server", next_step="Set the key mail")
    try:
        smtp.send(mail, letter(mail, address, message), seconds=SECONDS)
    except smtp.MailUnsent as error:
        kind = NotSent if error.retryable else NeverSent
        raise kind(error.what, next_step=error.next_step) from error


def letter(mail: Mail, address: str, message: Message) -> EmailMultiAlternatives:
    """The mail. Its id is the same each time that it is sent, so that programs of mail show it once; the other headers
    keep those who are away from answering."""
    domain = parseaddr(mail.from_)[1].rpartition("@")[2]
    headers = {
        "Message-ID": f"<{message.id}@{domain}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    made = EmailMultiAlternatives(message.subject, message.text, mail.from_, [address], headers=headers)
    if message.html:
        made.attach_alternative(message.html, "text/html")
    return made
