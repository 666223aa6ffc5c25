"""What became of messages: recorded, with an event of each that is finished."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from django.db import transaction
from django.utils import timezone

from dropslot.arrivals.delivery.guarded_writes import backoff
from dropslot.audit.chain import Entry, append
from dropslot.audit.event_payloads import Notified
from dropslot.audit.kinds import Kind, entry
from dropslot.config import Config
from dropslot.notify.engine import alike, make_message
from dropslot.notify.engine.alike import Alike, Heap
from dropslot.notify.engine.whom import To
from dropslot.notify.engine.writing_down import heap_of, put
from dropslot.notify.models import GIVEN_UP, SENDING, SENT, UNKNOWN, WAITING, Group, Message
from dropslot.notify.section import notify_of

log = structlog.get_logger()
_NAMED = 10  # heaps of a message that may not have arrived
INTERRUPTED = (
    "It was interrupted while it was sent: whether it arrived is not known, so that it is not sent again"
)


class Outcome(NamedTuple):
    """What became of one attempt. `error` is empty if the message was sent."""

    id: str
    attempts: int
    error: str = ""
    may_be_tried_again: bool = True


def record(config: Config, outcomes: Sequence[Outcome]) -> None:
    """Write down what became of attempts, all in one transaction. Raises DatabaseError; the same may then be recorded
    again."""
    now = timezone.now()
    events: list[Entry] = []
    with transaction.atomic():
        for outcome in outcomes:
            # Also one that was taken for interrupted: this process only was frozen, and knows better.
            rows = Message.objects.filter(
                pk=outcome.id, attempts=outcome.attempts, state__in=(SENDING, UNKNOWN)
            ).select_related("recipient__user")
            for row in rows:
                events += _record(config, row, outcome, now)
        append(events)


def _record(config: Config, row: Message, outcome: Outcome, now: datetime) -> list[Entry]:
    if not outcome.error:
        _end(row, SENT, now)
        return [entry(Kind.NOTIFIED, "", _payload(row))]
    lasts = outcome.may_be_tried_again and now - row.made_at < notify_of(config).give_up
    if lasts:
        wait = backoff(outcome.attempts)
        due_at = now + timedelta(seconds=wait)
        Message.objects.filter(pk=row.pk).update(state=WAITING, worker="", due_at=due_at, error=outcome.error)
        line = f"A message to {row.target} was not sent; it is tried again in {wait:.0f} s"
        log.warning(line, action="not_notified", error=outcome.error)
        return []
    if outcome.may_be_tried_again:
        _keep_newer(row)
    _end(row, GIVEN_UP, now, outcome.error)
    log.error(f"A message to {row.target} cannot be sent", action="not_notified", error=outcome.error)
    return [entry(Kind.NOT_NOTIFIED, "", {**_payload(row), "why": outcome.error})]


def _keep_newer(row: Message) -> None:
    """What joined a message after it was made has not waited as long, and is told by the next one."""
    newer = Group.objects.filter(message=row, noted_at__gt=row.made_at)
    to = To(row.recipient.key, row.recipient.user_id)
    put([heap_of(to, group) for group in newer])
    newer.delete()


def settle_interrupted(under_way: Collection[str]) -> int:
    """Called when this process begins to act: what is marked, but not under way in this process, was interrupted and is
    not sent again. The next message names it. Returns how many there were."""
    now = timezone.now()
    events = []
    with transaction.atomic():
        rows = Message.objects.filter(state=SENDING).exclude(pk__in=under_way)
        for row in rows.select_related("recipient__user"):
            _end(row, UNKNOWN, now, INTERRUPTED)
            put([_unsure(row)])
            events.append(entry(Kind.NOT_NOTIFIED, "", {**_payload(row), "why": INTERRUPTED}))
        append(events)
    return len(events)


def _end(row: Message, state: str, now: datetime, error: str = "") -> None:
    Message.objects.filter(pk=row.pk).update(state=state, ended_at=now, worker="", due_at=None, error=error)


def _unsure(row: Message) -> Heap:
    tried = row.tried_at or row.made_at
    heaps = make_message.heaps_of(row)
    named = "; ".join(alike.title(heap) for heap in heaps[:_NAMED]) or row.title
    more = f"; and {len(heaps) - _NAMED:,} more" if len(heaps) > _NAMED else ""
    what = f"It was sent at {tried:%Y-%m-%d %H:%M} UTC, and it is not known whether it arrived: {named}{more}"
    about = "A message before this one may not have arrived"
    content = Alike("", what, "Look in the portal, or at `dropslot arrivals` and `dropslot health`.", about)
    content.examples = [{"arrival": "", "name": "", "what": what, "at": ""}]
    first = min((heap.first_seq for heap in heaps), default=0)
    last = max((heap.last_seq for heap in heaps), default=0)
    to = To(row.recipient.key, row.recipient.user_id)
    return Heap(to, f"{alike.UNSURE}:{row.pk}", alike.UNSURE, content, 1, first, last)


def _payload(row: Message) -> Notified:
    heaps = make_message.heaps_of(row)
    news: dict[str, int] = {} if row.notice is None else {row.notice["kind"]: 1}
    for heap in heaps:
        news[heap.news] = news.get(heap.news, 0) + heap.count
    seqs = [heap.first_seq for heap in heaps] + [heap.last_seq for heap in heaps]
    user = row.recipient.user
    return {
        "message": row.pk,
        "to": row.target,
        "account": user.get_username() if user else "",
        "title": row.title,
        "news": news,
        "events": [min(seqs), max(seqs)] if seqs else [],
        "attempts": row.attempts,
    }
