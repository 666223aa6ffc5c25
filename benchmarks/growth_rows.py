"""Rows of an installation that has run for long, written by PostgreSQL itself and by COPY.

A thousand inboxes, ten items an arrival, three events an arrival in a chain that verifies. Rows may be added to those
that are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.db import connection

ITEMS = 10  # an arrival
EVENTS = 3
_INBOXES = 1000
_FIRST = datetime(2024, 1, 1, tzinfo=UTC)
_ID = "'01J' || lpad(n::text, 23, '0')"  # digits alone are a ULID too, and older than those of today

_ARRIVALS = f"""
INSERT INTO dropslot_arrival (id, route, inbox, name, name_bytes, is_folder, in_place, sender, location, fields, state,
    reason, items, size_bytes, attempts, epoch, worker, evidence, intent, dropped_at, received_at, finished_at,
    archived_as, rank)
SELECT {_ID}, 'route', '/elsewhere/inbox' || mod(n, {_INBOXES}), 'old' || n, convert_to('old' || n, 'UTF8'),
    true, false, 'tech' || mod(n, 40), '', '{{}}', 'done', '[]', {ITEMS}, {ITEMS} * 4096, 1, 1, '', '{{"uid": 1000}}',
    '{{}}', at, at + interval '1 second', at + interval '2 seconds',
    '/elsewhere/done' || mod(n, {_INBOXES}) || '/old' || n, n
FROM generate_series(%s::bigint, %s::bigint) AS n,
    LATERAL (SELECT timestamptz '2024-01-01 00:00Z' + n * interval '1 second' AS at) AS times
"""
_DELIVERIES = f"""
INSERT INTO dropslot_delivery (arrival_id, place_id, item, stored_as, version, outcome, superseded, sha256, size_bytes,
    mtime_ns, mime)
SELECT {_ID}, %s + mod(n, {_INBOXES}), 'scan-' || k || '.nii.gz', 'old' || n || '/scan-' || k || '.nii.gz', 1,
    'delivered', false, encode(sha256(convert_to(n || '-' || k, 'UTF8')), 'hex'), 4096, 0, ''
FROM generate_series(%s::bigint, %s::bigint) AS n, generate_series(1, {ITEMS}) AS k
"""
_RECEIPTS = f"""
INSERT INTO dropslot_receipt (arrival, body, signature)
SELECT {_ID}, repeat(md5(n::text), 22), repeat(md5((n + 1)::text), 10) FROM generate_series(%s::bigint, %s::bigint) AS n
"""


def fill(before: int, deliveries: int) -> None:
    """Add rows until there are that many deliveries; `before` of them are there already."""
    first, last = before // ITEMS + 1, deliveries // ITEMS
    with connection.cursor() as cursor:
        place = _places()
        cursor.execute(_ARRIVALS, [first, last])
        cursor.execute(_DELIVERIES, [place, first, last])
        cursor.execute(_RECEIPTS, [first, last])
    _events(first, last)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _places() -> int:
    """The key of the first of a thousand places, which are made once."""
    from dropslot.arrivals.models import Place

    known = Place.objects.filter(url="/elsewhere/place0").values_list("id", flat=True).first()
    if known is None:
        made = Place.objects.bulk_create(Place(url=f"/elsewhere/place{n}") for n in range(_INBOXES))
        known = made[0].pk
    return int(known)


def _events(first: int, last: int) -> None:
    """Appended to the chain that is there."""
    from dropslot.audit.chain import head

    seq, previous = head()
    connection.ensure_connection()
    columns = "seq, at, kind, arrival, data, hash"
    with (
        connection.connection.cursor() as cursor,
        cursor.copy(f"COPY dropslot_event ({columns}) FROM STDIN") as copy,
    ):
        for row in _linked(first, last, seq, previous):
            copy.write_row(row)


def _linked(first: int, last: int, seq: int, previous: str) -> Iterator[tuple[int, str, str, str, str, str]]:
    from dropslot.audit.chain import hash_of, timestamp

    for number in range(first, last + 1):
        arrival, at = f"01J{number:023}", timestamp(_FIRST + timedelta(seconds=number))
        for kind, data in _told(number):
            seq += 1
            previous = hash_of(previous, seq, at, kind, arrival, data)
            yield seq, at, kind, arrival, data, previous


def _told(number: int) -> Iterator[tuple[str, str]]:
    inbox = f"/elsewhere/inbox{number % _INBOXES}"
    claimed = {"in_place": False, "inbox": inbox, "name": f"old{number}", "route": "route", "sender": "tech"}
    manifests = {f"/elsewhere/place{number % _INBOXES}": "0" * 64}
    for kind, data in (
        ("claimed", claimed),
        ("started", {"attempt": 1, "epoch": 1, "worker": "server:1000:0a0b0c0d"}),
        ("delivered", {"epoch": 1, "manifests": manifests, "outcomes": {"delivered": ITEMS}}),
    ):
        yield kind, json.dumps(data, sort_keys=True, separators=(",", ":"))
