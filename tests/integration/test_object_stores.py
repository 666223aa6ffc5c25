"""Arrivals that go into a bucket of a real object store: from the inbox to purge, and what goes wrong there."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from typing import Any

import pytest

from dropslot.destinations.s3.in_parts import PART_BYTES
from product import Product, read_tree
from store_between import CUT_BEFORE, EXPIRED, SLOW_DOWN, Between, between
from stores import BUCKET, ObjectStore

pytestmark = [pytest.mark.usefixtures("store_secrets"), pytest.mark.xdist_group("stores")]


@dataclass
class Laboratory:
    """A product that delivers into a prefix of a bucket."""

    product: Product
    store: ObjectStore
    top: str

    @property
    def place(self) -> str:
        return f"s3://{BUCKET}/{self.top}"

    def configure(self, inner: str = "", **more: Any) -> None:
        rule = {"to": self.place + inner, **self.store.keys, **more}
        rule = {key: value for key, value in rule.items() if value is not None}
        route = {"folders": "./study", "takes": "any", "name": "(?P<visit>.+)", "deliver": [rule]}
        self.product.configure({"study": route})

    def deliver(self, name: str, content: Any, status: int | None = 0) -> str:
        """Drop and drain; the arrival's id."""
        self.product.drop(name, content)
        self.product.drain(status=status)
        return str(self.product.arrivals()[-1]["id"])

    def stored(self) -> dict[str, bytes]:
        """What is there, but for what is hidden."""
        keys = [key for key in self.store.list_keys(f"{self.top}/") if ".dropslot" not in key]
        return {key.removeprefix(f"{self.top}/"): self.store.get(key) for key in keys}

    def reason(self) -> str:
        return " ".join(self.product.arrivals()[-1]["reason"])


@pytest.fixture
def laboratory(sqlite_product: Product, shared_store: ObjectStore) -> Laboratory:
    made = Laboratory(sqlite_product, shared_store, f"lab-{secrets.token_hex(6)}")
    made.configure("/{visit}")
    return made


def test_the_whole_way_from_inbox_to_purge(laboratory: Laboratory) -> None:
    product = laboratory.product
    large = os.urandom(PART_BYTES + 100_000)
    first = laboratory.deliver("visit", {"a.txt": b"1", "sub/scan.raw": large, "empty": b""})
    second = laboratory.deliver("visit", {"a.txt": b"2", "sub/scan.raw": large})
    wanted = {"visit/a.txt": b"1", "visit/a.v2.txt": b"2", "visit/empty": b"", "visit/sub/scan.raw": large}
    assert laboratory.stored() == wanted
    rows = {(row["arrival"], row["stored_as"], row["outcome"]) for row in product.history()}
    assert rows == {
        *((first, name, "delivered") for name in ("a.txt", "sub/scan.raw", "empty")),
        (second, "a.v2.txt", "delivered"),
        (second, "sub/scan.raw", "unchanged"),
    }
    receipt, _ = json.JSONDecoder().raw_decode(product.run("receipt", first).stdout)
    assert "destination: the server compared the SHA-256" in receipt["guarantees"]
    assert read_tree(product.root / "var/spool", hidden=()) == {}
    assert "Fixity: 4 stored files" in product.run("verify", "--fixity").stdout
    newest = [row["stored_as"] for row in product.listing("latest", "study")]
    assert sorted(newest) == ["a.v2.txt", "empty", "sub/scan.raw"]

    keys = ("arrival", "item", "stored_as", "version", "outcome", "sha256", "destination")
    before = [[row[key] for key in keys] for row in product.history()]
    for path in (product.root / "var").glob("dropslot.sqlite3*"):
        path.unlink()
    product.run("rebuild")
    assert [[row[key] for key in keys] for row in product.history()] == before

    laboratory.store.put(f"{laboratory.top}/visit/a.txt", b"of somebody else")
    assert "visit/a.txt: it was changed" in product.run("verify", "--fixity", status=1).stdout
    product.run("purge", "--older-than", "0s", "--yes", status=1)
    assert [path.name for path in product.folder("done").iterdir() if path.name != ".again"] == ["visit"]
    assert laboratory.store.uploads(laboratory.top) == []


def test_a_missing_object_is_put_back_and_a_changed_one_is_left_to_a_person(laboratory: Laboratory) -> None:
    product, store, top = laboratory.product, laboratory.store, f"{laboratory.top}/visit"
    large = os.urandom(PART_BYTES + 100_000)
    sent = {"a.txt": b"1", "b.txt": b"2", "sub/scan.raw": large}
    laboratory.deliver("visit", sent)
    store.remove(f"{top}/a.txt")
    store.put(f"{top}/b.txt", b"of somebody else")
    store.remove(f"{top}/sub/scan.raw")
    product.run("verify", "--fixity", status=1)
    told = product.run("mend", status=1)
    assert told.stdout.count("was mended from done") == 2 and "b.txt" in told.stderr, told.stderr
    assert "cannot be set aside" in told.stderr and "remove it there by hand" in told.stderr
    mended = {f"visit/{name}": data for name, data in sent.items()} | {"visit/b.txt": b"of somebody else"}
    assert laboratory.stored() == mended, "nothing was overwritten"
    store.remove(f"{top}/b.txt")
    product.run("mend")
    assert laboratory.stored() == mended | {"visit/b.txt": b"2"} and store.uploads(laboratory.top) == []


