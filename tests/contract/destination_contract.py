# mypy: disable-error-code="func-returns-value"
"""What every kind of destination keeps. A test class inherits it and gives the fixtures `site`.

A site knows how to look at the destination from outside, by other means than the code under test.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from dropslot.contents.base import Source, Staged
from dropslot.core import manifests
from dropslot.core.errors import DestinationUnready, DropslotError, SourceChanged, TakenOver
from dropslot.destinations.base import Destination, Drop, Planned, Rules, Target
from dropslot.destinations.shared import SharedDrop
from dropslot.files.listing import Listing
from dropslot.files.walk import list_arrival

ID = "01JD0000000000000000000000"
SMALL = {"a.txt": b"hello", "sub/b.nii.gz": b"b" * 300_000, "sub/deep/c": b"", "z": b"z"}


class Site(Protocol):
    """One destination and the means to look at it."""

    @property
    def destination(self) -> Destination: ...
    def target(self, inner: str = "study/raw", rules: Rules | None = None) -> Target: ...
    def files(self) -> dict[str, bytes]:
        """Path below the fixed part -> content, of all that is visible (`.dropslot` left out)."""
        ...

    def hidden(self) -> list[str]:
        """What is in `.dropslot` folders."""
        ...

    def put(self, path: str, data: bytes) -> None: ...
    def folders(self) -> set[str]: ...


class OnDisk:
    """A site that is a folder of this machine, whatever way things come there."""

    root: Path

    def _paths(self) -> list[str]:
        found = []
        for top, folders, names in os.walk(self.root):
            found += [
                os.path.relpath(os.path.join(top, n), self.root)
                for n in (*names, *(f + "/" for f in folders))
            ]
        return found

    def files(self) -> dict[str, bytes]:
        visible = [p for p in self._paths() if ".dropslot" not in p.split("/")]
        return {p: (self.root / p).read_bytes() for p in visible if (self.root / p).is_file()}

    def hidden(self) -> list[str]:
        found = [p for p in self._paths() if ".dropslot" in p.split("/")]
        return sorted(p for p in found if not (self.root / p).is_dir() or "stage" in p)

    def folders(self) -> set[str]:
        return {p for p in self._paths() if (self.root / p).is_dir()}

    def put(self, path: str, data: bytes) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)


def make(folder: Path, files: Mapping[str, bytes]) -> Path:
    """An arrival with these files; a path that ends with `/` is an empty folder."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            (folder / path).mkdir(parents=True, exist_ok=True)
        else:
            (folder / path).write_bytes(data)
    return folder


def source_of(path: Path) -> Source:
    return Source(path, list_arrival(path))


def plan_of(staged: list[Staged]) -> list[Planned]:
    return [Planned(item.path, item.path, item.sha256) for item in staged]


def stage(drop: Drop, path: Path) -> list[Planned]:
    """Stage and sync; the plan under which every item keeps its name."""
    plan = plan_of(drop.stage(source_of(path)))
    drop.destination.sync_staged([drop])
    return plan


def deliver(site: Site, path: Path, target: Target, arrival: str = ID, epoch: int = 1) -> list[Planned]:
    """The whole way; returns the names that were taken."""
    with site.destination.open(target, arrival, epoch, path.name) as drop:
        drop.discard_older()
        plan = stage(drop, path)
        taken = drop.publish(plan)
        site.destination.sync_names([drop])
        if not taken:
            drop.publish_manifest(manifests.write((p.sha256, p.stored_as) for p in plan))
        drop.clean()
    return taken


