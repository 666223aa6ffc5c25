"""Kept for years: what is damaged is found and put back, originals leave done when their time is over, legal holds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from test_purge import PURGE, to_server

from databases import Database
from desk import Desk
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.arrivals.registry import Late
from dropslot.audit.models import Event
from dropslot.config import Config, from_mapping
from dropslot.core.states import State
from dropslot.core.troubles import TroubleKind
from dropslot.keeping import holds, lateness
from dropslot.keeping.fixity import rounds
from dropslot.keeping.holds import OnLegalHold
from dropslot.keeping.models import Damage, FixityRound, KeptOriginal
from dropslot.keeping.process import Interrupted, Keeper
from dropslot.keeping.removing.purge import NotProved
from product import STUDY, Product, read_tree
from sshd import Sshd
from waiting import wait_until

HIDDEN = ".dropslot/damaged"


def hidden(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in (folder / HIDDEN).rglob("*") if path.is_file())


# Mending


def test_a_damaged_file_is_put_back_and_what_was_there_is_set_aside(product: Product) -> None:
    product.drop("s", {"a": b"good", "sub/b": b"other", "c": b"third"})
    product.drain()
    (product.studies / "a").write_bytes(b"BAD")
    (product.studies / "sub/b").unlink()
    product.run("verify", "--fixity", status=1)
    rows = {row["stored_as"]: row for row in product.run("damaged", "--json", status=1).objects}
    assert rows.keys() == {"a", "sub/b"} and rows["a"]["found"] == sha256(b"BAD").hexdigest()
    said = product.run("mend").stdout
    assert "a at " in said and "was mended from done" in said
    assert product.delivered() == {"a": b"good", "sub/b": b"other", "c": b"third"}
    assert hidden(product.studies) == [b"BAD"]
    (mended,) = [e["data"] for e in product.listing("events", "--kind", "mended") if e["data"]["found"]]
    assert (mended["delivered"], mended["found"]) == (sha256(b"good").hexdigest(), sha256(b"BAD").hexdigest())
    assert (product.studies / mended["set_aside"]).read_bytes() == b"BAD" and mended["by"]
    assert "OK" in product.run("verify", "--fixity").stdout
    assert "No damaged file" in product.run("damaged").stdout
    assert read_tree(product.folder("done")) == {"s/a": b"good", "s/c": b"third", "s/sub/b": b"other"}


def test_another_destination_has_the_bytes_when_done_has_not(
    sqlite_product: Product, shared_sshd: Sshd, tmp_path: Path
) -> None:
    product, remote = sqlite_product, tmp_path / "remote"
    remote.mkdir()
    deliver = [{"to": "./studies", "file_mode": 640}, to_server(shared_sshd, remote)]
    product.configure({"study": STUDY | {"deliver": deliver}})
    product.drop("s", {"up/a": b"good"})
    product.drain()
    before = (product.studies / "up/a").stat()
    product.run(*PURGE)
    for damaged, other in ((product.studies, remote), (remote, product.studies)):
        (damaged / "up/a").chmod(0o600)
        (damaged / "up/a").write_bytes(b"BAD")
        product.run("verify", "--fixity", status=1)
        assert f"was mended from {'sftp://' if other == remote else other}" in product.run("mend").stdout
        assert (damaged / "up/a").read_bytes() == b"good" and hidden(damaged) == [b"BAD"]
    now = (product.studies / "up/a").stat()
    assert (now.st_mode, now.st_mtime_ns // 10**9) == (before.st_mode, before.st_mtime_ns // 10**9)
    assert not list((product.root / "var/mending").iterdir())
    (remote / "up/a").unlink()
    (product.studies / "up/a").write_bytes(b"BAD again")
    product.run("verify", "--fixity", status=1)
    assert "has no other copy with its bytes" in product.run("mend", status=1).stderr
    assert (product.studies / "up/a").read_bytes() == b"BAD again", "what nobody can mend is left alone"


def test_what_is_no_file_any_more_and_what_comes_back_by_itself_is_left_alone(
    sqlite_product: Product,
) -> None:
    product = sqlite_product
    product.drop("s", {"a": b"1", "b": b"2", "c": b"3"})
    product.drain()
    for name in "ab":
        (product.studies / name).unlink()
    (product.studies / "a").symlink_to("/etc/passwd")
    (product.studies / "b").mkdir()
    (product.studies / "c").write_bytes(b"X")
    product.run("verify", "--fixity", status=1)
    (product.studies / "c").write_bytes(b"3")
    ended = product.run("mend", status=1)
    assert "c at " in ended.stdout and "as it was delivered again" in ended.stdout
    assert ended.stderr.count("no regular file") == 2
    assert (product.studies / "a").is_symlink() and (product.studies / "b").is_dir()
    arrival = product.arrivals()[0]["id"]
    product.run("damaged", "--accept", arrival, "--reason", "moved by the study's own wish")
    assert "accepted by" in product.run("damaged").stdout
    (accepted, _) = product.listing("events", "--kind", "damage-accepted")
    assert accepted["data"]["reason"] == "moved by the study's own wish"


# Legal holds


def test_nothing_of_an_arrival_under_a_legal_hold_is_removed(product: Product) -> None:
    product.drop("s", b"1")
    product.drain()
    id = product.arrivals()[0]["id"]
    assert "--reason" in product.run("hold", id, status=2).stderr
    product.run("hold", id[:-1], "--reason", "court order 17")
    assert "already" in product.run("hold", id, "--reason", "again", status=1).stderr
    (row,) = product.run("hold", "--json").objects
    assert (row["arrival"], row["reason"]) == (id, "court order 17")
    assert "under a legal hold" in product.run(*PURGE, status=1).stderr
    assert read_tree(product.folder("done")) == {"s": b"1"}
    product.run("hold", id, "--release", "--reason", "settled")
    assert "No arrival is under a legal hold" in product.run("hold").stdout
    assert product.run(*PURGE).stdout.startswith("1 arrival removed")
    kinds = [event["kind"] for event in product.listing("events") if event["arrival"] == id][-3:]
    assert kinds == ["legal-hold", "legal-hold-released", "purged"]
    (purged,) = product.listing("events", "--kind", "purged")
    assert purged["data"]["because"] == "dropslot purge --older-than 0s" and purged["data"]["by"]
    assert purged["data"]["read_back"] == [str(product.studies)] and purged["data"]["items"] == 1


# By itself, a step at a time in this process


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    made.config = with_keys(made, fixity={"every": "1d"})
    with override_settings(DROPSLOT=made.config):
        yield made


def with_keys(desk: Desk, **more: Any) -> Config:
    """The desk's configuration with these keys besides."""
    routes = {
        key: {"folders": f"./{key}", "name": r"(?P<place>[^-]+)-.*", "deliver": [{"to": "./to/{place}"}]}
        for key in ("one", "two")
    }
    return from_mapping({"data": "./var", "routes": routes, **more}, desk.base)


