"""`/health` and `dropslot health`: what is late, and who is told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from callers import API, Caller, fill, token_of
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.registry import Late
from dropslot.arrivals.space.spaces import Space
from dropslot.arrivals.upkeep import health
from dropslot.config.route_parts import LateAfter
from dropslot.core import context
from dropslot.core.troubles import TroubleKind
from dropslot.running.pidfile import PidFile
from portals import Site
from product import Product

BOTH_DATABASES = True
LIMITS = LateAfter.model_validate({})


@pytest.fixture
def watched(site: Site) -> Any:
    """A site whose watcher runs: this process holds its pid file."""
    site.config.data.mkdir(mode=0o700, exist_ok=True)
    pid_file = PidFile.take(site.config.pid)
    pid_file.write(1)
    yield site
    pid_file.remove()


def _late(site: Site) -> dict[str, str]:
    return {one.about: one.what for one in health.examine(site.config).late}


def test_all_is_well_where_the_watcher_runs_and_nothing_waits(watched: Site) -> None:
    fill(watched)
    assert _late(watched) == {}
    answer = Client().get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.sqlite_only
def test_a_watcher_that_does_not_run_is_late(site: Site) -> None:
    assert _late(site) == {"watcher": "it is not running"}
    answer = Client().get("/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "late"})


def test_arrivals_that_wait_too_long_are_late(watched: Site) -> None:
    fill(watched)
    for state, about, late in (
        ("waiting", "inbox of study", LIMITS.waiting),
        ("ready", "queue of study", LIMITS.waiting),
        ("retrying", "deliveries of study", LIMITS.retrying),
    ):
        for age, expected in ((late / 2, False), (late * 2, True)):
            Arrival.objects.filter(name="heart-1").update(state=state, dropped_at=timezone.now() - age)
            assert (about in _late(watched)) == expected


def test_a_failed_arrival_is_late_until_somebody_decides(watched: Site) -> None:
    fill(watched)
    assert "failed arrivals of results" not in _late(watched)
    row = watched.arrival("north-bad.exe")
    Arrival.objects.filter(pk=row.pk).update(finished_at=timezone.now() - 2 * LIMITS.failed)
    assert "1 arrival failed" in _late(watched)["failed arrivals of results"]
    olga = Caller(watched, token_of("olga", "operate"))
    assert olga.post(f"arrivals/{row.pk}/dismiss", {"reason": "a mistake"}).status_code == 200
    assert _late(watched) == {}
    assert health.examine(watched.config).failed == 0


@pytest.mark.sqlite_only
def test_a_full_disk_is_late(watched: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    used = (86, 14, 0, None, 85.0, 100.0)
    disk = Space("disk", "1", "1", "disk of /srv", "file system", ("/srv",), (), {}, *used, is_local=True)
    home = replace(disk, name="disk of /home", warn_at=90.0, used_bytes=89, free_bytes=11)
    monkeypatch.setattr("dropslot.arrivals.space.spaces.look", lambda _: [disk, home])
    told = "it is 86 % full (warn: 85 %): 86 B of 100 B used"
    assert _late(watched) == {"space of disk of /srv": told}


@pytest.mark.sqlite_only
def test_a_database_that_is_away_is_late(watched: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise DatabaseError("password=secret")

    monkeypatch.setattr("dropslot.arrivals.upkeep.oldest_waiting._waiting", away)
    assert _late(watched) == {"database": "it does not answer"}
    found = health.examine(watched.config).as_json()
    assert (found["database"], found["failed"]) == (False, None)
    assert Client().get("/health").status_code == 503


@pytest.mark.sqlite_only
def test_it_is_examined_at_most_every_few_seconds(watched: Site, django_assert_num_queries: Any) -> None:
    Client().get("/health")
    with django_assert_num_queries(0):
        assert Client().get("/health").status_code == 200


@pytest.mark.parametrize(
    ("name", "told"),
    [("olga", True), ("augusta", True), ("adam", True), ("sam", False), ("rita", False), ("nobody", False)],
)
@pytest.mark.sqlite_only
def test_only_those_who_see_whole_routes_are_told_what_is_late(site: Site, name: str, told: bool) -> None:
    headers = {"Authorization": f"Bearer {token_of(name, 'read')}"}
    for answer in (site.client(name).get("/health"), Client().get("/health", headers=headers)):
        assert answer.status_code == 503
        assert ("late" in answer.json()) == told
    if told:
        assert answer.json()["late"][0]["about"] == "watcher"


@pytest.mark.sqlite_only
def test_an_operator_of_one_route_is_not_told_of_another(
    watched: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(_: object) -> list[Late]:
        kind = TroubleKind.LOG_READER
        routes = ("study", "results", "")
        return [Late(f"log of {route}", "gone", "", route, kind=kind) for route in routes]

    monkeypatch.setattr("dropslot.arrivals.registry.late", late)
    watched.account("oskar", "operator", routes=("results",))
    found = Caller(watched, token_of("oskar", "read")).get("health").json()
    assert [one["about"] for one in found["late"]] == ["log of results"]
    assert found["space"] == []


@pytest.mark.sqlite_only
def test_a_wrong_token_is_not_told_that_all_is_well(watched: Site) -> None:
    assert Client().get("/health", headers={"Authorization": "Bearer x"}).status_code == 401
    scope = token_of("olga", "operate")
    assert Client().get("/health", headers={"Authorization": f"Bearer {scope}"}).status_code == 403


@pytest.mark.sqlite_only
def test_the_api_says_the_same_with_status_200(site: Site) -> None:
    olga = Caller(site, token_of("olga", "read"))
    headers = {"Authorization": f"Bearer {olga.token}"}
    assert olga.get("health").json() == Client().get("/health", headers=headers).json()
    assert Client().head("/health").content == b""
    assert Client().post("/health").status_code == 405
    assert Client().get(f"{API}health").status_code == 401


@pytest.mark.sqlite_only
def test_a_log_that_cannot_be_read_is_late_until_it_can(watched: Site, settings: Any, tmp_path: Path) -> None:
    from dropslot.acknowledgments.models import LogReading
    from dropslot.config import from_mapping
    from portals import routes

    log = tmp_path / "access.log"
    given = routes(tmp_path)
    given["results"]["acknowledge"] = [
        {"log": str(log), "match": "/{folder}/{stored_name}", "users": {"clinic12": "north"}}
    ]
    config = from_mapping({"data": str(tmp_path / "var"), "portal": {}, "routes": given}, tmp_path)
    now = timezone.now()
    common = {"route": "results", "log": str(log), "started_at": now}
    LogReading.objects.create(id="01KBE8QZ3M5V9T2R7XWC4N6PHA", **common)
    assert health.examine(config).late == []
    LogReading.objects.create(id="01KBE8QZ3M5V9T2R7XWC4N6PHB", error="No such file", **common)
    (late,) = health.examine(config).late
    assert (late.route, late.what) == ("results", "it could not be read: No such file")
    LogReading.objects.update(started_at=now - timedelta(hours=1))
    context.renew()
    assert health.examine(config).late == []


def test_the_command_prints_what_is_late_and_its_status_says_so(product: Product) -> None:
    product.configure()
    product.run("drain")
    said = product.run("health", status=1)
    assert "LATE watcher: it is not running. Next: dropslot start_watcher" in said.stdout
    found = json.loads(product.run("health", "--json", status=1).stdout)
    assert (found["status"], found["database"]) == ("late", True)


@pytest.mark.parametrize("has_table", [False, True])
@pytest.mark.sqlite_only
def test_what_nobody_fetched_in_time_is_late_until_somebody_does(
    watched: Site, tmp_path: Path, has_table: bool
) -> None:
    from dropslot.acknowledgments import unfetched
    from dropslot.acknowledgments.models import Acknowledgment
    from dropslot.config import from_mapping
    from portals import routes

    given = routes(watched.root)
    given["results"]["acknowledge"] = [
        {
            "log": str(tmp_path / "access.log"),
            "match": "/{folder}/{stored_name}",
            "users": {"clinic12": "north"},
            "late_after": "14d",
        }
    ]
    config = from_mapping({"data": str(watched.root / "var"), "portal": {}, "routes": given}, watched.root)
    fill(watched)
    if has_table:
        unfetched.begin()
        unfetched.catch_up()

    def late() -> list[str]:
        return [one.what for one in health.examine(config).late if one.kind is TroubleKind.UNACKNOWLEDGED]

    Arrival.objects.filter(name="north-1.pdf").update(finished_at=timezone.now() - timedelta(days=20))
    assert late() == []  # it was fetched
    Acknowledgment.objects.update(undone_at=timezone.now())
    if has_table:
        from dropslot.acknowledgments.models import Unfetched
        from dropslot.arrivals.models import Delivery

        Unfetched.objects.create(delivery=Delivery.objects.get(item="north-1.pdf").pk, route="results")
    assert late() == ["1 delivery not fetched for more than 14 days, the oldest for 20 days"]
    Arrival.objects.filter(name="north-1.pdf").update(fields={"folder": "north", "study": "heart"})
    of_study = [one for one in health.examine(config).late if one.kind is TroubleKind.UNACKNOWLEDGED]
    assert [(one.study, one.about.partition(" from ")[0]) for one in of_study] == [
        ("heart", "fetching study heart")
    ]
    Arrival.objects.filter(name="north-1.pdf").update(finished_at=timezone.now() - timedelta(days=13))
    assert late() == []


def test_it_says_by_how_much_and_which_arrival_waits_longest(watched: Site) -> None:
    fill(watched)
    dropped = timezone.now() - timedelta(hours=3)
    Arrival.objects.filter(name="heart-1").update(state="retrying", dropped_at=dropped)
    found = health.examine(watched.config)
    [one] = found.as_json()["late"]
    assert (one["kind"], one["route"], 7195 <= one["late_seconds"] <= 7260) == ("retrying", "study", True)
    assert found.oldest is not None and found.oldest.id == watched.arrival("heart-1").id
    page = watched.client("olga").get("/").content.decode()
    assert "deliveries of study" in page and "late by 2 hours" in page
    watched.account("oskar", "operator", routes=("results",))
    assert "deliveries of study" not in watched.client("oskar").get("/").content.decode()