class StoreContract:
    """What every destination keeps that can be read, also one without folders. A test class inherits it and has a
    fixture `site`."""

    @pytest.fixture
    def arrival(self, tmp_path: Path) -> Path:
        return make(tmp_path / "arrival", SMALL)

    def test_delivers_every_byte(self, site: Site, arrival: Path) -> None:
        (arrival / "empty/inner").mkdir(parents=True)
        assert deliver(site, arrival, site.target()) == []
        assert site.files() == {f"study/raw/{path}": data for path, data in SMALL.items()}

    def test_digests_are_those_of_the_content(self, site: Site, arrival: Path) -> None:
        with site.destination.open(site.target(), ID, 1, "arrival") as drop:
            staged = drop.stage(source_of(arrival), ("sha256", "md5", "sha512"))
            assert [item.path for item in staged] == [item.path for item in list_arrival(arrival).items]
            for item in staged:
                for name in ("sha256", "md5", "sha512"):
                    assert item.digests[name] == hashlib.new(name, SMALL[item.path]).hexdigest()
                assert item.size_bytes == len(SMALL[item.path])
            drop.clean()

    def test_nothing_has_a_final_name_before_publish(self, site: Site, arrival: Path) -> None:
        with site.destination.open(site.target(), ID, 1, "arrival") as drop:
            stage(drop, arrival)
            assert site.files() == {}
            if stream := drop.open_staged("sub/b.nii.gz"):  # where the stage is on a disk of this machine
                with stream:
                    assert stream.read() == SMALL["sub/b.nii.gz"]
            drop.clean()
        assert site.files() == {}
        assert site.hidden() == []

    def test_a_taken_name_is_returned_and_never_replaced(self, site: Site, arrival: Path) -> None:
        site.put("study/raw/a.txt", b"there before")
        site.put("study/raw/sub/deep/c", b"too")
        with site.destination.open(site.target(), ID, 1, "arrival") as drop:
            plan = stage(drop, arrival)
            taken = drop.publish(plan)
            assert [planned.path for planned in taken] == ["a.txt", "sub/deep/c"]
            assert site.files()["study/raw/a.txt"] == b"there before"
            again = [planned._replace(stored_as=planned.stored_as + ".v2") for planned in taken]
            assert drop.publish(again) == []
            site.destination.sync_names([drop])
            drop.clean()
        assert site.files()["study/raw/a.txt"] == b"there before"
        assert site.files()["study/raw/a.txt.v2"] == b"hello"
        assert site.files()["study/raw/sub/deep/c"] == b"too"

    def test_a_target_that_appears_meanwhile_is_filled_entry_by_entry(
        self, site: Site, arrival: Path
    ) -> None:
        with site.destination.open(site.target(), ID, 1, "arrival") as drop:
            plan = stage(drop, arrival)
            assert drop.is_new()
            site.put("study/raw/z", b"someone was faster")
            assert not drop.is_new()
            assert [planned.path for planned in drop.publish(plan)] == ["z"]
            drop.clean()
        assert site.files() == {f"study/raw/{p}": d for p, d in SMALL.items()} | {
            "study/raw/z": b"someone was faster"
        }

    def test_publishing_again_repeats_no_effect(self, site: Site, arrival: Path) -> None:
        for inner in ("study/raw", "second"):
            if inner == "second":
                site.put("second/other", b"so that it is there")
            with site.destination.open(site.target(inner), ID, 1, "arrival") as drop:
                plan = stage(drop, arrival)
                assert drop.publish(plan) == []
                before = site.files()
                assert drop.publish(plan) == []
                assert site.files() == before
                drop.clean()

    def test_manifest_comes_last_and_once(self, site: Site, arrival: Path) -> None:
        with site.destination.open(site.target(), ID, 1, "arrival") as drop:
            plan = plan_of(drop.stage(source_of(arrival)))
            text = manifests.write((p.sha256, p.stored_as) for p in plan)
            site.destination.sync_staged([drop])
            drop.publish(plan)
            site.destination.sync_names([drop])
            first = drop.publish_manifest(text)
            assert first == f".dropslot/manifests/{ID}.sha256"
            assert drop.publish_manifest(text) == first
            drop.clean()
        with site.destination.open(site.target(), ID, 2, "arrival") as drop:  # after a crash
            drop.discard_older()
            assert drop.publish_manifest(text) == first
            drop.clean()
        assert site.hidden() == [f"study/raw/.dropslot/manifests/{ID}.sha256"]

    def test_manifest_beside_never_replaces(self, site: Site, arrival: Path) -> None:
        site.put("study/raw/arrival.sha256", b"something else")
        target = site.target(rules=Rules(manifest="beside"))
        with site.destination.open(target, ID, 1, "arrival") as drop:
            plan = stage(drop, arrival)
            drop.publish(plan)
            site.destination.sync_names([drop])
            assert drop.publish_manifest("x") == "arrival.v2.sha256"
            drop.clean()
        assert site.files()["study/raw/arrival.sha256"] == b"something else"
        assert site.files()["study/raw/arrival.v2.sha256"] == b"x"

    def test_no_manifest_when_none_is_wanted(self, site: Site, arrival: Path) -> None:
        with site.destination.open(site.target(rules=Rules(manifest="none")), ID, 1, "arrival") as drop:
            drop.publish(stage(drop, arrival))
            site.destination.sync_names([drop])
            assert drop.publish_manifest("x") is None
            drop.clean()
        assert site.hidden() == []

    def test_strip_publishes_the_payload_alone(self, site: Site, tmp_path: Path) -> None:
        files = {"bagit.txt": b"1", "data/x": b"2", "data/sub/y": b"3", "tags/t": b"4", "data/e/": b""}
        bag = make(tmp_path / "bag", files)
        with site.destination.open(site.target(), ID, 1, "bag") as drop:
            staged = drop.stage(source_of(bag), ("sha256",), "data/")
            site.destination.sync_staged([drop])
            if stream := drop.open_staged("bagit.txt"):
                with stream:
                    assert stream.read() == b"1"
            payload = [s for s in staged if s.path.startswith("data/")]
            plan = [Planned(s.path, s.path.removeprefix("data/"), s.sha256) for s in payload]
            assert drop.publish(plan) == []
            with pytest.raises(ValueError, match="outside"):
                drop.publish([Planned("bagit.txt", "bagit.txt", staged[0].sha256)])
            drop.clean()
        assert site.files() == {"study/raw/x": b"2", "study/raw/sub/y": b"3"}

    def test_single_file(self, site: Site, arrival: Path) -> None:
        assert deliver(site, arrival / "z", site.target()) == []
        assert site.files() == {"study/raw/z": b"z"}

    def test_many_small_arrivals_are_synced_together(self, site: Site, tmp_path: Path) -> None:
        sources = [make(tmp_path / f"s{n}", {f"f{n}": b"%d" % n}) for n in range(12)]
        drops = [site.destination.open(site.target(), f"{ID[:-2]}{n:02}", 1, f"s{n}") for n in range(12)]
        plans = [plan_of(d.stage(source_of(s))) for d, s in zip(drops, sources, strict=True)]
        site.destination.sync_staged(drops)
        assert not any(drop.publish(plan) for drop, plan in zip(drops, plans, strict=True))
        site.destination.sync_names(drops)
        assert all(site.destination.publish_manifests([(drop, "x") for drop in drops]))
        for drop in drops:
            drop.clean()
        assert len(site.files()) == 12
        assert len(site.hidden()) == 12

    def test_a_worker_that_was_taken_over_changes_nothing(self, site: Site, arrival: Path) -> None:
        old = site.destination.open(site.target(), ID, 1, "arrival")
        plan = stage(old, arrival)
        with site.destination.open(site.target(), ID, 2, "arrival") as new:
            new.discard_older()
            for call in (
                lambda: old.publish(plan),
                lambda: old.publish_manifest("x"),
            ):
                with pytest.raises(TakenOver):
                    call()
            assert site.files() == {}
            new_plan = stage(new, arrival)
            with pytest.raises(TakenOver):  # it wakes before it staged
                site.destination.open(site.target(), ID, 1, "arrival").stage(source_of(arrival))
            assert new.publish(new_plan) == []
            old.clean()
            new.clean()
        assert site.files() == {f"study/raw/{path}": data for path, data in SMALL.items()}
        assert site.hidden() == []

    @pytest.mark.parametrize(
        "change",
        [
            lambda top: (top / "a.txt").write_bytes(b"hello, longer"),
            lambda top: (top / "a.txt").write_bytes(b""),
            lambda top: (top / "a.txt").write_bytes(b"HELLO"),
            lambda top: (top / "a.txt").unlink(),
            lambda top: (os.rename(top / "a.txt", top / "moved"), (top / "a.txt").symlink_to("moved")),
            lambda top: ((top / "n").write_bytes(b"hello"), (top / "n").replace(top / "a.txt")),
            lambda top: os.link(top / "a.txt", top / "second"),
            lambda top: (os.rename(top / "sub", top.parent / "sub"), (top / "sub").symlink_to("../sub")),
            lambda top: ((top / "a.txt").unlink(), os.mkfifo(top / "a.txt")),
        ],
    )
    def test_a_source_that_changed_since_it_was_listed(
        self, site: Site, arrival: Path, change: object
    ) -> None:
        source = source_of(arrival)
        change(arrival)  # type: ignore[operator]
        with site.destination.open(site.target(), ID, 1, "arrival") as drop:
            with pytest.raises(SourceChanged):
                drop.stage(source)
            drop.clean()
        assert site.files() == {}
        assert site.hidden() == []

    def test_looking_at_what_is_there(self, site: Site) -> None:
        site.put("study/raw/sub/x", b"12345")
        with site.destination.open(site.target(), ID, 1, "arrival") as drop:
            stored = drop.stored("sub/x")
            assert stored is not None
            assert (stored.regular, stored.size_bytes) == (True, 5)
            folder = drop.stored("sub")
            assert folder is not None
            assert not folder.regular
            assert drop.stored("sub/nothing") is drop.stored("no/folder") is None
            assert drop.digest("sub/x") == hashlib.sha256(b"12345").hexdigest()
            assert drop.digest("sub") is drop.digest("nothing") is None
            with pytest.raises((ValueError, DestinationUnready)):
                drop.digest("../../outside/x")
        target = site.target()
        assert b"".join(site.destination.read(target, "sub/x")) == b"12345"
        with pytest.raises(FileNotFoundError):
            list(site.destination.read(target, "gone"))

    def test_staging_again_starts_anew(self, site: Site, arrival: Path) -> None:
        with site.destination.open(site.target(), ID, 1, "arrival") as drop:
            drop.stage(source_of(arrival))
            plan = stage(drop, arrival)
            assert drop.publish(plan) == []
            drop.clean()
        assert len(site.files()) == len(SMALL)

    def test_a_listing_has_what_is_there_and_follows_no_link(self, site: Site) -> None:
        site.put("study/raw/sub/x", b"12345")
        site.put("study/raw/y", b"")
        target, top = site.target(), site.target("")
        found = site.destination.listing(target, "")
        assert {name: (seen.is_folder, seen.regular) for name, seen in found.items()} == {
            "sub": (True, False),
            "y": (False, True),
        }
        assert site.destination.listing(target, "sub")["x"].size_bytes == 5
        assert site.destination.listing(top, "study/raw/sub").keys() == {"x"}
        assert site.destination.listing(target, "nothing/here") == {}
        assert site.destination.listing(target, "y") == {}


