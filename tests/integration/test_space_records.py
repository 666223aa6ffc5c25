"""What the database keeps of spaces: servers' answers, counts, samples, and how fast each grows."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dropslot.arrivals.models import Arrival, Usage, UsageSample
from dropslot.arrivals.space import spaces, tree_sizes, trends, waiting_for_room
from dropslot.arrivals.space.spaces import Space
from dropslot.arrivals.space.usages import Usages
from dropslot.arrivals.space.waiting_for_room import NO_ROOM, Room
from dropslot.config import from_mapping
from dropslot.core.fullness import FILE_SYSTEM, Capacity
from dropslot.core.states import State

pytestmark = pytest.mark.usefixtures("database")
SERVER = "sftp://edc@edc.lab/~/x"


def space(used: int, name: str = "study heart") -> Space:
    none: dict[str, Any] = {
        "free_files": None,
        "used_files": 0,
        "warn_at": 90.0,
        "full_at": 100.0,
        "is_local": True,
    }
    return Space("folder", name, name, name, "its quota", (name,), (), {}, used, 10**12, **none)


def test_what_servers_said_last_is_shown_without_asking_them(tmp_path: Path) -> None:
    deliver = {"to": f"{SERVER}/{{study}}/{{sent}}", "space": {"of": f"{SERVER}/{{study}}"}}
    route = {"folders": "./study", "name": "(?P<study>[^-]+)-(?P<sent>.+)", "deliver": [deliver]}
    config = from_mapping({"data": "./var", "routes": {"study": route}}, tmp_path)
    tree_sizes.remember([f"{SERVER}/heart", f"{SERVER}/lung"])
    for free in (900, 50):
        shared, own = Capacity(FILE_SYSTEM, "edc 1", 950, free), Capacity(FILE_SYSTEM, "edc 2", 10, 990, 3, 7)
        Usages.keep({SERVER: [shared], f"{SERVER}/heart": [shared], f"{SERVER}/lung": [own]})
    with CaptureQueriesContext(connection) as queries:
        found = {one.name: one for one in spaces.look(config) if not one.is_local}
    assert len(queries) == 2, "however many studies there are"
    assert (found[f"server of {SERVER}"].percent, found[f"server of {SERVER}"].is_filling) == (95, True)
    assert (found["study lung"].percent, found["study lung"].used_files) == (30, 3)
    assert found["study heart"].what == "no quota"


def test_each_machine_looks_after_disks_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine has another disk under this number and these paths: what waits for that one goes on by that."""
    deliver = {"to": "./studies"}
    (tmp_path / "studies").mkdir()
    config = from_mapping(
        {"data": "./var", "routes": {"study": {"folders": "./s", "deliver": [deliver]}}}, tmp_path
    )
    (here,) = spaces.look(config)
    waits("01HERE", 1, 1, at=here.id)
    monkeypatch.setattr(socket, "gethostname", lambda: "worker-2")
    (there,) = spaces.look(config)
    assert (there.name, there.waits.arrivals) == (here.name, 0)
    assert waiting_for_room.wake({there.id: Room(None, None)}) == []
    assert waiting_for_room.wake({here.id: Room(None, None)}) == ["01HERE"]
    now = datetime(2026, 11, 1, tzinfo=UTC)
    assert (
        trends.sample([here], now) and trends.sample([there], now) and not trends.sample([here, there], now)
    )


def test_samples_are_taken_once_an_hour_thinned_and_give_the_rate() -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    for hour in range(24 * 40):
        at = start + timedelta(hours=hour, minutes=17)
        if hour % 24 in (0, 7) or hour > 24 * 39:
            assert trends.sample([space(1000 * (hour // 24)), space(5, "disk")], at)
            assert not trends.sample([space(7)], at + timedelta(minutes=9))
    usage = Usage.objects.get(key="study heart")
    times = [at for (at,) in UsageSample.objects.filter(usage=usage).order_by("at").values_list("at")]
    assert times[0] >= at - timedelta(days=31) and len(times) < 24 * 3 + 31
    assert {one.hour for one in times if one < at - timedelta(days=3)} == {0}
    assert 900 < (usage.daily_bytes or 0) < 1100 and Usage.objects.get(key="disk").daily_bytes == 0


def waits(name: str, needs: int, minute: int, at: str = "disk") -> str:
    soon = timezone.now() + timedelta(minutes=5)
    lack = {NO_ROOM: [{"space": at, "bytes": needs, "files": 1}]}
    row = Arrival(id=name, route="study", inbox="/in", name=name, name_bytes=name.encode(), is_folder=True)
    row.state, row.due_at, row.evidence, row.received_at = State.RETRYING, soon, lack, soon
    row.dropped_at = datetime(2026, 11, 30, 8, minute, tzinfo=UTC)
    row.save()
    return name


def test_those_that_fit_together_go_on_the_first_that_was_dropped_before_the_others() -> None:
    later, first = waits("01LATER", 50, 2), waits("01FIRST", 40, 1)
    large, elsewhere = waits("01LARGE", 900, 0), waits("01ELSEWHERE", 1, 0, at="of another machine")
    assert waiting_for_room.waits()["disk"] == (3, 990)
    assert waiting_for_room.wake({"disk": Room(80, None)}) == [first]
    assert Arrival.objects.filter(id=first, due_at__lte=timezone.now()).exists()
    assert waiting_for_room.wake({"disk": Room(100, 1)}) == [later]
    assert waiting_for_room.wake({"disk": Room(None, 0)}) == []
    left = Arrival.objects.filter(due_at__gt=timezone.now()).values_list("id", flat=True)
    assert set(left) == {large, elsewhere}
