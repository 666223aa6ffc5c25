"""Kept for years: what is damaged is found and put back, originals leave done when their time is over, legal holds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
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
from dropslot.arrivals.models import Arrival, Delivery, Place
from dropslot.arrivals.registry import Late
from dropslot.arrivals.whereabouts import held as held_in
from dropslot.arrivals.workers import elsewhere
from dropslot.audit.models import Event
from dropslot.config import Config, from_mapping
from dropslot.core.errors import DestinationUnready, DiskFull, DropslotError
from dropslot.core.states import State
from dropslot.core.troubles import TroubleKind
from dropslot.destinations.base import Drop
from dropslot.destinations.local.destination import Local
from dropslot.destinations.local.drop import LocalDrop
from dropslot.files.emptying import Emptying
from dropslot.files.listing import Listing
from dropslot.keeping import holds, lateness
from dropslot.keeping.fixity import damage, rounds
from dropslot.keeping.fixity.digest_reader import Reader
from dropslot.keeping.fixity.ending import unread
from dropslot.keeping.fixity.stored_files import check_all
from dropslot.keeping.holds import OnLegalHold
from dropslot.keeping.mending import copies
from dropslot.keeping.mending.copies import NotMended
from dropslot.keeping.mending.mend import mend
from dropslot.keeping.models import Damage, FixityRound, KeptOriginal
from dropslot.keeping.process import Interrupted, Keeper
from dropslot.keeping.removing import purge as module
from dropslot.keeping.removing.purge import NotProved, Why, give_up_replaced, purge
from dropslot.keeping.removing.purge_failed import NotDecided, purge_failed
from dropslot.keeping.removing.retention import remove
from product import STUDY, Product, Tree, read_tree, write_tree
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
    newest = product.run("damaged", "--wide", "--limit", "1", status=1).stdout.splitlines()
    assert len(newest) == 2 and list(rows)[-1] in newest[1]
    said = product.run("mend").stdout
    assert "a at " in said and "was mended from done" in said and len(said.splitlines()) == len(rows)
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
    assert ended.stderr.count("no longer a regular file") == 2
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


def delivered(
    desk: Desk, *names: str, age: timedelta = timedelta(0), content: Tree | None = None
) -> list[str]:
    """Arrivals of these names, delivered so long ago; their ids. Without `content` a file has its name in it."""
    ids = [desk.send(name, content or name.encode()) for name in names]
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


def test_a_file_that_another_machine_may_have_is_not_said_to_be_gone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(desk, "p-1", "p-2")
    monkeypatch.setattr(elsewhere, "inboxes", lambda _: {str(desk.folders().inbox)})
    (desk.base / "to/p/p-1").unlink()
    (desk.base / "to/p/p-2").write_bytes(b"BAD")
    keep(desk.config)
    row = FixityRound.objects.get()
    assert row.put_off and Damage.objects.get().delivery.item == "p-2"
    found = check_all(note=damage.note)
    assert found.found == 2 and "not on this machine" in found.faults[0].what
    assert Damage.objects.count() == 1


def test_damaged_files_are_mended_by_themselves_if_that_is_asked_for(desk: Desk) -> None:
    delivered(desk, "p-1", "p-2")
    (desk.base / "to/p/p-2").write_bytes(b"BAD")
    keep(desk.config)
    assert (desk.base / "to/p/p-2").read_bytes() == b"BAD", "nobody has asked"
    keep(with_keys(desk, fixity={"every": "1d", "mend": True}))
    assert (desk.base / "to/p/p-2").read_bytes() == b"p-2"
    assert hidden(desk.base / "to/p") == [b"BAD"] and kinds("mended") == ["mended"]


def damaged(desk: Desk, name: str = "p-1", content: bytes | None = b"BAD") -> Damage:
    """A delivered file that somebody has changed, or removed; and its row."""
    (id,) = delivered(desk, name)
    path = desk.base / "to/p" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    look()
    return Damage.objects.select_related("delivery__arrival", "delivery__place").get(delivery__arrival=id)


def look() -> None:
    """Read every stored file, and record what is found."""
    check_all(note=damage.note)


def test_a_mending_that_fails_begins_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    row, path = damaged(desk), desk.base / "to/p/p-1"
    original = desk.folders().done / "p-1"
    original.rename(desk.base / "away")
    with pytest.raises(NotMended, match="no other copy"):
        mend(desk.config, row)
    assert not Damage.objects.get().mending
    (desk.base / "away").rename(original)

    def full(*_: object) -> None:
        raise DiskFull("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Local, "sync_staged", full)
        with pytest.raises(NotMended, match="Free space there, then run `dropslot mend`"):
            mend(desk.config, Damage.objects.get())
    assert not Damage.objects.get().mending and not list((desk.base / "to/p/.dropslot").glob("stage/*"))
    damage.accept([Damage.objects.get()], reason="meant", by="olga")
    path.write_bytes(b"changed again")
    look()
    assert kinds("damaged") == ["damaged", "damaged"], "what was accepted changed again"
    path.write_bytes(b"p-1")
    look()
    assert kinds("intact-again") and not Damage.objects.exists()


def test_a_mending_that_fails_after_it_has_set_the_file_aside_says_where_it_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, path = damaged(desk), desk.base / "to/p/p-1"

    def cut(*_: object) -> None:
        raise DestinationUnready("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(LocalDrop, "publish", cut)
        with pytest.raises(DestinationUnready):
            mend(desk.config, row)
    assert hidden(path.parent) == [b"BAD"] and not path.exists()
    look()
    assert kinds("damaged") == ["damaged"], "that it is gone now is dropslot's own doing"
    path.write_bytes(b"p-1")
    look()
    data = json.loads(Event.objects.get(kind="intact-again").data)
    assert (path.parent / data["files"][0]["set_aside"]).read_bytes() == b"BAD"
    assert not Damage.objects.exists()


@pytest.mark.sqlite_only
def test_what_comes_while_a_missing_file_is_mended_keeps_its_name(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, path = damaged(desk, content=None), desk.base / "to/p/p-1"
    renamed: list[object] = []
    staged, rename = Local.sync_staged, Local.give_other_name

    def came(self: Local, drops: Sequence[Drop]) -> None:
        staged(self, drops)
        path.write_bytes(b"p-1")

    def watched(self: Local, *names: Any) -> bool:
        renamed.append(names)
        return rename(self, *names)

    monkeypatch.setattr(Local, "sync_staged", came)
    monkeypatch.setattr(Local, "give_other_name", watched)
    with pytest.raises(NotMended, match="has taken the name"):
        mend(desk.config, row)
    assert path.read_bytes() == b"p-1" and not renamed and not hidden(path.parent)
    assert not Damage.objects.get().mending
    assert "as it was delivered again" in mend(desk.config, Damage.objects.get())


@pytest.mark.sqlite_only
def test_what_is_put_right_while_it_is_mended_gets_its_name_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, path = damaged(desk), desk.base / "to/p/p-1"
    staged = Local.sync_staged

    def put_right(self: Local, drops: Sequence[Drop]) -> None:
        staged(self, drops)
        path.write_bytes(b"p-1")

    with monkeypatch.context() as patched:
        patched.setattr(Local, "sync_staged", put_right)
        with pytest.raises(NotMended, match="has its name again"):
            mend(desk.config, row)
    assert path.read_bytes() == b"p-1" and not hidden(path.parent)
    look()
    data = json.loads(Event.objects.get(kind="intact-again").data)
    assert "set_aside" not in data["files"][0] and not Damage.objects.exists()
    assert not list((path.parent / ".dropslot").glob("stage/*"))


@pytest.mark.sqlite_only
def test_nothing_is_mended_where_the_folder_that_must_exist_does_not(desk: Desk) -> None:
    row = damaged(desk, content=None)
    deliver = [{"to": "./to/{place}", "must_exist": "./to/{place}"}]
    route = {"folders": "./one", "name": r"(?P<place>[^-]+)-.*", "deliver": deliver}
    config = from_mapping({"data": "./var", "routes": {"one": route}}, desk.base)
    (desk.base / "to/p").rename(desk.base / "unmounted")
    with override_settings(DROPSLOT=config), pytest.raises(DropslotError, match="must_exist"):
        mend(config, row)
    assert not (desk.base / "to/p").exists() and not Damage.objects.get().mending


@pytest.mark.sqlite_only
def test_no_copy_is_made_that_would_fill_the_disk_of_the_database(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = damaged(desk)
    (desk.folders().done / "p-1").unlink()
    stored_elsewhere(desk, row)
    with monkeypatch.context() as patched:
        patched.setattr(copies, "LEFT_FREE_BYTES", 1 << 60)
        with pytest.raises(NotMended, match="must stay free"):
            mend(desk.config, row)
    assert "was mended from" in mend(desk.config, Damage.objects.get())
    assert (desk.base / "to/p/p-1").read_bytes() == b"p-1" and not list((desk.base / "var/mending").iterdir())


@pytest.mark.sqlite_only
def test_nothing_is_mended_by_itself_where_the_whole_place_is_gone(desk: Desk) -> None:
    row, place = damaged(desk, content=None), desk.base / "to/p"
    damaged(desk, "p-2", None)
    place.rename(desk.base / "unmounted")
    for is_there in (False, True):
        if is_there:
            place.mkdir()
        Damage.objects.update(due_at=timezone.now())
        keep(with_keys(desk, fixity={"every": "1d", "mend": True}))
        assert not place.exists() or not list(place.glob("p-*"))
        assert all("perhaps its disk is not mounted" in one.not_mended for one in Damage.objects.all())
    assert "was mended from done" in mend(desk.config, Damage.objects.get(pk=row.pk), by="olga")
    assert (place / "p-1").read_bytes() == b"p-1"


@pytest.mark.sqlite_only
def test_a_copy_that_cannot_be_read_does_not_hide_another(desk: Desk) -> None:
    row = damaged(desk)
    (desk.folders().done / "p-1").unlink()
    (desk.folders().done / "p-1").mkdir()
    stored_elsewhere(desk, row)
    assert "was mended from" in mend(desk.config, row)
    assert (desk.base / "to/p/p-1").read_bytes() == b"p-1"


@pytest.mark.sqlite_only
def test_what_a_rebuild_found_in_several_places_is_mended(desk: Desk) -> None:
    row = damaged(desk)
    evidence = {
        "rebuilt": "receipt",
        "parts": {row.delivery.place.url: {"to": str(desk.base / "to/{place}")}},
    }
    Arrival.objects.filter(id=row.delivery.arrival_id).update(evidence=evidence)
    keep(with_keys(desk, fixity={"every": "1d", "mend": True}))
    assert (desk.base / "to/p/p-1").read_bytes() == b"p-1"


def stored_elsewhere(desk: Desk, row: Damage) -> None:
    """The same file at another destination of its arrival."""
    other = Delivery.objects.get(pk=row.pk)
    other.pk, other.place = None, Place.objects.create(url=str(desk.base / "to/q"))
    other.save()
    (desk.base / "to/q").mkdir()
    (desk.base / "to/q/p-1").write_bytes(b"p-1")


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
    (id,) = delivered(desk, "p-1")
    monkeypatch.setattr(Local, "can_be_read", False)
    with Reader() as reader, pytest.raises(NotProved, match="only acknowledges"):
        purge(Arrival.objects.get(id=id), reader, Why("a schedule", only_read_back=True))
    assert os.path.exists(desk.folders().done / "p-1")


def moved_back_and_archived_again(desk: Desk) -> tuple[Arrival, Arrival]:
    """Two arrivals: somebody moved the original of the first one away, and the second was archived in its place."""
    (old,) = delivered(desk, "p-1", age=timedelta(days=91))
    (desk.folders().done / "p-1").rename(desk.base / "away")
    (new,) = delivered(desk, "p-1", age=timedelta(days=1))
    first, second = (Arrival.objects.get(id=id) for id in (old, new))
    assert first.archived_as == second.archived_as
    return first, second


@pytest.mark.parametrize("is_held", [False, True])
def test_an_older_arrival_never_takes_the_original_of_a_later_one(desk: Desk, *, is_held: bool) -> None:
    old, new = moved_back_and_archived_again(desk)
    if is_held:
        holds.hold(new, reason="court", by="olga")
    with Reader() as reader, pytest.raises((NotProved, OnLegalHold)):
        purge(old, reader, Why("a test"))
    config = with_keys(desk, done="keep 90d")
    with Reader() as reader:
        assert not remove(config, old.id, reader)
    assert (desk.folders().done / "p-1").read_bytes() == b"p-1" and not kinds("purged")
    with override_settings(DROPSLOT=config):
        keep(config)
    assert Arrival.objects.get(id=old.id).archived_as == "" and not KeptOriginal.objects.exists()


def test_a_later_arrival_that_comes_while_an_original_is_read_keeps_its_own(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = delivered(desk, "p-1", age=timedelta(days=91))
    old = Arrival.objects.get(id=id)
    with Reader() as reader:
        read = reader.digest

        def slow(url: str, name: str) -> str | None:
            if (done := desk.folders().done / "p-1").exists() and not (desk.base / "away").exists():
                done.rename(desk.base / "away")
                delivered(desk, "p-1")
            return read(url, name)

        monkeypatch.setattr(reader, "digest", slow)
        with pytest.raises(NotProved, match="which came later"):
            purge(old, reader, Why("a test"))
    assert (desk.folders().done / "p-1").read_bytes() == b"p-1" and not kinds("purged")


def test_a_hold_of_an_older_arrival_at_the_same_place_holds(desk: Desk) -> None:
    old, new = moved_back_and_archived_again(desk)
    holds.hold(old, reason="court", by="olga")
    give_up_replaced()
    with Reader() as reader, pytest.raises(OnLegalHold, match=old.id):
        purge(new, reader, Why("a test"))
    holds.release(old, reason="over", by="olga")
    give_up_replaced()
    with Reader() as reader:
        assert purge(new, reader, Why("a test"))
    assert not (desk.folders().done / "p-1").exists()


@pytest.mark.sqlite_only
def test_an_arrival_that_has_no_original_any_more_removes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = delivered(desk, "p-1", age=timedelta(days=91))
    monkeypatch.chdir(desk.folders().done)
    Arrival.objects.filter(id=id).update(archived_as="")
    config = with_keys(desk, done="keep 90d")
    with Reader() as reader, override_settings(DROPSLOT=config):
        assert not remove(config, id, reader)
        assert purge(Arrival.objects.get(id=id), reader, Why("a test")) is None
        Arrival.objects.filter(id=id).update(evidence={"purging": True})
        assert purge(Arrival.objects.get(id=id), reader, Why("a test")) is None
    with pytest.raises(ValueError, match="not an absolute path"):
        Emptying(Path(), Listing(is_folder=True))
    assert (desk.folders().done / "p-1").read_bytes() == b"p-1" and not kinds("purged")


def test_what_was_removed_is_no_longer_said_to_be_kept(desk: Desk) -> None:
    gone, by_hand = delivered(desk, "p-1", "p-2", age=timedelta(days=91))
    for id in (gone, by_hand):
        KeptOriginal.objects.create(arrival_id=id, why="x", attempts=3, due_at=timezone.now())
    (trouble,) = troubles(desk.config, TroubleKind.RETENTION)
    assert "2 originals" in trouble.what
    with Reader() as reader:
        purge(Arrival.objects.get(id=gone), reader, Why("a person"))
    assert [row.arrival_id for row in KeptOriginal.objects.all()] == [by_hand]
    Arrival.objects.filter(id=by_hand).update(archived_as="")
    assert not troubles(desk.config, TroubleKind.RETENTION)


def test_the_rate_limits_what_retention_reads_in_done_too(desk: Desk) -> None:
    (id,) = delivered(desk, "p-1", age=timedelta(days=91))
    Arrival.objects.filter(id=id).update(evidence={"unleased": "x"})
    read: list[int] = []
    with Reader(counted=read.append) as reader:
        assert remove(with_keys(desk, done="keep 90d"), id, reader)
    assert sum(read) == 3 * len(b"p-1"), "compared in done, read back, and read in done before it goes"


def test_a_hold_protects_what_was_written_after_the_delivery_too(desk: Desk) -> None:
    held, heir, last = delivered(desk, "p-1", "p-2", "p-3")
    Arrival.objects.filter(id=held).update(evidence={"heir": heir}, archived_as="")
    Arrival.objects.filter(id=heir).update(evidence={"heir": last})
    holds.hold(Arrival.objects.get(id=held), reason="court", by="olga")
    for id in (heir, last):
        with Reader() as reader, pytest.raises(OnLegalHold, match=held):
            purge(Arrival.objects.get(id=id), reader, Why("a test"))
    holds.release(Arrival.objects.get(id=held), reason="over", by="olga")
    with Reader() as reader, pytest.raises(NotProved, match=f"goes on as arrival {last}"):
        purge(Arrival.objects.get(id=heir), reader, Why("a test"))
    assert {path.name for path in desk.folders().done.iterdir()} == {"p-1", "p-2", "p-3"}


def test_an_original_is_not_given_up_for_one_that_still_waits_in_processing(desk: Desk) -> None:
    (first,) = delivered(desk, "p-1", age=timedelta(days=1))
    (second,) = delivered(desk, "p-2")
    row = Arrival.objects.get(id=second)
    holding = held_in(desk.folders(), second, row.epoch)
    holding.mkdir()
    (desk.folders().done / "p-2").rename(holding / "p-1")
    place = str(desk.folders().done / "p-1")
    Arrival.objects.filter(id=second).update(name="p-1", name_bytes=b"p-1", archived_as=place)
    give_up_replaced()
    assert Arrival.objects.get(id=first).archived_as == place
    with Reader() as reader:
        assert purge(Arrival.objects.get(id=first), reader, Why("a test"))
    assert (holding / "p-1").exists()


@pytest.mark.sqlite_only
def test_what_is_moved_out_of_done_while_it_is_read_stays_whole(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = delivered(desk, "p-1", content={"a": b"1", "b": b"2"})
    done, inbox = desk.folders().done / "p-1", desk.folders().inbox / "p-1"
    with Reader() as reader:
        read = reader.digest_of

        def slow(fd: int, name: str) -> str:
            if done.exists() and os.path.samestat(os.fstat(fd), (done / "a").stat()):
                done.rename(inbox)
            return read(fd, name)

        monkeypatch.setattr(reader, "digest_of", slow)
        with pytest.raises(NotProved, match="moved away"):
            purge(Arrival.objects.get(id=id), reader, Why("a test"))
    assert read_tree(inbox) == {"a": b"1", "b": b"2"}


@pytest.mark.sqlite_only
def test_a_single_file_that_is_moved_out_of_done_meanwhile_is_not_said_to_be_removed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = delivered(desk, "p-1")
    begin = module._begin  # noqa: SLF001 - ours

    def late(arrival: Arrival) -> None:
        begin(arrival)
        (desk.folders().done / "p-1").rename(desk.base / "away")

    monkeypatch.setattr(module, "_begin", late)
    with Reader() as reader:
        purge(Arrival.objects.get(id=id), reader, Why("a test"))
    data = json.loads(Event.objects.get(kind="purged").data)
    assert (data["items"], data["size_bytes"]) == (0, 0) and (desk.base / "away").read_bytes() == b"p-1"


@pytest.mark.sqlite_only
def test_a_removal_that_a_crash_ended_goes_on_only_where_its_disk_is(desk: Desk) -> None:
    (id,) = delivered(desk, "p-1")
    Arrival.objects.filter(id=id).update(evidence={"purging": True})
    desk.folders().done.rename(desk.base / "unmounted")
    with Reader() as reader:
        assert purge(Arrival.objects.get(id=id), reader, Why("a test")) is None
        assert Arrival.objects.get(id=id).archived_as and not kinds("purged")
        (desk.base / "unmounted").rename(desk.folders().done)
        (desk.folders().done / "p-1").unlink()
        assert purge(Arrival.objects.get(id=id), reader, Why("a test"))
    assert kinds("purged")


@pytest.mark.sqlite_only
@pytest.mark.parametrize("within", ["p-1", ""])
def test_what_comes_into_failed_while_it_is_compared_stays(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, within: str
) -> None:
    delivered(desk, "p-1", content={"a": b"1"})
    refused = desk.send("p-1", {"a": b"1"})
    folder = desk.folders().failed / refused
    folder.mkdir()
    write_tree(folder / "p-1", {"a": b"1"})
    before = timezone.now() - timedelta(hours=1)
    Arrival.objects.filter(id=refused).update(state=State.FAILED, finished_at=before, items=1, size_bytes=1)
    added = folder / within / "added.txt"
    with Reader() as reader:
        read = reader.digest

        def slow(url: str, name: str) -> str | None:
            added.write_bytes(b"only here")
            return read(url, name)

        with monkeypatch.context() as patched:
            patched.setattr(reader, "digest", slow)
            with pytest.raises(NotProved):
                purge_failed(desk.config, Arrival.objects.get(id=refused), reader, "olga")
        with pytest.raises((NotProved, NotDecided)):
            purge_failed(desk.config, Arrival.objects.get(id=refused), reader, "olga")
        assert added.read_bytes() == b"only here" and (folder / "p-1/a").exists()
        added.unlink()
        assert purge_failed(desk.config, Arrival.objects.get(id=refused), reader, "olga") == 1
    assert not folder.exists()


@pytest.mark.sqlite_only
def test_what_could_not_be_read_is_counted_for_its_own_place(desk: Desk) -> None:
    delivered(desk, "p-1", "pq-2")
    place = str(desk.base / "to/p")
    last = Delivery.objects.latest("id").pk
    assert unread({place: {"ranges": [[1, last]], "open": True}}) == 1


@pytest.mark.sqlite_only
def test_nothing_is_read_for_what_a_schedule_may_not_remove(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = delivered(desk, "p-1")
    for number in range(5):
        only = Delivery.objects.get(arrival=id, place__url=str(desk.base / "to/p"))
        only.pk, only.place = None, Place.objects.create(url=f"/acknowledges/{number}")
        only.save()
    monkeypatch.setattr(module, "for_url", lambda url: Acknowledges() if "acknowledges" in url else Local())
    read: list[int] = []
    with Reader(counted=read.append) as reader, pytest.raises(NotProved, match="only acknowledges"):
        purge(Arrival.objects.get(id=id), reader, Why("a schedule", only_read_back=True))
    assert not read


class Acknowledges(Local):
    """A place that cannot be read back."""

    can_be_read = False


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
