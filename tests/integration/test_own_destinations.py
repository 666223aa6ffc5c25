"""Destinations that dropslot does not bring: an object store, and a receiver that only acknowledges, beside a folder.

Both are plugins (`tests/contract/bucket.py`, `courier.py`), named in config.yaml by their dotted paths.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.bucket import Store
from dropslot.destinations.base import ONLY_ACKNOWLEDGED
from pdfs import pdf
from product import Product, read_tree

KINDS = {"bucket": "bucket.BucketKind", "courier": "courier.CourierKind"}
BUCKET, COURIER = "bucket://lab/in", "courier://pacs"


class Laboratory:
    """A product that delivers into a folder, a bucket and to a courier."""

    def __init__(self, product: Product, *wanted: str, to: str = "") -> None:
        """`wanted`: only these of the three; `to` is added to their addresses."""
        self.product = product
        self.store = Store(product.root / "bucket.sqlite")
        self.journal = product.root / "journal"
        (product.root / "plugins").mkdir(exist_ok=True)
        tests = Path(__file__).parent.parent
        for name in ("contract/bucket.py", "contract/courier.py", "deadly.py"):
            shutil.copy(tests / name, product.root / "plugins")
        everywhere: dict[str, dict[str, Any]] = {
            "folder": {"to": "./studies"},
            "bucket": {"to": BUCKET + to, "options": {"store": str(self.store.file)}},
            "courier": {"to": COURIER + to, "options": str(self.journal)},
        }
        rules = [everywhere[name] for name in wanted or everywhere]
        route = {"folders": "./study", "takes": "any", "name": "(?P<visit>.+)", "deliver": rules}
        product.configure({"study": route}, destinations=KINDS)

    def deliver(self, name: str, content: Any, status: int | None = 0) -> str:
        """Drop and drain; the arrival's id."""
        self.product.drop(name, content)
        self.product.drain(status=status)
        return str(self.product.arrivals()[-1]["id"])

    def rows(self, arrival: str) -> dict[str, list[tuple[Any, ...]]]:
        """What history says of an arrival, by destination."""
        found: dict[str, list[tuple[Any, ...]]] = {}
        for row in self.product.history():
            if row["arrival"] == arrival:
                said = tuple(row[key] for key in ("stored_as", "version", "outcome", "superseded"))
                found.setdefault(row["destination"], []).append(said)
        return found

    def stored(self) -> dict[str, bytes]:
        """What is in the bucket, but for manifests."""
        keys = [key for key, *_ in self.store.keys("in/") if ".dropslot" not in key]
        return {key.removeprefix("in/"): self.store.get(key) or b"" for key in keys}

    def acknowledged(self) -> list[str]:
        """The names that the courier has in its journal, in their order."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [json.loads(line)["name"] for line in lines]

    def guarantees(self, arrival: str) -> list[str]:
        receipt, _ = json.JSONDecoder().raw_decode(self.product.run("receipt", arrival).stdout)
        return list(receipt["guarantees"])

    def fixity(self, status: int = 0) -> str:
        return self.product.run("verify", "--fixity", status=status).stdout


@pytest.fixture
def laboratory(sqlite_product: Product) -> Laboratory:
    return Laboratory(sqlite_product)


def test_versions_and_unchanged_are_the_same_everywhere(laboratory: Laboratory) -> None:
    first = laboratory.deliver("scan.nii.gz", b"one")
    second = laboratory.deliver("scan.nii.gz", b"two")
    again = laboratory.deliver("scan.nii.gz", b"one")
    places = {str(laboratory.product.studies), BUCKET, COURIER}
    said = {
        first: ("scan.nii.gz", 1, "delivered", False),
        second: ("scan.v2.nii.gz", 2, "delivered", False),
        again: ("scan.nii.gz", 1, "unchanged", True),
    }
    for arrival, row in said.items():
        assert laboratory.rows(arrival) == {place: [row] for place in places}
    wanted = {"scan.nii.gz": b"one", "scan.v2.nii.gz": b"two"}
    assert laboratory.product.delivered() == laboratory.stored() == wanted
    assert laboratory.acknowledged() == ["scan.nii.gz", "scan.v2.nii.gz"]  # nothing is sent twice
    assert read_tree(laboratory.product.root / "var/spool", hidden=()) == {}


def test_a_folder_and_its_manifest_come_into_the_bucket(laboratory: Laboratory) -> None:
    arrival = laboratory.deliver("visit1", {"a.txt": b"a", "sub/b.txt": b"b", "empty/": b""})
    assert laboratory.stored() == {"a.txt": b"a", "sub/b.txt": b"b"}
    manifest = laboratory.store.get(f"in/.dropslot/manifests/{arrival}.sha256")
    assert manifest == laboratory.product.manifests()[0].read_bytes()
    assert sorted(laboratory.acknowledged()) == ["a.txt", "sub/b.txt"]
    said = laboratory.guarantees(arrival)
    assert f"{ONLY_ACKNOWLEDGED}: {COURIER}" in said
    assert "destination: acknowledged by the server" in said


def test_items_of_one_folder_go_where_their_own_values_lead(sqlite_product: Product) -> None:
    laboratory = Laboratory(sqlite_product, "bucket", "courier", to="/{mime}")
    laboratory.store.put("in/text-plain/a.txt", b"of others")
    arrival = laboratory.deliver("visit1", {"a.txt": b"some text", "sub/zero": b""})
    assert laboratory.stored() == {
        "inode-x-empty/sub/zero": b"",
        "text-plain/a.txt": b"of others",
        "text-plain/a.v2.txt": b"some text",
    }
    assert laboratory.rows(arrival) == {
        f"{BUCKET}/inode-x-empty": [("sub/zero", 1, "delivered", False)],
        f"{BUCKET}/text-plain": [("a.v2.txt", 2, "delivered", False)],
        f"{COURIER}/inode-x-empty": [("sub/zero", 1, "delivered", False)],
        f"{COURIER}/text-plain": [("a.txt", 1, "delivered", False)],
    }
    assert read_tree(laboratory.product.root / "var/spool", hidden=()) == {}
    laboratory.fixity()
    laboratory.product.run("purge", "--older-than", "0s", "--yes")
    assert not list(laboratory.product.folder("done").iterdir())


def test_what_the_store_held_before_is_never_replaced(laboratory: Laboratory) -> None:
    laboratory.store.put("in/a.txt", b"of others")
    arrival = laboratory.deliver("a.txt", b"ours")
    assert laboratory.stored() == {"a.txt": b"of others", "a.v2.txt": b"ours"}
    assert laboratory.rows(arrival)[COURIER] == [("a.txt", 1, "delivered", False)]


@pytest.mark.parametrize("away", ["bucket.sqlite", "journal"])
def test_an_arrival_waits_while_one_is_away_and_follows(laboratory: Laboratory, away: str) -> None:
    flag = laboratory.product.root / f"{away}.away"
    flag.touch()
    arrival = laboratory.deliver("a.txt", b"1", status=1)
    assert laboratory.product.arrivals()[-1]["state"] == "retrying"
    flag.unlink()
    laboratory.product.run("retry", arrival, status=None)
    laboratory.product.drain()
    assert laboratory.rows(arrival).keys() == {str(laboratory.product.studies), BUCKET, COURIER}
    assert laboratory.acknowledged() == ["a.txt"]


@pytest.mark.parametrize(
    ("where", "when"),
    [
        *(("bucket.sqlite", f"{when} {call}") for call in (1, 2, 3) for when in ("before", "after")),
        *(("journal", f"{when} {call}") for call in (1, 2) for when in ("before", "after")),
    ],
)
def test_a_worker_killed_while_it_sends_delivers_once(laboratory: Laboratory, where: str, when: str) -> None:
    (laboratory.product.root / f"{where}.deadly").write_text(when)
    arrival = laboratory.deliver("visit", {"a.txt": b"a", "b.txt": b"b"}, status=None)
    assert not (laboratory.product.root / f"{where}.deadly").exists()
    laboratory.product.drain()
    assert list(dict.fromkeys(laboratory.acknowledged())) == ["a.txt", "b.txt"]
    for rows in laboratory.rows(arrival).values():
        assert rows == [("a.txt", 1, "delivered", False), ("b.txt", 1, "delivered", False)]
    assert laboratory.stored() == {"a.txt": b"a", "b.txt": b"b"}
    assert read_tree(laboratory.product.root / "var/spool", hidden=()) == {}
    taken = [event for event in laboratory.product.listing("events") if event["kind"] == "taken-over"]
    assert [event["arrival"] for event in taken] == [arrival]


def test_fixity_reads_the_bucket_and_says_what_it_cannot_read(laboratory: Laboratory) -> None:
    laboratory.deliver("visit", {"a.txt": b"a", "b.txt": b"b"})
    told = laboratory.fixity()
    assert "Fixity: 4 stored files, 4 bytes read: OK." in told
    assert "2 more files at destinations that only acknowledge: not verified" in told
    laboratory.store.put("in/a.txt", b"changed")
    told = laboratory.fixity(status=1)
    assert f"FAULT {BUCKET}/a.txt: it was changed" in told


def test_purge_reads_the_bucket_and_takes_the_courier_at_its_word(laboratory: Laboratory) -> None:
    laboratory.deliver("a.txt", b"1")
    laboratory.deliver("b.txt", b"2")
    laboratory.store.put("in/a.txt", b"changed")
    ended = laboratory.product.run("purge", "--older-than", "0s", "--yes", status=1)
    assert f"a.txt at {BUCKET} is missing or changed" in ended.stderr
    assert f"{COURIER} only acknowledges: what it has was not read.\n" in ended.stdout
    assert sorted(read_tree(laboratory.product.folder("done"))) == ["a.txt"]
    events = laboratory.product.listing("events", "--kind", "purged")
    assert [event["data"]["acknowledged"] for event in events] == [[COURIER]]


@pytest.mark.parametrize("only", ["bucket", "courier"])
def test_a_lost_database_is_rebuilt(sqlite_product: Product, only: str) -> None:
    laboratory = Laboratory(sqlite_product, only, to="/{visit}")
    for content in (b"1", b"2", b"1"):
        laboratory.deliver("visit", {"a.txt": content, "sub/b": b"b"})
    keys = (
        "arrival",
        "name",
        "item",
        "stored_as",
        "version",
        "outcome",
        "superseded",
        "sha256",
        "destination",
    )
    before = [[row[key] for key in keys] for row in sqlite_product.history()]
    for path in (sqlite_product.root / "var").glob("dropslot.sqlite3*"):
        path.unlink()
    sqlite_product.run("rebuild")
    assert [[row[key] for key in keys] for row in sqlite_product.history()] == before
    assert "FAULT" not in laboratory.fixity()
    again = laboratory.deliver("visit", {"a.txt": b"2", "sub/b": b"b"})
    said = [row for rows in laboratory.rows(again).values() for row in rows]
    assert said == [("a.v2.txt", 2, "unchanged", False), ("sub/b", 1, "unchanged", False)]


def test_each_item_goes_where_its_own_fields_say(sqlite_product: Product) -> None:
    laboratory = Laboratory(sqlite_product, to="/{mime}")
    Path(f"{laboratory.journal}.deadly").write_text("after 1")
    laboratory.deliver(
        "visit", {"a.txt": b"some text", "b.txt": b"more text", "c.pdf": pdf("a report")}, None
    )
    sqlite_product.drain()
    stored = {"text-plain/a.txt", "text-plain/b.txt", "application-pdf/c.pdf"}
    assert laboratory.stored().keys() == stored
    assert set(laboratory.acknowledged()) == {"a.txt", "b.txt", "c.pdf"}
    said = laboratory.guarantees(sqlite_product.arrivals()[-1]["id"])
    assert [line for line in said if COURIER in line] == [f"{ONLY_ACKNOWLEDGED}: {COURIER}"]
    before = sqlite_product.history()
    assert len(before) == 9
    for path in (sqlite_product.root / "var").glob("dropslot.sqlite3*"):
        path.unlink()
    sqlite_product.run("rebuild")
    keys = ("arrival", "item", "stored_as", "destination", "sha256")
    assert sorted([row[key] for key in keys] for row in sqlite_product.history()) == sorted(
        [row[key] for key in keys] for row in before
    )
    sqlite_product.run("purge", "--older-than", "0s", "--yes")
    assert read_tree(sqlite_product.folder("done")) == {}


def test_links_to_what_is_elsewhere_are_refused(laboratory: Laboratory) -> None:
    laboratory.deliver("a.txt", b"1")
    ended = laboratory.product.run(
        "latest", "study", "--link-into", laboratory.product.root / "links", status=1
    )
    assert "on a server" in ended.stderr


def test_the_schema_has_the_options_of_own_kinds(laboratory: Laboratory) -> None:
    schema = json.loads(laboratory.product.run("schema").stdout)
    (rule,) = schema["$defs"]["Deliver"]["allOf"]
    assert rule["if"] == {"properties": {"to": {"pattern": "^bucket://"}}}
    assert "The file that is" in rule["then"]["properties"]["options"]["properties"]["store"]["description"]


def test_doctor_looks_at_each(laboratory: Laboratory) -> None:
    laboratory.product.drain()
    Path(f"{laboratory.journal}.away").touch()
    found = laboratory.product.run("doctor", "--json", status=1).objects
    levels = {row["about"]: row["level"] for row in found}
    assert levels[f"route study, {BUCKET}"] == "ok"
    assert levels[f"route study, {COURIER}"] == "error"


def test_doctor_says_where_a_kind_of_ones_own_fails_and_goes_on(laboratory: Laboratory) -> None:
    plugin = laboratory.product.root / "plugins/courier.py"
    plugin.write_text(
        plugin.read_text().replace(
            "        if os.path.exists", "        {}['nothing']\n        if os.path.exists"
        )
    )
    found = {
        row["about"]: row["what"] for row in laboratory.product.run("doctor", "--json", status=1).objects
    }
    assert "KeyError" in found[f"route study, {COURIER}"]
    assert "plugins/courier.py" in found[f"route study, {COURIER}"]
    assert f"route study, {laboratory.product.studies}" in found


BROKEN: dict[str, Callable[[Path], object]] = {
    "it cannot be made": lambda plugin: plugin.write_text("def BucketKind():\n    raise OSError(5)\n"),
    "it has another name": lambda plugin: plugin.write_text("class BuketKind: ...\n"),
    "it is none": lambda plugin: plugin.write_text("class BucketKind: ...\n"),
    "it lacks its option": lambda plugin: plugin.write_text(
        plugin.read_text().replace("store: str", "shop: str")
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_kind_is_told_at_the_start_and_breaks_no_listing(laboratory: Laboratory, how: str) -> None:
    laboratory.deliver("a.txt", b"1")
    BROKEN[how](laboratory.product.root / "plugins/bucket.py")
    ended = laboratory.product.drain(status=None)
    assert ended.status != 0
    assert "bucket" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert laboratory.product.history()


def test_a_destination_that_is_not_registered_any_more_is_a_fault_of_its_files_alone(
    laboratory: Laboratory,
) -> None:
    laboratory.deliver("a.txt", b"1")
    laboratory.product.configure()
    told = laboratory.fixity(status=1)
    assert f"FAULT {BUCKET}/a.txt: it could not be read" in told
    assert f"FAULT {COURIER}/a.txt: it could not be read" in told
    assert str(laboratory.product.studies) not in told
    assert laboratory.deliver("b.txt", b"2")