def delivered(desk: Desk, *names: str, age: timedelta = timedelta(0)) -> list[str]:
    """Arrivals of these names, delivered so long ago; their ids."""
    ids = [desk.send(name, name.encode()) for name in names]
    assert set(desk.attempt(*ids)) == {State.DONE}
    Arrival.objects.filter(id__in=ids).update(finished_at=timezone.now() - age)
    return ids


def nothing() -> None:
    """Nobody ends it."""


def keep(config: Config, steps: int = 20) -> None:
    """Let the process do what is due."""
    keeper = Keeper(config, nothing)
    for _ in range(steps):
        if keeper.step() > 0:
            return
    raise AssertionError("there is always more to do")


def kinds(*wanted: str) -> list[str]:
    return list(Event.objects.filter(kind__in=wanted).order_by("seq").values_list("kind", flat=True))


def troubles(config: Config, kind: TroubleKind) -> list[Late]:
    return [one for one in lateness.late(config) if one.kind == kind]


def test_a_round_reads_every_file_and_says_once_what_is_damaged(desk: Desk) -> None:
    delivered(desk, "p-1", "p-2", "q-3")
    (desk.base / "to/p/p-2").write_bytes(b"BAD")
    keep(desk.config)
    row = FixityRound.objects.get()
    assert (row.files, row.damaged, row.outcome, row.ended_at is not None) == (3, 1, "faults", True)
    assert kinds("damaged", "verified") == ["damaged", "verified"]
    verified = json.loads(Event.objects.get(kind="verified").data)
    assert (verified["files"], verified["faults"], verified["by"]) == (3, 1, "")
    (trouble,) = troubles(desk.config, TroubleKind.FIXITY)
    said = trouble.about, trouble.what, trouble.route
    assert said == ("stored files of route one", "1 stored file damaged, missing or not readable", "one")
    keep(desk.config)
    assert FixityRound.objects.count() == 1, "the next one begins after nine tenths of the time"
    FixityRound.objects.update(began_at=timezone.now() - timedelta(hours=22))
    keep(desk.config)
    assert FixityRound.objects.count() == 2 and kinds("damaged") == ["damaged"], "it is said once"
    (desk.base / "to/p/p-2").write_bytes(b"p-2")
    FixityRound.objects.update(began_at=timezone.now() - timedelta(hours=22))
    keep(desk.config)
    assert kinds("damaged", "intact-again") == ["damaged", "intact-again"]
    assert not Damage.objects.exists() and not troubles(desk.config, TroubleKind.FIXITY)


