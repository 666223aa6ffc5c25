"""Makes a message of what was written down for a recipient, and marks it as being sent, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F
from ulid import ULID

from dropslot.config import Config
from dropslot.core.showing.quantities import counted
from dropslot.notify.channels.message import Fact, Notice
from dropslot.notify.channels.target import Target
from dropslot.notify.engine import alike
from dropslot.notify.engine.alike import Heap
from dropslot.notify.engine.turns import Turn, pause
from dropslot.notify.engine.whom import To
from dropslot.notify.engine.writing_down import heap_of
from dropslot.notify.models import SENDING, WAITING, Group, Message, Preference, Recipient
from dropslot.notify.section import is_named
from dropslot.notify.targets_of_people import target_of_user

_LISTED = 20  # heaps in one message; the others are counted


class Marked(NamedTuple):
    """A message that this process sends now, and nobody else ever does. `target` is None if its recipient cannot be
    told any more."""

    id: str
    attempts: int
    target: Target | None
    notice: Notice


def mark(config: Config, turn: Turn, worker: str, now: datetime) -> Marked | None:
    """Make the message of a turn, or take it again with what came since. None: another process has it."""
    with transaction.atomic():
        row = turn.message or _new(config, turn.recipient, now)
        if row is None:
            transaction.set_rollback(True)
            return None
        mine = Message.objects.filter(pk=row.pk, state=WAITING)
        if not mine.update(
            state=SENDING, worker=worker, tried_at=now, due_at=None, attempts=F("attempts") + 1
        ):
            return None
        notice = _given(row) if row.notice is not None else _of_groups(config, row)
        target = target_of_recipient(config, turn.recipient)
        Message.objects.filter(pk=row.pk).update(title=notice.title, target=_shown(target, turn.recipient))
    return Marked(row.pk, row.attempts + 1, target, notice)


def target_of_recipient(config: Config, recipient: Recipient) -> Target | None:
    """Where they are told now; None: nowhere, since the account is not active or has no address any more, or
    config.yaml does not name the place any more."""
    if recipient.user is None:
        return Target(recipient.key) if is_named(config, recipient.key) else None
    text = target_of_user(recipient.user, Preference.objects.filter(user=recipient.user).first())
    return Target(text, is_own=True) if text else None


def _shown(target: Target | None, recipient: Recipient) -> str:
    return str(target or ("" if recipient.user_id else Target(recipient.key)))


def _new(config: Config, recipient: Recipient, now: datetime) -> Message | None:
    """None: another process has just made one of all that there was."""
    seconds = pause(config, recipient, now)
    Recipient.objects.filter(pk=recipient.pk).update(last_at=now, pause_seconds=seconds)
    row = Message.objects.create(id=str(ULID()), recipient=recipient, made_at=now, due_at=now)
    return row if _join(row) else None


def _join(row: Message) -> int:
    """Have a message tell all that waits for its recipient; returns how much there was."""
    return Group.objects.filter(recipient=row.recipient_id, message=None).update(message=row)


def _given(row: Message) -> Notice:
    return notice_from(row.notice or {})


def notice_from(stored: Mapping[str, Any]) -> Notice:
    """A notice that was kept as JSON."""
    return Notice(**{**stored, "facts": [Fact(**fact) for fact in stored.get("facts", ())]})


def as_json(notice: Notice) -> dict[str, Any]:
    """The form in which it is kept."""
    return asdict(notice)


def _of_groups(config: Config, row: Message) -> Notice:
    _join(row)
    return notice_of(heaps_of(row), base_of(config), config.zone)


def heaps_of(row: Message) -> list[Heap]:
    """What a message tells, what happened first being first. An earlier attempt and what came since may have the
    same."""
    to = To(row.recipient.key, row.recipient.user_id)
    found: dict[str, Heap] = {}
    for group in Group.objects.filter(message=row).order_by("first_seq", "pk"):
        heap = heap_of(to, group)
        if (same := found.setdefault(heap.digest, heap)) is not heap:
            same.add(heap)
    return list(found.values())


def base_of(config: Config) -> str:
    """The address of the portal; empty: there is none."""
    from dropslot.access.section import address, portal_of

    portal = portal_of(config)
    return address(portal) if portal else ""


def notice_of(heaps: Sequence[Heap], base: str, zone: tzinfo) -> Notice:
    """One message for all of it: a single heap is listed one by one, of several each is a line."""
    if len(heaps) == 1:
        [heap] = heaps
        facts = alike.facts_of_one(heap, base, zone)
        return Notice(heap.news, alike.title(heap), facts, heap.count - len(facts), alike.level(heaps))
    facts = [alike.fact_of_many(heap, base, zone) for heap in heaps[:_LISTED]]
    return Notice("several", _title(heaps), facts, len(heaps) - len(facts), alike.level(heaps))


def _title(heaps: Sequence[Heap]) -> str:
    """Of what is worst, and how much else there is."""
    if not heaps:
        return "Nothing happened"
    worst = max(heaps, key=lambda heap: (_weight(heap), heap.count))
    return f"{alike.title(worst)}, and {counted(len(heaps) - 1, 'other thing')}"


def _weight(heap: Heap) -> int:
    return {"success": 0, "info": 1, "warning": 2, "failure": 3}[alike.level([heap])]
