"""From events to rows: what is to be told is written down in the transaction that moves the reader of the trail, so
that after a crash nothing is missing and nothing is there twice."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from dropslot.audit import outbox
from dropslot.config import Config
from dropslot.notify.engine import alike, happenings
from dropslot.notify.engine.accounts_to_notify import wanted_news
from dropslot.notify.engine.alike import Alike, Heap
from dropslot.notify.engine.whom import Rules, To
from dropslot.notify.models import Group, Recipient
from dropslot.notify.section import is_wanted, targets_of

READER = "notify"
AT_ONCE = 2000  # events
MOST_HEAPS = 50  # that one recipient has at a time; then reasons are no longer told apart
_LAG = 10_000  # events of other kinds, after which the reader is moved on


def listen(config: Config) -> None:
    """Called at the start of the service or a drain: from then on people are told of what happens. What happened before
    anybody was to be told is not told."""
    if is_wanted(config):
        outbox.begin(READER)
    else:
        outbox.end(READER)


def write_down(config: Config) -> int:
    """Take in the next events, and write down who is told what. Returns how many events there were."""
    if not outbox.is_behind(READER):
        return 0
    wanted = wanted_news(lambda news: any(targets_of(config, route, news) for route in ("", *config.routes)))
    ahead = outbox.look_ahead(READER, happenings.kinds(wanted), at_most=AT_ONCE)
    if ahead is None or (not ahead.events and ahead.end - ahead.begin < _LAG):
        return 0
    # Before the transaction: on SQLite deliveries wait while it lasts.
    happened = list(happenings.read(ahead.events))
    found = alike.heaps(Rules(config, happened).all())
    with transaction.atomic():
        if outbox.take(READER, ahead):
            put(found)
    return len(ahead.events)


def put(found: Sequence[Heap]) -> None:
    """Add to what waits for the next message of each recipient; within the caller's transaction."""
    if not found:
        return
    recipients = recipients_of({heap.to for heap in found})
    found = _limited(found, recipients)
    waiting = {
        (row.recipient_id, row.digest): row
        for row in Group.objects.filter(
            message=None, recipient__in=recipients.values(), digest__in={heap.digest for heap in found}
        )
    }
    new, grown = [], []
    for heap in found:
        recipient = recipients[heap.to.key]
        if (row := waiting.get((recipient.pk, heap.digest))) is None:
            new.append(_row(heap, recipient))
        else:
            _add(row, heap)
            grown.append(row)
    Group.objects.bulk_create(new)
    Group.objects.bulk_update(grown, ["content", "count", "last_seq"])


def recipients_of(wanted: Collection[To]) -> dict[str, Recipient]:
    """Their rows, made if they are not there yet."""
    keys = {to.key for to in wanted}
    known = {row.key: row for row in Recipient.objects.filter(key__in=keys)}
    missing = [Recipient(key=to.key, user_id=to.user) for to in wanted if to.key not in known]
    if missing:
        Recipient.objects.bulk_create(missing, ignore_conflicts=True)
        known = {row.key: row for row in Recipient.objects.filter(key__in=keys)}
    return known


def heap_of(to: To, row: Group) -> Heap:
    """A row as what it says."""
    content = Alike(**row.content)
    return Heap(to, row.digest, row.news, content, row.count, row.first_seq, row.last_seq)


def _row(heap: Heap, recipient: Recipient) -> Group:
    return Group(
        recipient=recipient,
        digest=heap.digest,
        news=heap.news,
        content=heap.alike.as_json(),
        count=heap.count,
        first_seq=heap.first_seq,
        last_seq=heap.last_seq,
        noted_at=timezone.now(),
    )


def _add(row: Group, heap: Heap) -> None:
    whole = heap_of(heap.to, row)
    whole.add(heap)
    row.content, row.count, row.last_seq = whole.alike.as_json(), whole.count, whole.last_seq


def _limited(found: Sequence[Heap], recipients: dict[str, Recipient]) -> list[Heap]:
    """With fewer heaps for those who would have too many."""
    rows = Group.objects.filter(message=None, recipient__in=recipients.values()).values("recipient")
    waiting = {row["recipient"]: row["count"] for row in rows.annotate(count=Count("pk")).order_by()}
    merged: dict[tuple[str, str], Heap] = {}
    for heap in found:
        pk = recipients[heap.to.key].pk
        waiting[pk] = waiting.get(pk, 0) + 1
        one = alike.for_other_reasons(heap) if waiting[pk] > MOST_HEAPS else heap
        if (same := merged.setdefault((one.to.key, one.digest), one)) is not one:
            same.add(one)
    return list(merged.values())