def test_what_is_there_is_read_once_and_what_differs_is_found(laboratory: Laboratory) -> None:
    """Many items again: all that is unchanged is proved by reading it."""
    items = {f"{number:03}.txt": b"%d" % number * (number % 3) for number in range(40)}
    laboratory.deliver("visit", items)
    laboratory.store.put(f"{laboratory.top}/visit/017.txt", b"altered there")
    laboratory.store.put(f"{laboratory.top}/visit/018.txt", bytes(PART_BYTES + 10))
    with between(laboratory.store) as way:
        _behind(laboratory, way)
        again = laboratory.deliver("visit", items)
    told = {
        row["stored_as"]: row["outcome"] for row in laboratory.product.history() if row["arrival"] == again
    }
    changed = {"017.v2.txt": "delivered", "018.v2.txt": "delivered"}
    same = {name: "unchanged" for name in items if name not in ("017.txt", "018.txt")}
    assert told == changed | same
    read = [request for request in way.requests if request.startswith("GET") and "/003.txt" in request]
    assert len(read) == 1 + (not items["003.txt"])


def _behind(laboratory: Laboratory, way: Between) -> None:
    laboratory.configure("/{visit}", endpoint=way.endpoint)


def test_a_store_that_is_overloaded_or_cuts_connections_only_takes_longer(laboratory: Laboratory) -> None:
    """Each request is refused or cut off once."""
    seen: set[str] = set()

    def act(number: int, request: str) -> str | None:
        if request in seen or "POST" in request:
            return None
        seen.add(request)
        return CUT_BEFORE if number % 2 else SLOW_DOWN

    large = os.urandom(PART_BYTES + 1000)
    with between(laboratory.store, act) as way:
        _behind(laboratory, way)
        laboratory.deliver("visit", {"a.txt": b"1", "scan.raw": large})
    assert laboratory.stored() == {"visit/a.txt": b"1", "visit/scan.raw": large}
    (row,) = laboratory.product.arrivals()
    assert row["attempts"] == 1


@pytest.mark.parametrize(
    ("action", "words"), [(EXPIRED, "session token is expired"), (SLOW_DOWN, "asks for fewer requests")]
)
def test_what_lasts_is_said_and_the_arrival_follows_once_it_is_over(
    laboratory: Laboratory, action: str, words: str
) -> None:
    def act(number: int, request: str) -> str | None:
        return action if "/visit/" in request and request.startswith("PUT") else None

    laboratory.product.constants["dropslot.destinations.s3.put_requests:_LONGEST_WAIT_SECONDS"] = 0.1
    with between(laboratory.store, act) as way:
        _behind(laboratory, way)
        arrival = laboratory.deliver("visit", {"a.txt": b"1"}, status=1)
        assert words in laboratory.reason()
        assert laboratory.product.arrivals()[-1]["state"] == "retrying"
        way.act = lambda number, request: None
        laboratory.product.run("retry", arrival, status=None)
        laboratory.product.drain()
    assert laboratory.stored() == {"visit/a.txt": b"1"}


def test_a_clock_that_is_wrong_is_said_with_the_time_there(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process whose clock is an hour ahead, as far as the SDK can see."""
    (laboratory.product.root / "sitecustomize.py").write_text(AHEAD)
    laboratory.product.drop("visit", {"a.txt": b"1"})
    laboratory.product.drain(status=1, PYTHONPATH=str(laboratory.product.root))
    assert "this machine's clock is wrong by more than 15 minutes: there it is 20" in laboratory.reason()


AHEAD = """
import datetime, botocore.auth
now = botocore.auth.get_current_datetime
botocore.auth.get_current_datetime = lambda *args: now(*args) + datetime.timedelta(hours=1)
"""


def test_a_store_that_ignores_conditions_is_refused_at_the_start_and_by_doctor(
    sqlite_product: Product, careless_store: ObjectStore
) -> None:
    laboratory = Laboratory(sqlite_product, careless_store, "careless")
    laboratory.configure("/{visit}")
    ended = sqlite_product.run("run", status=None, timeout_seconds=60)
    assert ended.status != 0
    assert "If-None-Match" in ended.stderr
    found = {row["about"]: row for row in sqlite_product.run("doctor", "--json", status=1).objects}
    place = found[f"route study, {laboratory.place}/{{visit}}"]
    assert (place["level"], "replaced an object" in place["what"]) == ("error", True)
    laboratory.deliver("visit", {"a.txt": b"1"}, status=1)
    assert laboratory.stored() == {}


def test_a_bucket_that_is_gone_is_said_and_never_made(laboratory: Laboratory) -> None:
    laboratory.configure("/{visit}", to="s3://nobody-made-it/{visit}")
    laboratory.deliver("visit", {"a.txt": b"1"}, status=1)
    assert "the bucket nobody-made-it" in laboratory.reason()
    assert "does not exist" in laboratory.reason()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"secret_key": "NOT_SET"}, "NOT_SET is not set"),
        ({"secret_key": None}, "belong together"),
        ({"kms_key": "a"}, "needs `encryption: aws:kms`"),
        ({"endpoint": "http://store.example"}, "expected https://"),
        ({"object_lock": {"mode": "forever", "days": 1}}, "governance"),
        ({"create_folders": True}, "begins with sftp://"),
    ],
)
def test_mistakes_in_the_keys_end_the_start(laboratory: Laboratory, more: dict[str, Any], words: str) -> None:
    laboratory.configure("/{visit}", **more)
    ended = laboratory.product.drain(status=2)
    assert words in ended.stderr