@pytest.mark.sqlite_only
def test_no_round_begins_before_anything_was_delivered(desk: Desk) -> None:
    assert Keeper(desk.config, nothing).step() > 0 and not FixityRound.objects.exists()


def test_a_round_goes_on_where_it_was_and_is_spread_over_its_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_SLICE_FILES", 2)
    delivered(desk, *(f"p-{number}" for number in range(5)))
    keep(desk.config)
    row = FixityRound.objects.get()
    assert (row.files, row.ended_at) == (2, None), "the rest is read later"
    began = timezone.now() - timedelta(hours=10)
    FixityRound.objects.update(began_at=began)  # two fifths of the time are over after 8.6 hours
    calls = iter([nothing])

    def killed() -> None:
        if next(calls, None) is None:
            raise Interrupted

    with pytest.raises(Interrupted):
        Keeper(desk.config, killed).step()
    assert FixityRound.objects.get().files == 2, "what was not recorded is read again"
    delivered(desk, "p-new")
    keep(desk.config)
    assert FixityRound.objects.get().files == 4
    FixityRound.objects.update(began_at=timezone.now() - timedelta(hours=30))
    assert any("should have been all" in one.what for one in troubles(desk.config, TroubleKind.FIXITY))
    keep(desk.config)
    first = FixityRound.objects.order_by("id")[0]
    assert (first.files, first.ended_at is None) == (6, False)
    assert Delivery.objects.count() == 6


def test_a_destination_that_is_away_is_read_when_it_is_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "ASK_AGAIN_SECONDS", 0.0)
    delivered(desk, "p-1", "p-2")
    (desk.base / "to").rename(desk.base / "unplugged")
    keeper = Keeper(desk.config, nothing)
    keeper.step()
    row = FixityRound.objects.get()
    assert row.put_off and not row.damaged and not Damage.objects.exists()
    (desk.base / "unplugged").rename(desk.base / "to")
    (desk.base / "to/p/p-1").unlink()
    keep(desk.config)
    row = FixityRound.objects.get()
    assert (row.put_off, row.damaged, row.unread, row.outcome) == ({}, 1, 0, "faults")


def test_damaged_files_are_mended_by_themselves_if_that_is_asked_for(desk: Desk) -> None:
    delivered(desk, "p-1", "p-2")
    (desk.base / "to/p/p-2").write_bytes(b"BAD")
    keep(desk.config)
    assert (desk.base / "to/p/p-2").read_bytes() == b"BAD", "nobody has asked"
    keep(with_keys(desk, fixity={"every": "1d", "mend": True}))
    assert (desk.base / "to/p/p-2").read_bytes() == b"p-2"
    assert hidden(desk.base / "to/p") == [b"BAD"] and kinds("mended") == ["mended"]


