"""The sentinel: what it says once, what it keeps of other machines, the trail that it verifies, and its pings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.models import F, Q

from clocks import Clock
from databases import Database
from dead_man import DeadMan, dead_man
from dropslot.arrivals import machines
from dropslot.arrivals.models import OpenTrouble, Sentinel
from dropslot.arrivals.registry import Late
from dropslot.arrivals.upkeep.health import examine
from dropslot.arrivals.workers import holder
from dropslot.arrivals.workers.sentinel import ping
from dropslot.arrivals.workers.sentinel.chain_check import Trail
from dropslot.arrivals.workers.sentinel.ping import Pings
from dropslot.arrivals.workers.sentinel.presence import Presence, locks, silent
from dropslot.arrivals.workers.sentinel.process import Sentinel as Process
from dropslot.arrivals.workers.sentinel.troubles import Troubles
from dropslot.audit.models import Event
from dropslot.config import Config, from_mapping
from dropslot.core.troubles import TroubleKind
from dropslot.running import board
from dropslot.running.ages import elapsed
from product import Product
from trail import grow, tamper
from waiting import wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DeadMan]:
    with dead_man(tmp_path) as running:
        yield running


def config_in(folder: Path, **health: Any) -> Config:
    routes = {"study": {"folders": "./study", "deliver": [{"to": "./studies"}]}}
    (folder / "var").mkdir(mode=0o700, exist_ok=True)
    return from_mapping({"data": "./var", "routes": routes, "health": health}, folder)


def full(percent: int = 91, about: str = "disk of /srv") -> Late:
    return Late(about, f"it is {percent} % full", "free space", kind=TroubleKind.SPACE)


def said() -> list[tuple[str, str]]:
    rows = Event.objects.filter(kind__startswith="trouble").order_by("seq")
    return [(row.kind, json.loads(row.data)["what"]) for row in rows]


def look(troubles: Troubles, *found: Late, **more: Any) -> None:
    troubles.see(found)
    troubles.say(**more)


@pytest.mark.usefixtures("database")
def test_a_trouble_is_said_once_when_it_lasts_and_once_when_it_is_over() -> None:
    troubles = Troubles("drop1")
    look(troubles, full(90))
    assert said() == []  # it may pass by
    look(troubles, full(91))
    look(troubles, full(92))
    assert said() == [("trouble", "it is 91 % full")]
    assert OpenTrouble.objects.get().what == "it is 92 % full"
    again = Troubles("drop1")  # after a restart
    for _ in range(3):
        look(again, full(93))
    look(again)
    look(again, full(94))
    look(again)  # it flickers
    look(again, full(95))
    assert len(said()) == 1
    look(again)
    look(again)
    look(again)
    assert [kind for kind, _ in said()] == ["trouble", "trouble-over"]
    assert not OpenTrouble.objects.exists()
    data = json.loads(Event.objects.get(kind="trouble-over").data)
    assert (data["trouble"], data["by"], data["seconds"] >= 0) == ("space", "drop1", True)


@pytest.mark.usefixtures("database")
def test_of_two_sentinels_that_see_the_same_one_says_it() -> None:
    first, second = Troubles("drop1"), Troubles("drop2")
    for _ in range(2):
        first.see([full()])
        second.see([full()])
    known = OpenTrouble.objects.all()
    assert not known  # both have looked when neither has said it
    first.say()
    second.say()
    for one in (first, second):
        one.see([])
        one.see([])
    for one in (first, second):
        one.say()
        one.say()
    assert [kind for kind, _ in said()] == ["trouble", "trouble-over"]


@pytest.mark.usefixtures("database")
def test_what_came_and_went_while_the_database_was_away_is_said_afterwards() -> None:
    troubles = Troubles("drop1")
    for _ in range(3):
        troubles.see([full()])  # nothing could be recorded
    troubles.see([])
    troubles.say()
    troubles.see([])
    troubles.say()
    assert [kind for kind, _ in said()] == ["trouble", "trouble-over"]
    assert not OpenTrouble.objects.exists()


@pytest.mark.sqlite_only
@pytest.mark.usefixtures("database")
def test_a_kind_that_is_not_decided_yet_is_not_over() -> None:
    troubles = Troubles("drop1")
    look(troubles, full())
    look(troubles, full())
    for _ in range(3):
        look(troubles, undecided=[TroubleKind.SPACE])
    assert len(said()) == 1


def present(config: Config, me: str, tree: machines.Tree = "service") -> Presence:
    one = Presence(config, me, tree)
    one.renew([full()])
    return one


@pytest.mark.usefixtures("database")
def test_the_oldest_that_is_alive_acts_and_a_vanished_tree_is_named_until_it_is_back_or_forgotten(
    tmp_path: Path,
) -> None:
    config = config_in(tmp_path)
    first, second = present(config, "drop1.x:1:aa"), present(config, "drop2.y:2:bb", "portal")
    assert first.acts() and not second.acts()
    assert [
        one.about for one in machines.late(machines.known(), Sentinel.objects.get(tree="portal").since)
    ] == [
        "disk of /srv",
        "disk of /srv",
    ]
    Sentinel.objects.filter(name="drop1.x:1:aa").update(until=F("until") - timedelta(minutes=5))
    assert second.acts() and not first.acts()
    vanished = machines.known()[0]
    [late, _] = machines.late(machines.known(), vanished.until + timedelta(minutes=4))
    assert late.about == "service on drop1 (pid 1)" and "no sign of life for 4 minutes" in late.what
    assert machines.forget("bb") is None  # it is alive
    present(config, "drop1.x:9:cc")  # the same tree is started again
    assert [one.is_alive for one in machines.known()] == [True, True]
    Sentinel.objects.filter(name="drop1.x:9:cc").update(until=F("until") - timedelta(minutes=5))
    assert (gone := machines.forget("cc")) is not None and gone.title == "service on drop1 (pid 9)"
    second.end()
    assert machines.known() == []


@pytest.mark.sqlite_only
@pytest.mark.usefixtures("database")
def test_a_tree_that_died_on_this_machine_has_vanished_at_once(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with holder.holding(locks(config)) as living, holder.holding(locks(config)) as other:
        present(config, other, "worker")
        present(config, living)
        assert all(one.is_alive for one in machines.known())
    with holder.holding(locks(config)) as living:
        one = present(config, living, "portal")
        one.renew([])
        assert [each.is_alive for each in machines.known() if each.tree == "worker"] == [False]


@pytest.mark.sqlite_only
@pytest.mark.usefixtures("database")
def test_a_tree_that_was_killed_in_a_container_is_replaced_by_that_of_the_next_one(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with holder.holding(locks(config)) as me:
        present(config, f"0a1b2c3d4e5f.{holder.domain_of(me)}:1:aa")
        present(config, me)
        assert [one.name for one in machines.known()] == [me]


@pytest.mark.usefixtures("database")
def test_after_a_quick_restart_of_the_machine_the_tree_before_it_is_replaced_when_its_lease_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_in(tmp_path)
    present(config, "drop1.oldboot1:1:aa")
    present(config, "drop1.oldboot1:2:bb", "portal")  # another tree
    namesake = present(config, "drop1.another1:3:cc")  # a machine of the same name
    now = present(config, "drop1.newboot1:1:dd")
    namesake.renew([])
    now.renew([])
    assert Sentinel.objects.count() == 4
    name = "dropslot.arrivals.workers.sentinel.presence.lapsed"
    monkeypatch.setattr(name, lambda: ~Q(name__contains="newboot1"))  # the leases of all others are over
    now.renew([])
    left = set(Sentinel.objects.values_list("name", flat=True))
    assert left == {"drop1.oldboot1:2:bb", "drop1.another1:3:cc", "drop1.newboot1:1:dd"}


@pytest.mark.usefixtures("database")
def test_a_machine_that_does_not_act_tells_what_it_sees_at_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_in(tmp_path)
    own = Late("process watcher on here", "it hangs", "", kind=TroubleKind.PROCESS, is_local=True)
    marker = Late("route study", "it is of another", "", "study", kind=TroubleKind.INBOX, is_local=True)
    monkeypatch.setattr("dropslot.arrivals.workers.sentinel.process.silent", lambda *_: [own])
    monkeypatch.setattr("dropslot.arrivals.upkeep.health._of_others", lambda _: [marker])
    present(config, "drop1.x:1:aa")  # the oldest: it acts
    with holder.holding(locks(config)) as me:
        sentinel = Process(config, me, "portal")
        for _ in range(3):
            sentinel._look()  # noqa: SLF001 - ours
            row = Sentinel.objects.get(name=me)
            assert {one["about"] for one in row.late} >= {own.about, marker.about}
        assert not sentinel._presence.acts()  # noqa: SLF001 - ours
        monkeypatch.setattr("dropslot.arrivals.workers.sentinel.process.silent", lambda *_: [])
        sentinel._look()  # noqa: SLF001 - ours
        assert own.about not in {one["about"] for one in Sentinel.objects.get(name=me).late}
        sentinel.end()


@pytest.mark.sqlite_only
def test_a_process_that_ended_or_hangs_is_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_in(tmp_path)
    with pytest.raises(RuntimeError), board.joined(config.data, "worker-1"):
        raise RuntimeError
    with board.joined(config.data, "watcher"):
        assert list(silent(config, "drop1")) == []
        later = elapsed() + 200
        monkeypatch.setattr(board, "elapsed", lambda: later)
        found = {one.about: one.what for one in silent(config, "drop1")}
        assert found == {
            "process watcher on drop1": "it has shown no sign of life for 3 minutes; it hangs, or was stopped",
            "processes on drop1": "worker-1 ended unexpectedly, and nothing has started them again",
        }
        board.mine().pulse()
        assert [one.about for one in silent(config, "drop1")] == ["processes on drop1"]


@pytest.mark.usefixtures("database")
def test_the_trail_is_verified_bit_by_bit_and_a_fault_stays_until_a_pass_finds_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dropslot.audit.verifying.verify.PAGE", 4)
    monkeypatch.setattr("dropslot.arrivals.workers.sentinel.chain_check.verify.PAGE", 4)
    grow(10)
    trail = Trail(tmp_path / "head")
    for _ in range(2):
        trail.look()
        assert not trail.is_decided
    trail.look()
    assert trail.is_decided and list(trail.late()) == []
    kept = Event.objects.get(seq=10).kind
    grow(3)
    tamper("UPDATE dropslot_event SET kind = 'forged' WHERE seq = 12")
    trail.look()
    [late] = trail.late()
    assert late.kind is TroubleKind.CHAIN and late.what.startswith("event 12: its hash does not fit")
    tamper("UPDATE dropslot_event SET kind = %s WHERE seq = 12", (kept,))
    monkeypatch.setattr("dropslot.arrivals.workers.sentinel.chain_check.AGAIN_SECONDS", 0.0)
    trail.look()
    assert list(trail.late())  # the new pass is not at its end
    monkeypatch.setattr("dropslot.arrivals.workers.sentinel.chain_check.AGAIN_SECONDS", 1e9)
    for _ in range(4):
        trail.look()
    assert list(trail.late()) == []
    tamper("DELETE FROM dropslot_event WHERE seq > 11")
    trail.look()
    [late] = trail.late()
    assert "event 13" in late.what and "the end of the chain was removed" in late.what
    trail.look()
    grow(5)
    trail = Trail(tmp_path / "head")  # after a restart
    for _ in range(5):
        trail.look()
    [late] = trail.late()
    assert trail.is_decided and "event 13" in late.what
    assert late.remedy.startswith("dropslot verify --head 13:")


def pinged(pings: Pings, kinds: list[TroubleKind], times: int = 1) -> None:
    """So many pings, to their ends."""

    def ended() -> bool:
        pings.look(kinds)
        return pings.count >= times

    wait_until(ended, what="pings")


def pings_to(server: DeadMan, folder: Path, path: str = "uuid", **more: Any) -> Pings:
    health = {"every": "50ms", "allow_private": ["127.0.0.1"]} | more
    return Pings(config_in(folder, ping=server.url(path), **health))


def test_it_pings_when_all_is_well_and_fails_with_the_kinds_of_troubles_alone(
    server: DeadMan, tmp_path: Path
) -> None:
    pings = pings_to(server, tmp_path)
    pings.look(None)  # not known yet
    assert server.pings == []
    pinged(pings, [])
    pinged(pings, [TroubleKind.SPACE, TroubleKind.FAILED, TroubleKind.SPACE], 3)
    said = [(one["path"], one["body"]) for one in server.pings]
    assert said[0] == ("/uuid", "All is well")
    assert said[-1] == ("/uuid/fail", "Troubles: failed, space")
    assert list(pings.late()) == []


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("broken", "it answers 500"),
        ("silent", "it does not answer within 0 s"),
        ("dripping", "it did not end within 1 s"),
        ("inside", "it redirects (307), which is not followed"),
    ],
)
def test_a_server_that_misbehaves_is_a_trouble_and_holds_nothing_up(
    server: DeadMan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, what: str
) -> None:
    monkeypatch.setattr(ping, "ANSWER_SECONDS", 0.4)
    monkeypatch.setattr(ping, "SECONDS", 1.0)
    pings = pings_to(server, tmp_path, path)
    pinged(pings, [], ping.FAILURES)
    [late] = pings.late()
    assert (late.kind, late.what) == (TroubleKind.PING, what)
    assert late.about == f"ping to 127.0.0.1:{server.port}"  # without the path, which is a secret
    assert {one["path"] for one in server.pings} == {f"/{path}"}
    pings.end()  # another sentinel acts now
    assert list(pings.late()) == []


def test_a_private_address_is_reached_only_if_config_yaml_allows_it(server: DeadMan, tmp_path: Path) -> None:
    pings = pings_to(server, tmp_path, allow_private=[])
    pinged(pings, [], ping.FAILURES)
    [late] = pings.late()
    assert late.what == "127.0.0.1 is private, and `health: allow_private` does not name it"
    assert server.pings == []


@pytest.mark.sqlite_only
def test_a_database_that_is_away_ends_nothing_and_fails_the_ping(
    database: Database, server: DeadMan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so as an event when the database is back."""
    config = config_in(
        tmp_path,
        ping=server.url(),
        every="50ms",
        look="50ms",
        allow_private=["127.0.0.1"],
        ignore=["watcher"],
    )
    with holder.holding(locks(config)) as me:
        sentinel = Process(config, me, "service")
        wait_until(lambda: (sentinel.turn() or True) and server.last == "/uuid", what="a ping")
        connections["default"].close()
        Path(database.settings["NAME"]).rename(tmp_path / "away")
        Path(database.settings["NAME"]).mkdir()
        wait_until(lambda: (sentinel.turn() or True) and server.last == "/uuid/fail", what="a failing ping")
        Path(database.settings["NAME"]).rmdir()
        (tmp_path / "away").rename(database.settings["NAME"])
        wait_until(lambda: (sentinel.turn() or True) and len(said()) == 2, what="what was missed")
        sentinel.end()
    assert [kind for kind, _ in said()] == ["trouble", "trouble-over"]
    assert not Sentinel.objects.exists()


