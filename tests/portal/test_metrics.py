"""`/metrics`: numbers that are right, for those who may have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from callers import Caller, fill, token_of
from dropslot.arrivals.metrics.tally import Tally
from dropslot.arrivals.models import Arrival
from dropslot.audit.chain import append
from dropslot.audit.kinds import Kind, entry
from dropslot.audit.models import Event
from dropslot.core import context
from portals import Site

BOTH_DATABASES = True

Sample = tuple[str, tuple[tuple[str, str], ...]]


def _metrics(client: Client | None = None, **headers: str) -> dict[Sample, float]:
    answer = (client or Client()).get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.content
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def _value(found: dict[Sample, float], name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


@pytest.fixture
def filled(site: Site) -> Site:
    fill(site)
    return site


def test_numbers_are_those_of_the_installation(filled: Site) -> None:
    found = _metrics()
    assert _value(found, "dropslot_arrivals", route="study", state="done") == 1
    assert _value(found, "dropslot_arrivals", route="results", state="failed") == 1
    assert _value(found, "dropslot_deliveries_total", route="study", outcome="delivered") == 2
    assert _value(found, "dropslot_delivered_bytes_total", route="study") == 2
    assert _value(found, "dropslot_chain_length") == Event.objects.count()
    assert _value(found, "dropslot_events_total", kind="refused") == 1
    assert _value(found, "dropslot_failed_undecided") == 1
    assert (_value(found, "dropslot_watcher_up"), _value(found, "dropslot_database_up")) == (0, 1)
    assert any(name == "dropslot_space_used_ratio" and 0 < value <= 1 for (name, _), value in found.items())
    assert any(name == "dropslot_portal_process_resident_memory_bytes" for name, _ in found)


def test_retries_takeovers_and_age_of_the_queue_are_counted(filled: Site) -> None:
    id = filled.arrival("heart-1").id
    again = entry(Kind.RETRYING, id, {"epoch": 1, "in_seconds": 5.0, "reason": []})
    with transaction.atomic():
        append([again] * 3 + [entry(Kind.TAKEN_OVER, id, {"attempt": 1, "epoch": 2, "worker": "w"})])
    Arrival.objects.filter(pk=id).update(state="retrying", dropped_at="2026-01-01T00:00Z")
    found = _metrics()
    assert _value(found, "dropslot_retries_total") == 3
    assert _value(found, "dropslot_takeovers_total") == 1
    assert _value(found, "dropslot_queue_oldest_seconds", state="retrying") > 86_400


def test_only_new_events_are_read_again(filled: Site, django_assert_num_queries: Callable[..., Any]) -> None:
    tally = Tally()
    tally.update()
    before = tally.kinds.total()
    with django_assert_num_queries(2):
        tally.update()
    assert tally.kinds.total() == before == Event.objects.count()
    filled.drop("results", "north-2.pdf")
    filled.deliver()
    tally.update()
    assert tally.kinds.total() == Event.objects.count() > before
    assert tally.outcomes["results", "delivered"] == 2


def test_an_older_database_is_counted_from_the_start(filled: Site) -> None:
    tally = Tally()
    tally.update()
    tally.seq += 1000
    tally.update()
    assert (tally.seq, tally.kinds.total()) == (Event.objects.count(), Event.objects.count())


@pytest.mark.sqlite_only
def test_numbers_are_made_at_most_every_few_seconds(
    filled: Site, django_assert_num_queries: Callable[..., Any]
) -> None:
    _metrics()
    with django_assert_num_queries(0):
        _metrics()


@pytest.mark.sqlite_only
def test_calls_are_counted_by_page_and_not_by_address(filled: Site) -> None:
    olga = Caller(filled, token_of("olga", "read"))
    for name in ("heart-1", "north-1.pdf"):
        olga.get(f"arrivals/{filled.arrival(name).id}")
    olga.get("arrivals/nothing")
    Client().get("/no/such/page")
    found = _metrics()
    view = "dropslot_api:get_arrival"
    assert _value(found, "dropslot_portal_requests_total", view=view, method="GET", status="200") == 2
    assert _value(found, "dropslot_portal_requests_total", view=view, method="GET", status="404") == 1
    assert _value(found, "dropslot_portal_requests_total", view="other", method="GET", status="404") == 1
    assert _value(found, "dropslot_portal_request_seconds_count", view=view) == 3


@pytest.mark.sqlite_only
def test_without_a_database_the_other_numbers_are_there(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseError

    monkeypatch.setattr("dropslot.arrivals.upkeep.oldest_waiting._waiting", away)
    found = _metrics()
    assert _value(found, "dropslot_database_up") == 0
    assert ("dropslot_chain_length", ()) not in found


# Who may read them


@pytest.mark.parametrize(
    ("name", "scope", "status"),
    [
        ("olga", "read", 200),
        ("augusta", "read", 200),
        ("olga", "operate", 403),
        ("sam", "read", 403),
        ("rita", "read", 403),
        ("nobody", "read", 403),
    ],
)
@pytest.mark.sqlite_only
def test_a_token_must_see_all_routes(filled: Site, name: str, scope: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {token_of(name, scope)}"}
    answer = Client(REMOTE_ADDR="10.0.0.7").get("/metrics", headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "10.0.0.7"},
        {"REMOTE_ADDR": ""},
        {"REMOTE_ADDR": "::ffff:10.0.0.7"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_X_REAL_IP": "10.0.0.7"},
        {"HTTP_FORWARDED": "for=10.0.0.7"},
    ],
)
@pytest.mark.sqlite_only
def test_another_machine_needs_a_token(site: Site, environ: dict[str, str]) -> None:
    answer = Client(**environ).get("/metrics")  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.sqlite_only
def test_a_program_on_this_machine_needs_none(site: Site) -> None:
    for address in ("127.0.0.1", "::1"):
        context.renew()
        assert _metrics(Client(REMOTE_ADDR=address))
    assert Client().get("/metrics", headers={"Authorization": "Bearer x"}).status_code == 401
    assert Client().post("/metrics").status_code == 405