# Retention


def test_originals_leave_done_when_their_time_is_over_and_they_are_proved(desk: Desk) -> None:
    config = with_keys(desk, done="keep 90d")
    old = delivered(desk, "p-old", "p-held", "p-damaged", "p-rebuilt", age=timedelta(days=91))
    delivered(desk, "p-young", age=timedelta(days=89))
    holds.hold(Arrival.objects.get(id=old[1]), reason="court", by="olga")
    Arrival.objects.filter(id=old[3]).update(evidence={"rebuilt": "receipt"})
    (desk.base / "to/p/p-damaged").write_bytes(b"BAD")
    with override_settings(DROPSLOT=config):
        keep(config)
        done = {path.name for path in desk.folders().done.iterdir()}
        assert done == {"p-held", "p-damaged", "p-rebuilt", "p-young"}
        data = json.loads(Event.objects.get(kind="purged").data)
        assert data["because"] == "done keeps originals for 90d" and data["by"] == ""
        assert data["read_back"] == [str(desk.base / "to/p")]
        kept = KeptOriginal.objects.get()
        assert kept.arrival_id == old[2] and "missing or changed" in kept.why
        (desk.base / "to/p/p-damaged").write_bytes(b"p-damaged")
        KeptOriginal.objects.update(due_at=timezone.now())
        holds.release(Arrival.objects.get(id=old[1]), reason="over", by="olga")
        keep(config)
    assert {path.name for path in desk.folders().done.iterdir()} == {"p-rebuilt", "p-young"}
    assert not KeptOriginal.objects.exists()
    assert {path.name: path.read_bytes() for path in (desk.base / "to/p").glob("p-*")} == {
        name: name.encode() for name in ("p-old", "p-held", "p-damaged", "p-rebuilt", "p-young")
    }


def test_a_hold_that_comes_while_an_original_is_read_is_in_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dropslot.keeping.fixity.reader import Reader
    from dropslot.keeping.removing.purge import Why, purge

    (id,) = delivered(desk, "p-1")
    arrival = Arrival.objects.get(id=id)
    with Reader() as reader:
        read = reader.digest

        def slow(url: str, name: str) -> str | None:
            holds.hold(arrival, reason="just now", by="olga")
            return read(url, name)

        monkeypatch.setattr(reader, "digest", slow)
        with pytest.raises(OnLegalHold):
            purge(arrival, reader, Why("a test"))
    assert (desk.folders().done / "p-1").read_bytes() == b"p-1" and not kinds("purged")


def test_what_only_acknowledges_is_no_proof_for_a_schedule(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dropslot.destinations.local.destination import Local
    from dropslot.keeping.fixity.reader import Reader
    from dropslot.keeping.removing.purge import Why, purge

    (id,) = delivered(desk, "p-1")
    monkeypatch.setattr(Local, "can_be_read", False)
    with Reader() as reader, pytest.raises(NotProved, match="only acknowledges"):
        purge(Arrival.objects.get(id=id), reader, Why("a schedule", only_read_back=True))
    assert os.path.exists(desk.folders().done / "p-1")


# The service


@pytest.mark.sqlite_only
def test_the_service_keeps_and_health_says_what_it_found(product: Product) -> None:
    product.configure(fixity={"every": "1m", "rate": "5MB/s", "mend": True})
    product.drop("s", b"1")
    product.drain()
    (product.studies / "s").write_bytes(b"BAD")
    product.start("run")
    wait_until(lambda: hidden(product.studies) == [b"BAD"], what="the mending", deadline_seconds=60)
    wait_until(lambda: (product.studies / "s").exists(), what="the mended file")
    assert (product.studies / "s").read_bytes() == b"1"
    wait_until(lambda: product.listing("events", "--kind", "mended"), what="the event")
