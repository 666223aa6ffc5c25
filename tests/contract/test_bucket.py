"""The contract of destinations, kept by an object store: no folders, no modes, no rename."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from contract.bucket import Bucket, Store
from contract.destination_contract import ID, StoreContract, deliver, source_of
from dropslot.core.errors import DestinationUnready
from dropslot.destinations.base import Rules, Target

TOP = "bucket://lab"


@dataclass
class BucketSite:
    """A bucket, looked at by its keys; what is hidden is also what is left in the spool."""

    destination: Bucket

    def target(self, inner: str = "study/raw", rules: Rules | None = None) -> Target:
        return Target(f"{TOP}/{inner}" if inner else TOP, TOP, rules=rules or Rules())

    def _keys(self, *, hidden: bool) -> list[str]:
        keys = [key for key, *_ in self.destination.store.keys("")]
        return [key for key in keys if (".dropslot" in key.split("/")) == hidden]

    def files(self) -> dict[str, bytes]:
        return {key: self.destination.store.get(key) or b"" for key in self._keys(hidden=False)}

    def hidden(self) -> list[str]:
        spooled = [
            os.path.join(top, name) for top, _, names in os.walk(self.destination.spool) for name in names
        ]
        return [*self._keys(hidden=True), *spooled]

    def put(self, path: str, data: bytes) -> None:
        self.destination.store.put(path, data)

    def folders(self) -> set[str]:
        return set()


@pytest.fixture
def site(tmp_path: Path) -> BucketSite:
    return BucketSite(Bucket(Store(tmp_path / "bucket.sqlite"), tmp_path / "spool"))


class TestBucket(StoreContract):
    """By conditional puts."""


def test_an_item_that_was_sent_before_a_crash_is_ours(site: BucketSite, arrival: Path) -> None:
    sent = deliver(site, arrival, site.target())
    assert sent == []
    assert deliver(site, arrival, site.target(), epoch=2) == []
    assert site.destination.store.keys("study/raw/.dropslot")[0][0].endswith(f"/{ID}.sha256")


def test_two_places_of_one_arrival_are_staged_apart(site: BucketSite, arrival: Path) -> None:
    one, other = (site.destination.open(site.target(inner), ID, 1, "arrival") for inner in ("one", "two"))
    for drop in (one, other):
        drop.discard_older()
        assert drop.stage(source_of(arrival))
    one.clean()
    with other.open_staged("a.txt") as data:
        assert data.read() == b"hello"
    other.clean()
    assert site.hidden() == []


def test_a_bucket_that_is_away_says_so(site: BucketSite, tmp_path: Path) -> None:
    (tmp_path / "bucket.sqlite.away").touch()
    with pytest.raises(DestinationUnready):
        site.destination.check(site.target())
