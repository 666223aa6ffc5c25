"""The texts of the portal's mails, from the templates that django-allauth names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from dropslot.access.section import address, portal_of
from dropslot.config import current
from dropslot.core.context import kept
from dropslot.mail.posting import Posting
from dropslot.mail.section import Mail

_SUBJECT = "dropslot: "
# What may be in a text; the rest, as the request and the account, is not for another thread.
_PLAIN = (str, int, float)


def post(mail: Mail, template: str, email: str, context: Mapping[str, Any]) -> None:
    """Have a mail sent; returns at once. TEMPLATE_subject.txt and TEMPLATE_message.txt are its text."""
    portal = portal_of(current())
    plain: dict[str, Any] = {key: value for key, value in context.items() if isinstance(value, _PLAIN)}
    plain |= {"portal": address(portal) if portal else "", "at": context.get("timestamp")}
    kept(Posting).post(mail, partial(_letter, template, email, plain))


def _letter(template: str, email: str, context: dict[str, Any]) -> EmailMessage:
    subject = " ".join(render_to_string(f"{template}_subject.txt", context).split())
    return EmailMessage(_SUBJECT + subject, render_to_string(f"{template}_message.txt", context), to=[email])
