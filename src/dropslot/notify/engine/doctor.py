"""What is wrong with notifications, for `doctor`, `health` and the start of the service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from dropslot.arrivals.registry import Finding, Late
from dropslot.config import Config
from dropslot.core.errors import BadOption
from dropslot.core.names import escape
from dropslot.core.showing.quantities import counted
from dropslot.core.troubles import TroubleKind
from dropslot.mail.section import mail_of
from dropslot.notify.models import GIVEN_UP, SENDING, UNKNOWN, WAITING, Message
from dropslot.notify.section import SENDER, STUDY, all_targets, is_wanted

_ABOUT = "notifications"
LATE = timedelta(minutes=15)
_LATELY = timedelta(days=7)
_SHOWN = 5
_NEED_MAIL = (SENDER, STUDY)


def require_usable(config: Config) -> None:
    """Raise BadOption if a target needs a mail server, and config.yaml has none."""
    if mail_of(config) is not None:
        return
    for where, target in all_targets(config):
        if target in _NEED_MAIL or target.startswith("mailto:"):
            raise BadOption(
                f"{where}: {target} is told by mail, and config.yaml has no mail server",
                next_step="Add `mail: {server: smtp://mail.lab.example, from: dropslot@lab.example}` to it",
            )


def examine(config: Config) -> Iterator[Finding]:
    """Targets that cannot be told, and messages that were not sent, or perhaps not."""
    try:
        require_usable(config)
    except BadOption as error:
        yield Finding("error", _ABOUT, error.what, error.next_step)
    if is_wanted(config):
        yield from _unsent()
    yield from _ended(GIVEN_UP, "was not sent, and is not tried again")
    yield from _ended(UNKNOWN, "was interrupted while it was sent: whether it arrived is not known")


def _failing() -> QuerySet[Message]:
    """Those whose last attempt failed, also while they are tried again."""
    tried = Message.objects.filter(state__in=(WAITING, SENDING), attempts__gt=0).exclude(error="")
    return tried.order_by("made_at")


def _unsent() -> Iterator[Finding]:
    for row in _failing()[:_SHOWN]:
        what = f"a message to {escape(row.target)} was tried {counted(row.attempts, 'time')}: {row.error}"
        yield Finding("warning", _ABOUT, what, "it is tried again; `dropslot notify --test` tries at once")


def _ended(state: str, what: str) -> Iterator[Finding]:
    rows = Message.objects.filter(state=state, ended_at__gt=timezone.now() - _LATELY).order_by("-ended_at")
    for row in rows[:_SHOWN]:
        when = f"{row.tried_at or row.made_at:%Y-%m-%d %H:%M} UTC"
        why = f" ({row.error})" if state == GIVEN_UP else ""
        line = f"the message of {when} to {escape(row.target)} {what}{why}: {row.title}"
        yield Finding("warning", _ABOUT, line, "tell them, if it still matters")


def late(config: Config) -> Iterator[Late]:
    """Messages that cannot be sent for some time, and places that take none. Where nobody is told of anything any more,
    none is tried."""
    if not is_wanted(config):
        return
    yield from _refusing(config)
    now = timezone.now()
    oldest = _failing().first()
    if oldest is not None and now - oldest.made_at > LATE:
        what = f"{counted(_failing().count(), 'message')} cannot be sent: {oldest.error}"
        remedy = "dropslot notify --test says what is wrong"
        yield Late(_ABOUT, what, remedy, kind=TroubleKind.NOTIFY, since=oldest.made_at + LATE)


def _refusing(config: Config) -> Iterator[Late]:
    """Places of config.yaml that refused the last message for good: it is not tried again, and nobody may notice."""
    of_same = Message.objects.filter(recipient=OuterRef("recipient"), ended_at__isnull=False)
    last = Subquery(of_same.order_by("-ended_at").values("pk")[:1])
    given_up = Message.objects.filter(state=GIVEN_UP, ended_at__gt=timezone.now() - _LATELY, pk=last)
    named = {text for _, text in all_targets(config)}
    for row in given_up.filter(recipient__key__in=named).order_by("ended_at"):
        what = f"the last one was not sent, and is not tried again: {row.error}"
        remedy = "correct the address in config.yaml; then dropslot notify --test, and restart the service"
        about = f"messages to {escape(row.target)}"
        yield Late(about, what, remedy, kind=TroubleKind.NOTIFY, since=row.ended_at)
