"""Records what a reading found damaged, and what is as it was delivered again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.db import transaction
from django.utils import timezone

from dropslot.audit import event_payloads
from dropslot.audit.chain import Entry, append
from dropslot.audit.kinds import Kind, entry
from dropslot.core.names import escape
from dropslot.keeping.fixity.fixity_report import GONE, Seen, StoredFile
from dropslot.keeping.models import Damage

_LISTED = 100
_AT_ONCE = 500


def note(seen: Sequence[Seen]) -> None:
    """Record what was found of a page of files, in a transaction of its own; none if all is as it was delivered."""
    if not any(one.fault and not one.is_away for one in seen) and not Damage.objects.exists():
        return
    with transaction.atomic():
        append(record(seen))


def record(seen: Sequence[Seen]) -> list[Entry]:
    """Write rows for files that are damaged now, and remove those of files that are as delivered again, in the caller's
    transaction; returns the events to append. What was known already is no event. A destination that does not answer
    says nothing. A file that is being mended is left to who mends it; after a try that failed it is not being
    mended."""
    known = _known([one.file.id for one in seen])
    damaged = [one for one in seen if one.fault and not one.is_away and _is_news(known.get(one.file.id), one)]
    intact = [one for one in seen if not one.fault and _is_left(known.get(one.file.id))]
    for one in damaged:
        values = {"found": one.found, "what": one.fault, "since": timezone.now(), "due_at": timezone.now()}
        none_yet = {"not_mended": "", "accepted_by": "", "accepted_because": "", "mending": "", "aside": ""}
        Damage.objects.update_or_create(delivery_id=one.file.id, defaults=values | none_yet)
    Damage.objects.filter(delivery_id__in=[one.file.id for one in intact]).delete()
    return [*_events(Kind.DAMAGED, damaged, known), *_events(Kind.INTACT_AGAIN, intact, known)]


def _known(ids: Sequence[int]) -> Mapping[int, Damage]:
    found: dict[int, Damage] = {}
    for at in range(0, len(ids), _AT_ONCE):
        rows = Damage.objects.select_for_update().filter(delivery_id__in=ids[at : at + _AT_ONCE])
        found |= {row.delivery_id: row for row in rows}
    return found


def _is_news(known: Damage | None, seen: Seen) -> bool:
    if known is None:
        return True
    if not known.accepted_by and (_is_mended_now(known) or (known.mending and seen.fault == GONE)):
        return False  # a failed try has set it aside
    return (known.found, known.what) != (seen.found, seen.fault)


def _is_left(known: Damage | None) -> bool:
    """Whether there is a row that nobody is working on."""
    return known is not None and (bool(known.accepted_by) or not _is_mended_now(known))


def _is_mended_now(known: Damage) -> bool:
    """Whether a try goes on, or was ended by a crash: the next one knows what to do."""
    return bool(known.mending) and not known.not_mended


def _events(kind: Kind, seen: Iterable[Seen], known: Mapping[int, Damage]) -> Iterator[Entry]:
    by_place: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for one in seen:
        by_place[one.file.arrival, one.file.url].append(one)
    for (arrival, url), some in by_place.items():
        data: event_payloads.Files = {
            "destination": url,
            "count": len(some),
            "files": [_shown(one, known.get(one.file.id)) for one in some[:_LISTED]],
        }
        if kind == Kind.DAMAGED:
            yield entry(Kind.DAMAGED, arrival, data)
        else:
            yield entry(Kind.INTACT_AGAIN, arrival, data)


def _shown(seen: Seen, known: Damage | None) -> Mapping[str, str]:
    """`set_aside`: where a mending that failed has put what was damaged before."""
    shown = {"stored_as": escape(seen.file.stored_as), "delivered": seen.file.sha256, "found": seen.found}
    shown |= {"what": seen.fault} if seen.fault and not seen.found else {}
    was_set_aside = known is not None and known.mending and known.found
    return shown | ({"set_aside": escape(known.aside)} if known and was_set_aside else {})


def file_of(row: Damage) -> StoredFile:
    """The stored file that a row is about."""
    delivery = row.delivery
    return StoredFile(
        delivery.id,
        delivery.arrival_id,
        delivery.place.url,
        delivery.stored_as,
        delivery.sha256,
        delivery.size_bytes,
    )


def accept(rows: Sequence[Damage], *, reason: str, by: str) -> None:
    """Record that somebody has decided about damaged files: they are no trouble any more, until they change again."""
    with transaction.atomic():
        ids = [row.delivery_id for row in rows]
        Damage.objects.filter(delivery_id__in=ids).update(
            accepted_by=by, accepted_because=reason, due_at=None
        )
        for row in rows:
            file = file_of(row)
            data: event_payloads.Files = {
                "destination": file.url,
                "count": 1,
                "files": [
                    {"stored_as": escape(file.stored_as), "delivered": file.sha256, "found": row.found}
                ],
                "by": by,
                "reason": reason,
            }
            append([entry(Kind.DAMAGE_ACCEPTED, file.arrival, data)])