@pytest.mark.sqlite_only
@pytest.mark.usefixtures("database")
def test_health_names_what_only_the_sentinel_finds_and_nothing_that_is_ignored(
    server: DeadMan, tmp_path: Path
) -> None:
    health = {"ping": server.url(), "every": "50ms", "look": "50ms"}
    config = config_in(tmp_path, **health, ignore=["watcher"])
    grow(3)
    tamper("UPDATE dropslot_event SET kind = 'forged' WHERE seq = 2")
    with holder.holding(locks(config)) as me:
        sentinel = Process(config, me, "service")

        def found() -> bool:
            sentinel.turn()
            return {one.kind for one in examine(config).late} == {TroubleKind.PING, TroubleKind.CHAIN}

        wait_until(found, what="both, and nothing else, in health")
        sentinel.end()
    assert examine(config).is_well
    assert [one.kind for one in examine(config_in(tmp_path)).late] == [TroubleKind.WATCHER]


@pytest.mark.crash
def test_a_clock_that_jumps_is_a_trouble_and_makes_no_arrival_old(
    sqlite_product: Product, tmp_path: Path
) -> None:
    clock = Clock(tmp_path / "site")
    product = sqlite_product.configure(health={"look": "200ms"})
    product.start("run", PYTHONPATH=clock.path)
    wait_until(lambda: "Alive: service" in product.run("health", status=None).stdout, deadline_seconds=60)
    product.studies.rename(tmp_path / "unmounted")
    product.drop("visit", b"1")
    product.wait_for_state("visit", "retrying")
    clock.step(3 * 3600)
    troubles = wait_until(lambda: product.listing("events", "--kind", "trouble"), what="the trouble")
    assert [(one["data"]["trouble"], one["data"]["what"].partition(";")[0]) for one in troubles] == [
        ("clock", "it jumped forward by 3 hours")
    ]
