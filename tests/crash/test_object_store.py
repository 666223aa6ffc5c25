"""Deliveries into a bucket of a real object store, killed before and after each request that changes something there,
and cut off there. What is sent in parts is continued: parts that are there are not sent again.

Steps of files and of the database are those of every arrival, and `test_kill` kills at each of them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections import Counter
from collections.abc import Iterator

import pytest

from dropslot.destinations.s3.in_parts import PART_BYTES
from laboratory import DRAIN, Laboratory, Result
from product import STUDY
from store_between import CUT_AFTER, CUT_BEFORE, KILL_AFTER, KILL_BEFORE, Between, between
from stores import BUCKET, KEY, SECRET, ObjectStore

pytestmark = pytest.mark.xdist_group("stores")

LARGE = os.urandom(2 * PART_BYTES + 1000)
NEW = {"scan.raw": LARGE, "up/notes.txt": b"notes", "more.txt": b"more"}
CHANGED = NEW | {"more.txt": b"other"}
STORED = {**NEW, "more.v2.txt": b"other"}
COMMANDS = (("arrivals", "--json"), ("history", "--json"), ("verify", "--fixity"))


class Bucket:
    """An installation that delivers to a new prefix of the bucket."""

    def __init__(self, laboratory: Laboratory, way: Between, arrivals: int = 1) -> None:
        """Of several arrivals the last one has not been delivered yet."""
        self.laboratory, self.way = laboratory, way
        self.top = f"crash-{secrets.token_hex(6)}"
        laboratory.begin()
        laboratory.environment = {"STORE_KEY": KEY, "STORE_SECRET": SECRET}
        to = {"to": f"s3://{BUCKET}/{self.top}", **way.store.keys, "endpoint": way.endpoint}
        laboratory.product.configure({"study": STUDY | {"deliver": [to]}}).drop("session", NEW)
        way.act = lambda number, request: None
        if arrivals == 2:
            assert self.drain()
            laboratory.product.drop("session", CHANGED)

    def drain(self) -> bool:
        """Whether it ended by itself."""
        del self.way.requests[:]
        answer = self.laboratory.ask(do=[DRAIN])
        return isinstance(answer, list)

    def files(self) -> dict[str, bytes]:
        keys = (key for key in self.way.store.list_keys(f"{self.top}/") if ".dropslot" not in key)
        return {key.removeprefix(f"{self.top}/"): self.way.store.get(key) for key in keys}

    def must_be_whole(self) -> None:
        """Nothing there is anything else than what was dropped."""
        wanted = {hashlib.sha256(data).digest() for data in STORED.values()}
        assert {hashlib.sha256(data).digest() for data in self.files().values()} <= wanted

    def must_end_well(self, arrivals: int) -> None:
        self.way.act = lambda number, request: None
        for _ in range(4):
            results = self.laboratory.do(DRAIN, *COMMANDS)
            if all(row["state"] == "done" for row in results[1].objects):
                break
        self._must_be_delivered_once(results[1:], arrivals)
        # The trial's own is removed when it is a week old: another process may be in the middle of it.
        trials = {f"{self.top}/.dropslot/{name}" for name in ("trial", "trial-digest")}
        assert {*self.way.store.uploads(self.top)} <= trials

    def _must_be_delivered_once(self, results: list[Result], arrivals: int) -> None:
        listed, history, verified = results
        assert [row["state"] for row in listed.objects] == ["done"] * arrivals, listed.out
        assert verified.status == 0, verified.out
        wanted = STORED if arrivals == 2 else NEW
        assert self.files() == wanted
        told = Counter(row["outcome"] for row in history.objects)
        assert told == {"delivered": len(wanted)} | ({"unchanged": 2} if arrivals == 2 else {})
        manifests = self.way.store.list_keys(f"{self.top}/.dropslot/manifests/")
        assert len(manifests) == arrivals


@pytest.fixture
def way(shared_store: ObjectStore) -> Iterator[Between]:
    with between(shared_store) as made:
        yield made


def _points(requests: list[str], every: int) -> list[int]:
    """The numbers of requests: all that change something, but of the trial every so-many-th; the others only ask."""
    changing = [
        number for number, request in enumerate(requests, 1) if not request.startswith(("GET", "HEAD"))
    ]
    trial = [number for number in changing if "/.dropslot/trial" in requests[number - 1]]
    return sorted([*(number for number in changing if number not in trial), *trial[::every]])


@pytest.mark.parametrize(
    ("action", "arrivals"),
    [(KILL_BEFORE, 1), (KILL_AFTER, 1), (KILL_AFTER, 2), (CUT_BEFORE, 1), (CUT_AFTER, 2)],
)
def test_stopped_at_each_request(
    sqlite_laboratory: Laboratory, way: Between, arrivals: int, action: str
) -> None:
    undisturbed = Bucket(sqlite_laboratory, way, arrivals)
    assert undisturbed.drain()
    points = _points(way.requests, 3)
    undisturbed.must_end_well(arrivals)
    assert len(points) > 3
    for point in points:
        bucket = Bucket(sqlite_laboratory, way, arrivals)
        way.act = lambda number, request, point=point: action if number == point else None  # type: ignore[misc]
        assert bucket.drain() == action.startswith("cut"), f"{point}: {way.requests}"
        bucket.must_be_whole()
        bucket.must_end_well(arrivals)


def test_parts_that_came_before_a_kill_are_not_sent_again(
    sqlite_laboratory: Laboratory, way: Between
) -> None:
    bucket = Bucket(sqlite_laboratory, way)
    way.act = lambda number, request: KILL_BEFORE if _completes(request) else None
    assert not bucket.drain()
    assert len([request for request in way.requests if _is_part(request)]) == 3
    assert len(way.store.uploads(bucket.top)) == 1
    way.act = lambda number, request: None
    assert bucket.drain()
    assert [request for request in way.requests if _is_part(request)] == []
    bucket.must_end_well(1)


def _is_part(request: str) -> bool:
    return "partNumber=" in request and "/scan.raw?" in request and request.startswith("PUT")


def _completes(request: str) -> bool:
    return "uploadId=" in request and "/scan.raw?" in request and request.startswith("POST")
