"""The index changes how long a search takes, and never what it finds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ulid import ULID

from databases import Database
from dropslot.arrivals.listings import cursor_pages
from dropslot.arrivals.listings.queries import Filter
from dropslot.arrivals.listings.search import clauses, grams, index_tables, indexer
from dropslot.arrivals.models import Arrival, Delivery, Place
from dropslot.audit.chain import append
from dropslot.audit.kinds import Kind, entry
from dropslot.audit.models import Event
from dropslot.core.states import Outcome, State
from lanes import examples

BOTH_DATABASES = True

# Letters that databases and Unicode fold in different ways, and pieces that look alike.
_TEXTS = st.text(alphabet="abAB01.-éÉe\u0301ßſSsıİiΣςσäÄ%_\\'\"", max_size=6)
_FIRST = datetime(2026, 1, 31, 23, tzinfo=UTC)


@st.composite
def _arrivals(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "name": draw(_TEXTS) + "n",
        "sender": draw(st.sampled_from(["sam", "Sämi", "olga"])),
        "location": draw(_TEXTS),
        "fields": {"study": draw(st.sampled_from(["heart", "lung"])), "visit": draw(_TEXTS)},
        "route": draw(st.sampled_from(["study", "results"])),
        "state": draw(st.sampled_from([State.DONE, State.DONE, State.FAILED, State.READY])),
        "items": draw(st.lists(_TEXTS, max_size=3)),
        "hours": draw(st.integers(0, 24 * 400)),
    }


def record(number: int, given: dict[str, Any]) -> Arrival:
    """An arrival with its deliveries and events, as delivery writes them."""
    at = _FIRST + timedelta(hours=given["hours"])
    with transaction.atomic():
        row = Arrival.objects.create(
            id=str(ULID.from_datetime(at)),
            route=given["route"],
            inbox="/inbox",
            name=given["name"],
            name_bytes=b"",
            is_folder=True,
            sender=given["sender"],
            location=given["location"],
            fields=given["fields"],
            state=given["state"],
            received_at=at,
        )
        place, _ = Place.objects.get_or_create(url=f"/to/{given['fields']['study']}")
        if row.state == State.DONE:
            Delivery.objects.bulk_create(
                Delivery(
                    arrival=row,
                    place=place,
                    item=item,
                    stored_as=f"{number}/{item}",
                    version=1,
                    outcome=Outcome.UNCHANGED,
                    sha256=f"{number * 7919 % 65536:04x}" * 16,
                    size_bytes=1,
                    mtime_ns=0,
                )
                for item in given["items"]
            )
        kinds = {State.DONE: Kind.DELIVERED, State.FAILED: Kind.REFUSED}
        append([entry(kinds.get(row.state, Kind.CLAIMED), row.id, {"name": row.name, "é": given["items"]})])  # type: ignore[call-overload]
    return row


def _all(list_page: Any, seen: QuerySet[Any], wanted: Filter, limit: int) -> list[dict[str, Any]]:
    """The rows of all pages."""
    found, cursor = [], ""
    while True:
        page = list_page(seen, wanted, cursor, limit)
        found += page.items
        if page.next is None:
            return found
        assert len(page.items) == limit
        cursor = page.next


_LISTINGS = ((cursor_pages.arrivals, Arrival), (cursor_pages.history, Delivery), (cursor_pages.events, Event))


def _seen(model: type[Any]) -> QuerySet[Any]:
    return Delivery.objects.filter(arrival__state=State.DONE) if model is Delivery else model.objects.all()


@contextmanager
def without_index() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexer, "has_begun", lambda: False)
        yield


# The database stays from one example to the next, so that documents pile up.
@pytest.mark.deep
@settings(
    max_examples=examples(20, 60),
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_index_and_plain_scan_find_the_same(database: Database, data: st.DataObject) -> None:
    for given_ in data.draw(st.lists(_arrivals(), max_size=4)):
        record(Arrival.objects.count(), given_)
    wanted = data.draw(_filters())
    with without_index():
        plain = [_all(page, _seen(model), wanted, 7) for page, model in _LISTINGS]
    indexer.begin()
    for _ in range(data.draw(st.integers(0, 3))):
        indexer.catch_up(data.draw(st.sampled_from([1, 3, 50])))
    for (page, model), expected in zip(_LISTINGS, plain, strict=True):
        assert _all(page, _seen(model), wanted, data.draw(st.sampled_from([1, 3, 50]))) == expected


@st.composite
def _filters(draw: st.DrawFn) -> Filter:
    wanted = Filter(search=draw(st.one_of(_TEXTS, st.sampled_from(["01", "1E", "3", "01K", "delivered"]))))
    if draw(st.booleans()):
        wanted = replace(wanted, search="")
    chosen = draw(
        st.sets(st.sampled_from(["route", "state", "sender", "field", "since", "until"]), max_size=3)
    )
    moments = st.integers(0, 24 * 400).map(lambda hours: _FIRST + timedelta(hours=hours))
    values: dict[str, Any] = {
        "route": "study",
        "state": draw(st.sampled_from(list(State))).value,
        "sender": "Sämi",
        "field": ("study", "heart"),
        "since": draw(moments),
        "until": draw(moments),
    }
    return replace(wanted, **{key: values[key] for key in chosen})


@pytest.fixture
def filled(database: Database) -> None:
    for number in range(40):
        record(number, _plain(f"visit-{number:02}", number))


def _plain(name: str, hours: int) -> dict[str, Any]:
    return {
        "name": name,
        "sender": "sam",
        "location": "north",
        "fields": {"study": "heart"},
        "route": "study",
        "state": State.DONE,
        "items": ["scan.nii", "notes.txt"],
        "hours": hours,
    }


def _names(search: str) -> list[str]:
    return [row["name"] for row in _all(cursor_pages.history, _seen(Delivery), Filter(search=search), 9)]


def _document_counts() -> list[int]:
    found = []
    with connection.cursor() as cursor:
        for table in index_tables.ALL:
            cursor.execute(f"SELECT count(*) FROM {table.name}")
            found.append(int(cursor.fetchone()[0]))
    return found


@pytest.mark.usefixtures("filled")
def test_a_crash_of_the_indexer_repeats_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    indexer.begin()
    before = _names("visit")
    put = index_tables.Documents.put
    calls = itertools.count(1)

    def crashes(self: index_tables.Documents, documents: Any) -> None:
        put(self, documents)
        if next(calls) % 2:
            raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(index_tables.Documents, "put", crashes)
        for _ in range(20):
            with suppress(OSError):
                indexer.catch_up(7)
    assert _names("visit") == before
    while indexer.catch_up(7):
        pass
    assert _document_counts() == [40, 40, 1]
    assert not indexer.unread_arrivals().exists()
    assert (
        _names("visit") == before == [f"visit-{number:02}" for number in range(39, -1, -1) for _ in range(2)]
    )


@pytest.mark.usefixtures("filled")
def test_what_is_newer_than_the_index_is_found() -> None:
    indexer.begin()
    while indexer.catch_up():
        pass
    record(40, _plain("visit-new", 40))
    assert _names("ISIT-NE") == ["visit-new"] * 2
    assert _names("visit-3")[:2] == ["visit-39"] * 2


@pytest.mark.usefixtures("filled")
def test_the_index_names_few_rows_for_a_rare_search() -> None:
    indexer.begin()
    while indexer.catch_up():
        pass
    known = clauses.of_deliveries(_seen(Delivery), Filter(search="visit-17"))
    assert len(index_tables.DELIVERIES.find(known, 1 << 62, 100)) == 1
    known = clauses.of_deliveries(_seen(Delivery), Filter(search="nothing like it"))
    assert index_tables.DELIVERIES.find(known, 1 << 62, 100) == []


@given(text=st.text(max_size=40), start=st.integers(0, 40), length=st.integers(1, 40))
def test_a_part_of_a_text_has_no_other_pieces(text: str, start: int, length: int) -> None:
    assert set(grams.pieces_of_search(text[start : start + length])) <= grams.pieces([text])


@given(first=st.datetimes(), last=st.datetimes(), moment=st.datetimes())
def test_the_days_of_a_span_cover_each_time_in_it(first: datetime, last: datetime, moment: datetime) -> None:
    since, until, at = (
        each.replace(year=1900 + each.year % 200, tzinfo=UTC, day=min(each.day, 28))
        for each in (first, last, moment)
    )
    if since <= at < until:
        assert not set(grams.days_between(since, until)).isdisjoint(grams.days(at))
    assert not set(grams.days_between(None, None)).isdisjoint(grams.days(at))
    assert len(grams.days_between(since, None)) < 80