class DestinationContract(StoreContract):
    """What those keep as well that have folders, and a disk that is to be synced."""

    def test_delivers_empty_folders(self, site: Site, arrival: Path) -> None:
        (arrival / "empty/inner").mkdir(parents=True)
        assert deliver(site, arrival, site.target()) == []
        assert "study/raw/empty/inner" in site.folders()

    def test_strip_publishes_the_empty_folders_of_the_payload(self, site: Site, tmp_path: Path) -> None:
        bag = make(tmp_path / "bag", {"bagit.txt": b"1", "data/x": b"2", "data/e/": b"", "tags/": b""})
        with site.destination.open(site.target(), ID, 1, "bag") as drop:
            staged = drop.stage(source_of(bag), ("sha256",), "data/")
            site.destination.sync_staged([drop])
            payload = next(item for item in staged if item.path == "data/x")
            assert drop.publish([Planned("data/x", "x", payload.sha256)]) == []
            drop.clean()
        assert {"study/raw/e", "study/raw/tags"} & site.folders() == {"study/raw/e"}

    def test_two_workers_stage_the_items_of_one_arrival(self, site: Site, arrival: Path) -> None:
        """The second one's items are there as if one had staged all, also those that it left half done."""
        source = source_of(arrival)
        items, count = source.listing.items, len(source.listing.items)
        with site.destination.open(site.target(), ID, 1, "arrival") as drop:
            assert isinstance(drop, SharedDrop)
            drop.begin(source, ("sha256", "md5"), "")
            with site.destination.open(site.target(), ID, 1, "arrival") as helper:
                assert isinstance(helper, SharedDrop)
                some = Listing(is_folder=True, items=items[1:])
                helper.join(Source(arrival, some), ("sha256", "md5"), "", drop.prefix)
                theirs = helper.stage_items(0, count - 1)
                site.destination.sync_staged([helper])
                with pytest.raises((DropslotError, OSError)):  # a helper replaces nothing
                    helper.stage_items(0, 1)
            ours, once_more = drop.stage_items(0, 1), drop.stage_items(1, count, again=True)
            assert theirs.digests == once_more.digests
            staged = drop.end([ours, theirs])
            assert [item.digests["md5"] for item in staged] == [
                hashlib.md5(SMALL[item.path], usedforsecurity=False).hexdigest() for item in items
            ]
            site.destination.sync_staged([drop])
            assert drop.publish(plan_of(staged)) == []
            drop.clean()
        assert site.files() == {f"study/raw/{path}": data for path, data in SMALL.items()}

    def test_a_helper_finds_no_staging_after_a_takeover(self, site: Site, arrival: Path) -> None:
        source = source_of(arrival)
        with site.destination.open(site.target(), ID, 1, "arrival") as drop:
            assert isinstance(drop, SharedDrop)
            drop.begin(source, (), "")
            with site.destination.open(site.target(), ID, 1, "arrival") as late:
                assert isinstance(late, SharedDrop)
                late.join(source, (), "", drop.prefix)
                deliver(site, arrival, site.target(), epoch=2)
                with pytest.raises((DropslotError, OSError)):
                    late.stage_items(0, len(source.listing.items))
            with (
                site.destination.open(site.target(), ID, 1, "arrival") as later,
                pytest.raises((TakenOver, DestinationUnready)),
            ):
                assert isinstance(later, SharedDrop)
                later.join(source, (), "", drop.prefix)
        assert site.files() == {f"study/raw/{path}": data for path, data in SMALL.items()}

    def test_what_is_not_synced_is_not_published(self, site: Site, arrival: Path) -> None:
        with site.destination.open(site.target(), ID, 1, "arrival") as drop:
            plan = plan_of(drop.stage(source_of(arrival)))
            with pytest.raises(RuntimeError):
                drop.publish(plan)
            assert site.files() == {}
            drop.clean()
