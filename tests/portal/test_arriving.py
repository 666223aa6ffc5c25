"""What is arriving now: how much is there, how fast it goes and how long it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropslot.arrivals.listings import arriving
from dropslot.arrivals.listings.arriving import Arriving
from dropslot.arrivals.models import Arrival, Upload
from dropslot.core.states import State
from portals import Site


def found(site: Site) -> list[Arriving]:
    return arriving.arriving(site.config, site.config.routes.values(), Arrival.objects.all())


@pytest.fixture
def in_work(site: Site) -> Arrival:
    """An arrival of 4,000 bytes in processing, of which 1,000 are staged."""
    site.drop("study", "heart-1", {"a": b"x" * 4000})
    site.deliver("sam")
    Arrival.objects.update(state=State.PROCESSING, items=None, size_bytes=None, archived_as="", epoch=3)
    row = Arrival.objects.get()
    held = site.root / "study" / "processing" / f"{row.id}-3"
    held.mkdir()
    (site.root / "study" / "done" / "heart-1").rename(held / "heart-1")
    stage(site, row, 1000)
    return row


def stage(site: Site, row: Arrival, size: int) -> None:
    tree: Path = site.root / "studies" / ".dropslot" / "stage" / f"{row.id}-3.abcdef12" / "tree"
    tree.mkdir(parents=True, exist_ok=True)
    (tree / "a").write_bytes(b"x" * size)


def test_of_an_arrival_in_processing_the_staged_part_is_known(site: Site, in_work: Arrival) -> None:
    [one] = found(site)
    assert (one.id, one.files, one.here_bytes, one.total_bytes, one.percent) == (
        in_work.id,
        1,
        1000,
        4000,
        25,
    )
    assert one.seconds_left is None


def test_the_staging_of_an_earlier_attempt_does_not_count(site: Site, in_work: Arrival) -> None:
    Arrival.objects.update(epoch=4)
    [one] = found(site)
    assert one.here_bytes == 0


def test_rate_and_time_left_come_from_two_looks(
    site: Site, in_work: Arrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(arriving, "monotonic", lambda: now[0])
    found(site)
    stage(site, in_work, 2000)
    now[0] = 102.0
    [one] = found(site)
    assert (one.rate, one.seconds_left) == (500.0, 4.0)
    assert "2.0 kB of 4.0 kB, 500 B/s, under a minute left" in site.client("olga").get("/").content.decode()


def test_an_entry_of_an_inbox_has_a_size_and_its_sender(site: Site) -> None:
    site.drop("study", "heart-2", {"a": b"x" * 10, "b/c": b"y" * 5})
    Upload.objects.create(inbox=str(site.root / "study" / "inbox"), name="heart-2", inode=1, sender="sam")
    [one] = found(site)
    assert (one.id, one.name, one.sender, one.files, one.here_bytes) == ("", "heart-2", "sam", 2, 15)
    assert one.percent is None


def test_litter_is_not_arriving_and_an_inbox_that_is_away_is_empty(site: Site) -> None:
    site.drop("study", ".DS_Store")
    (site.root / "results" / "inbox").rmdir()
    assert found(site) == []


def test_a_tree_with_very_many_files_is_not_counted_to_its_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "_MOST_ENTRIES", 3)
    site.drop("study", "heart-3", {f"f{n}": b"x" for n in range(10)})
    [one] = found(site)
    assert one.more
    assert one.files == 3


def test_no_link_is_followed(site: Site, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_bytes(b"x" * 5000)
    inbox = site.root / "study" / "inbox"
    (inbox / "link").symlink_to(tmp_path / "secret")
    site.drop("study", "heart-4", {"a": b"x"})
    (inbox / "heart-4" / "inner").symlink_to(tmp_path / "secret")
    assert all(one.here_bytes is not None and one.here_bytes < 1000 for one in found(site))


def test_a_deep_tree_and_one_that_has_gone_break_nothing(site: Site, tmp_path: Path) -> None:
    assert arriving.measure(str(tmp_path / "nothing")) == (0, 0, True)
    path = site.root / "study" / "inbox" / "deep"
    path.mkdir()
    for _ in range(60):
        path /= "d"
        path.mkdir()
    (path / "bottom").write_bytes(b"x")
    [one] = found(site)
    assert one.more
