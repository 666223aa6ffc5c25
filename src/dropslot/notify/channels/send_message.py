"""Sends one message to one target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dropslot.mail.section import mail_of

if TYPE_CHECKING:
    from dropslot.config import Config
    from dropslot.notify.channels.message import Message
    from dropslot.notify.channels.target import Target


def send(config: Config, target: Target, message: Message, *, allowed: Sequence[str] = ()) -> None:
    """Have one message sent to one target; returns once the other side has taken it. `allowed`: private addresses that
    services may be at. Raises NotSent, NeverSent where trying again is of no use, and ConfigError for a secret that
    cannot be read. Not inside a transaction: it may take half a minute."""
    if target.mail:
        from dropslot.notify.channels import by_mail

        by_mail.send(mail_of(config), target.mail, message)
    else:
        from dropslot.notify.channels import by_service

        by_service.send(target, message, allowed)
