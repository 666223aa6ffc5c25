"""`python -m benchmarks.portal_data DELIVERIES`: what a portal shows after years, by the product's own models.

Run with DROPSLOT_CONFIG set. A tenth as many arrivals as deliveries: 30 % study folders with 31 files each on average,
70 % single results, a third of which was fetched. Some things are rare: the study `tiny`, the sender `rare`, one file
with `needle` in its name; all of them are the oldest. The events' hashes are not a chain: nothing here verifies it.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import django

_FIRST = datetime(2024, 1, 1, tzinfo=UTC)
_AT_ONCE = 1000  # arrivals
_STUDIES = ("heart", "lung", "kidney", "sleep", "ageing", "dementia", "twins", "balance")
_CLINICS = tuple(f"clinic{number:02}" for number in range(60))
_SENDERS = tuple(f"tech{number:02}" for number in range(40))


def fill(deliveries: int) -> None:
    """Make that many deliveries and a tenth as many arrivals, a thousand arrivals a transaction."""
    from django.db import transaction

    from dropslot.acknowledgments.models import Acknowledgment, LogReading
    from dropslot.arrivals.models import Arrival, Delivery
    from dropslot.audit.models import Event

    chance, total, seq, key = random.Random(11), deliveries // 10, 1, 1
    places: dict[str, Any] = {}
    for start in range(0, total, _AT_ONCE):
        arrivals, rows, events, fetches = [], [], [], []
        for number in range(start, min(start + _AT_ONCE, total)):
            arrival = _arrival(chance, number, total)
            items = _items(chance, number, arrival)
            arrival.items = len(items)
            arrivals.append(arrival)
            if arrival.state == "done":
                made = list(_deliveries(arrival, items, places, key))
                key += len(made)
                rows += made
                if arrival.route == "results" and number % 3 == 0:
                    fetches.append(_fetch(chance, arrival, made[0]))
            events += list(_events(arrival, seq, fetches[-1] if fetches else None))
            seq = events[-1].seq + 1
        with transaction.atomic():
            Arrival.objects.bulk_create(arrivals)
            Delivery.objects.bulk_create(rows)
            Event.objects.bulk_create(events)
            Acknowledgment.objects.bulk_create(fetches)
            LogReading.objects.bulk_create(_reading(arrival, fetches) for arrival in arrivals[::4])
    _settle()


def _settle() -> None:
    """Keys count on from here, and the planner knows the tables."""
    from django.core.management.color import no_style
    from django.db import connection

    from dropslot.arrivals.models import Delivery

    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [Delivery]):
            cursor.execute(statement)
        cursor.execute("ANALYZE")


def _arrival(chance: random.Random, number: int, total: int) -> Any:
    from ulid import ULID

    from dropslot.arrivals.models import Arrival

    at = _FIRST + timedelta(minutes=10 * number, seconds=chance.random() * 500)
    is_study = number % 10 < 3
    sender = "rare" if number < 20 else chance.choice(_SENDERS)
    if is_study:
        study = "tiny" if number < 20 else chance.choice(_STUDIES)
        visit = f"pc{chance.randrange(30):02}-visit{number}"
        name, fields = f"{study}-{visit}", {"study": study, "sent": visit}
    else:
        clinic = chance.choice(_CLINICS)
        name = f"{clinic}-066-{chance.randrange(10**8):08}-{chance.randrange(10)}.pdf"
        fields = {"folder": clinic}
    failed = number % 400 == 7
    return Arrival(
        id=str(ULID.from_datetime(at)),
        route="study" if is_study else "results",
        inbox="/elsewhere/inbox",
        name=name,
        name_bytes=name.encode(),
        is_folder=is_study,
        sender=sender,
        location=f"Building {chance.choice('ABCD')}",
        fields=fields,
        state="failed" if failed else "retrying" if number > total - 5 else "done",
        reason=["The PDF does not contain its own name"] if failed else [],
        size_bytes=4096,
        attempts=1,
        epoch=1,
        dropped_at=at,
        received_at=at,
        finished_at=at + timedelta(seconds=2),
        archived_as=name,
    )


def _items(chance: random.Random, number: int, arrival: Any) -> list[str]:
    if not arrival.is_folder:
        return [arrival.name]
    subject = f"sub-{chance.randrange(5000):04}"
    names = [
        f"{subject}/ses-{item % 4:02}/{kind}/{subject}_run-{item:02}_{kind}.{ending}"
        for item in range(31)
        for kind, ending in [
            chance.choice((("anat", "nii.gz"), ("func", "nii.gz"), ("eeg", "edf"), ("log", "txt")))
        ]
    ]
    return [*names[:-1], "notes/needle in a haystack.txt"] if number == 11 else names


def _deliveries(arrival: Any, items: list[str], places: dict[str, Any], key: int) -> Iterator[Any]:
    from dropslot.arrivals.models import Delivery, Place

    root = os.environ["DROPSLOT_BENCH_ROOT"]
    fields = arrival.fields
    url = f"{root}/studies/{fields['study']}" if "study" in fields else f"{root}/clinics/{fields['folder']}"
    if url not in places:
        places[url] = Place.objects.get_or_create(url=url)[0]
    for number, item in enumerate(items):
        stored = f"{fields['sent']}/{item}" if "sent" in fields else item
        yield Delivery(
            id=key + number,
            arrival_id=arrival.id,
            place=places[url],
            item=item,
            stored_as=f"{stored}.{key + number}",
            version=1,
            outcome="delivered",
            sha256=sha256(f"{stored}{key}".encode()).hexdigest(),
            size_bytes=4096,
            mtime_ns=0,
        )


def _events(arrival: Any, seq: int, fetch: Any) -> Iterator[Any]:
    from dropslot.audit.chain import timestamp
    from dropslot.audit.models import Event

    claimed = {"route": arrival.route, "name": arrival.name, "sender": arrival.sender, "inbox": arrival.inbox}
    digest = sha256(arrival.id.encode()).hexdigest()
    outcomes = {"epoch": 1, "outcomes": {"delivered": arrival.items}, "manifests": {"/elsewhere": digest}}
    ends = {"failed": ("refused", {"epoch": 1, "reason": arrival.reason}), "done": ("delivered", outcomes)}
    told: list[tuple[str, dict[str, Any]]] = [("claimed", claimed), ("started", {"attempt": 1, "epoch": 1})]
    told += [ends[arrival.state]] if arrival.state in ends else []
    if fetch is not None and fetch.delivery.arrival_id == arrival.id:
        told.append(("acknowledged", _acknowledged(fetch)))
    for number, (kind, data) in enumerate(told):
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        at = timestamp(arrival.received_at)
        yield Event(seq=seq + number, at=at, kind=kind, arrival=arrival.id, data=text, hash="0" * 64)


def _acknowledged(fetch: Any) -> dict[str, Any]:
    delivery = fetch.delivery
    return {"user": fetch.user, "stored_as": delivery.stored_as, "destination": delivery.place.url}


def _fetch(chance: random.Random, arrival: Any, delivery: Any) -> Any:
    from ulid import ULID

    from dropslot.acknowledgments.models import Acknowledgment

    at = arrival.received_at + timedelta(hours=1)
    host, user = f"10.0.{chance.randrange(8)}.{chance.randrange(250)}", arrival.fields["folder"]
    line = f'{host} - {user} "GET /{delivery.stored_as}" 200'
    return Acknowledgment(
        id=str(ULID.from_datetime(at)),
        delivery=delivery,
        user=user,
        address=host,
        at=at,
        evidence="whole",
        log="/var/log/apache2/access.log",
        line=line.encode(),
        recorded_at=at,
    )


def _reading(arrival: Any, fetches: list[Any]) -> Any:
    from ulid import ULID

    from dropslot.acknowledgments.models import LogReading

    at = arrival.received_at
    return LogReading(
        id=str(ULID.from_datetime(at)),
        route="results",
        log="/var/log/apache2/access.log",
        started_at=at,
        ended_at=at,
        lines=1000,
        matches=len(fetches),
        acknowledged=len(fetches),
        error="The server did not answer" if arrival.id.endswith("00") else "",
    )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dropslot.portal_settings")
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    fill(int(sys.argv[1]))
