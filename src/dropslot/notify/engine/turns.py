"""When the next message of each recipient is due: after a moment in which more of the same may come, not too soon after
the last one, and not in quiet hours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Min

from dropslot.arrivals.delivery.guarded_writes import LONGEST_WAIT
from dropslot.config import Config
from dropslot.notify.hours import Quiet, quiet_of
from dropslot.notify.models import WAITING, Group, Message, Preference, Recipient
from dropslot.notify.section import notify_of

_LONGEST_WAIT = timedelta(seconds=LONGEST_WAIT)
LONGEST_STORM = 20  # times `every`
TEST = "test"  # the kind of a message that only shows that messages arrive


class Turn(NamedTuple):
    """One message that is to be sent at `at`. `message` is None if it is yet to be made of what was written down."""

    at: datetime
    recipient: Recipient
    message: Message | None


def turns(config: Config, now: datetime) -> Iterator[Turn]:
    """All that wait, in no order. A clock that was set back makes nobody wait."""
    waiting = list(Message.objects.filter(state=WAITING).select_related("recipient"))
    trying = {message.recipient_id for message in waiting if message.notice is None}
    noted = Group.objects.filter(message=None).exclude(recipient__in=trying)
    oldest = dict(noted.order_by().values_list("recipient").annotate(Min("noted_at")))
    quiet = _quiet_hours(config, [*oldest, *(message.recipient_id for message in waiting)])
    for message in waiting:
        due = message.due_at or now
        due = due if due <= now + _LONGEST_WAIT else now  # so far away it was before the clock was set back
        hours = None if _is_asked_for(message) else quiet.get(message.recipient_id)
        yield Turn(_after(config, due, now, hours), message.recipient, message)
    for pk, recipient in Recipient.objects.in_bulk(oldest).items():
        due = min(oldest[pk], now) + notify_of(config).gather
        if recipient.last_at is not None and recipient.last_at <= now:
            due = max(due, recipient.last_at + timedelta(seconds=recipient.pause_seconds))
        yield Turn(_after(config, due, now, quiet.get(pk)), recipient, None)


def _is_asked_for(message: Message) -> bool:
    """Whether somebody waits for it just now."""
    return message.notice is not None and message.notice["kind"] == TEST


def pause(config: Config, recipient: Recipient, now: datetime) -> int:
    """For how many seconds there is no other message after one that is begun now."""
    every = int(notify_of(config).every.total_seconds())
    last = recipient.last_at
    is_storm = last is not None and last <= now < last + timedelta(seconds=2 * recipient.pause_seconds)
    return min(2 * recipient.pause_seconds, LONGEST_STORM * every) if is_storm else every


def _after(config: Config, due: datetime, now: datetime, quiet: Quiet | None) -> datetime:
    """What was due before quiet hours began, and is late, waits for their end, too."""
    return (quiet and quiet.ends_after(max(due, now).astimezone(config.zone))) or due


def _quiet_hours(config: Config, recipients: list[int]) -> dict[int, Quiet | None]:
    usual = notify_of(config).quiet
    found: dict[int, Quiet | None] = dict.fromkeys(recipients, usual)
    users = dict(Recipient.objects.filter(pk__in=found, user__isnull=False).values_list("user", "pk"))
    for own in Preference.objects.filter(user__in=users).exclude(quiet=""):
        found[users[own.user_id]] = quiet_of(own.quiet)
    return found
